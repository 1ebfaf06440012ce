//! The report as text, in the layout of seed 001.

mod layout;
mod sections;

use std::fmt;

pub use sections::Section;

use crate::analysis::report::Report;

/// Writes the given sections, in print order; all of them when `only` is empty. A section that this data has
/// nothing for is left out, unless it was asked for by name.
///
/// # Errors
/// The writer's own.
pub fn write(report: &Report, only: &[Section], out: &mut dyn fmt::Write) -> fmt::Result {
    let printed = Section::ALL
        .into_iter()
        .filter(|section| only.is_empty() && section.applies(report) || only.contains(section));
    for (index, section) in printed.enumerate() {
        if index > 0 {
            writeln!(out)?;
        }
        section.write(report, out)?;
    }
    if !report.notes.is_empty() {
        writeln!(out, "\nNotes:")?;
        for note in &report.notes {
            layout::wrapped(out, "  - ", "    ", note)?;
        }
    }
    Ok(())
}
