//! The grid of time slices.

use super::phase::Selection;
use super::statistics::Slice;

/// More slices than this are not made: the step is then far below the scrape interval.
const MAX_SLICES: u64 = 100_000;

/// Slices of equal length from the first scrape of a window; the last one ends with the last scrape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    start_ns: u64,
    end_ns: u64,
    step_ns: u64,
}

/// One slice of a grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Begin, ns.
    pub start_ns: u64,
    /// End, ns.
    pub end_ns: u64,
    /// Whether it has the full length.
    pub complete: bool,
    /// Whether it is the last one, which includes its end.
    pub last: bool,
}

impl Grid {
    /// The grid of a selection; none when it has no length, or far too many slices.
    pub fn new(selection: &Selection, step_ns: u64) -> Option<Grid> {
        let (start_ns, end_ns) = (selection.first_ns.0, selection.last_ns.0);
        let length = end_ns.checked_sub(start_ns).filter(|length| *length > 0)?;
        (step_ns > 0 && length / step_ns < MAX_SLICES).then_some(Grid { start_ns, end_ns, step_ns })
    }

    /// The slices, in order.
    pub fn spans(&self) -> impl Iterator<Item = Span> + use<> {
        let grid = *self;
        let count = (grid.end_ns - grid.start_ns).div_ceil(grid.step_ns);
        (0..count).map(move |index| {
            let start_ns = grid.start_ns + index * grid.step_ns;
            let full = start_ns.saturating_add(grid.step_ns);
            let end_ns = full.min(grid.end_ns);
            Span { start_ns, end_ns, complete: end_ns == full, last: index + 1 == count }
        })
    }
}

impl Span {
    /// Its length in seconds.
    pub fn seconds(&self) -> f64 {
        (self.end_ns - self.start_ns) as f64 / 1e9
    }

    /// A slice of the files, still without statistics.
    pub(super) fn slice(&self) -> Slice {
        let is_complete = if self.complete { None } else { Some(false) };
        Slice { start_ns: self.start_ns, end_ns: self.end_ns, is_complete, ..Slice::default() }
    }
}
