//! A comparison as a table for people.

use std::fmt::{self, Write};

use super::{Change, Comparison, FigureComparison, is_difference};
use crate::analysis::verdict::number;

/// Writes the table and what it means.
///
/// # Errors
/// The writer's own.
pub fn write(comparison: &Comparison, out: &mut dyn Write) -> fmt::Result {
    writeln!(out, "Baseline:  {} ({} requests)", comparison.baseline, comparison.requests[0])?;
    writeln!(out, "Compared:  {} ({} requests)\n", comparison.candidate, comparison.requests[1])?;
    let head = ["Figure", "Baseline", "Compared", "Change", "Interval", "Verdict"].map(str::to_owned);
    let rows: Vec<[String; 6]> = std::iter::once(head).chain(comparison.figures.iter().map(row)).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..6).map(width).collect();
    for (index, row) in rows.iter().enumerate() {
        let [figure, baseline, compared, change, interval, verdict] = row;
        writeln!(
            out,
            "  {figure:<0$}  {baseline:>1$}  {compared:>2$}  {change:>3$}  {interval:>4$}  {verdict}",
            widths[0], widths[1], widths[2], widths[3], widths[4]
        )?;
        if index == 0 {
            let rule: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
            writeln!(out, "  {}", rule.join("  "))?;
        }
    }
    writeln!(out)?;
    conclusion(comparison, out)
}

fn row(found: &FigureComparison) -> [String; 6] {
    let unit = if is_difference(found.figure.metric) { " pp" } else { "%" };
    let change = found.change_pct.map_or("-".to_owned(), |change| format!("{change:+.2}{unit}"));
    let interval =
        found.interval_pct.map_or("-".to_owned(), |[low, high]| format!("[{low:+.2}, {high:+.2}]{unit}"));
    [
        format!("{} ({})", found.figure, found.unit),
        number(found.baseline),
        number(found.candidate),
        change,
        interval,
        found.change.as_str().to_owned(),
    ]
}

fn conclusion(comparison: &Comparison, out: &mut dyn Write) -> fmt::Result {
    let count = |change| comparison.figures.iter().filter(|figure| figure.change == change).count();
    let (better, worse, few) = (count(Change::Better), count(Change::Worse), count(Change::NotEnoughSamples));
    let summaries = count(Change::SummaryOnly);
    if comparison.figures.is_empty() {
        return writeln!(out, "The runs have no figure in common.");
    }
    if summaries == comparison.figures.len() {
        return writeln!(
            out,
            "Only summaries are known: two numbers differ, but nothing says whether that is chance. Compare files\n\
             with single requests for intervals and verdicts."
        );
    }
    match (better, worse) {
        (0, 0) => writeln!(out, "No evidence of a difference.")?,
        _ => writeln!(out, "{better} better, {worse} worse.")?,
    }
    writeln!(
        out,
        "Intervals hold together: two runs of the same server show any difference in at most {}% of such\n\
         comparisons. Changes below {}% are not called a difference.",
        100.0 * comparison.alpha,
        comparison.min_effect_pct
    )?;
    if few > 0 {
        writeln!(out, "{few} figures have too few requests behind them: no verdict.")?;
    }
    let failing = comparison.figures.iter().any(|figure| {
        is_difference(figure.figure.metric) && matches!(figure.change, Change::Better | Change::Worse)
    });
    if failing {
        writeln!(
            out,
            "The runs failed at different rates: a request that fails early counts as fast in effective_latency,\n\
             and what is left of a failing server may be fast."
        )?;
    }
    if comparison.different_work() {
        writeln!(
            out,
            "The runs did different work (sequence lengths differ): changes above may come from that."
        )?;
    }
    Ok(())
}
