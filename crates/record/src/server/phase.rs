//! Phases as the server's scrapes see them, and the scrapes a phase selects.

use super::series::Scrape;
use crate::request::BenchmarkPhase;
use crate::time::WallNs;

/// A phase of the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhaseMark {
    /// Warmup or profiling.
    pub kind: BenchmarkPhase,
    /// Its name.
    pub name: String,
    /// Position in the run, from 0.
    pub index: u32,
    /// Position among the profiling phases; none for warmup.
    pub profiling_index: Option<u32>,
    /// When its load began.
    pub start_ns: WallNs,
    /// When its load ended; none while it runs.
    pub end_ns: Option<WallNs>,
}

/// A part of a run to compute statistics over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// The phase with this index in the store: its scrapes, and those of the flush after it.
    Phase(usize),
    /// Everything.
    Whole,
}

/// The scrapes of one endpoint within a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Selection {
    /// The last scrape before the window: what cumulative values are measured against.
    pub reference: Option<u32>,
    /// First scrape of the window.
    pub first: u32,
    /// Last scrape of the window.
    pub last: u32,
    /// Time of the reference, or of the first scrape.
    pub reference_ns: WallNs,
    /// Time of the first scrape.
    pub first_ns: WallNs,
    /// Time of the last scrape.
    pub last_ns: WallNs,
}

impl Selection {
    pub(super) fn of(scrapes: &[Scrape], window: Window) -> Option<Selection> {
        let inside = |scrape: &Scrape| match window {
            Window::Whole => true,
            Window::Phase(phase) => scrape.phase.map(usize::from) == Some(phase),
        };
        let first = scrapes.iter().position(inside)?;
        let last = scrapes.iter().rposition(inside)?;
        let reference = first.checked_sub(1);
        Some(Selection {
            reference: reference.map(|at| at as u32),
            first: first as u32,
            last: last as u32,
            reference_ns: scrapes[reference.unwrap_or(first)].timestamp_ns,
            first_ns: scrapes[first].timestamp_ns,
            last_ns: scrapes[last].timestamp_ns,
        })
    }

    /// Seconds from the reference to the last scrape: what totals are divided by.
    pub fn seconds(&self) -> f64 {
        self.last_ns.0.saturating_sub(self.reference_ns.0) as f64 / 1e9
    }
}
