//! A phase too long to keep: running sums and histograms for each slice (or for the whole phase).

use std::collections::BTreeMap;

use super::aggregate::{Aggregate, Tally, adjusted_twin, computed_of_any, computed_of_success};
use super::distribution::Folded;
use super::rows::Rows;
use super::summary::MetricSummary;
use super::sweep::{Bins, Span};
use crate::metric::MetricId;
use crate::metric::catalogue::{self, Flags};

/// Requests of one slice, folded.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    metrics: Vec<Option<Box<Folded>>>,
    foreign: Vec<(Box<str>, Box<str>, Folded)>,
    tally: Tally,
    pub start: u64,
    pub end: u64,
}

impl Default for Cell {
    fn default() -> Self {
        Cell {
            metrics: vec![None; MetricId::COUNT],
            foreign: Vec::new(),
            tally: Tally::default(),
            start: u64::MAX,
            end: 0,
        }
    }
}

impl Cell {
    fn add(&mut self, id: MetricId, value: f64) {
        self.metrics[id.index()].get_or_insert_default().add(value);
    }

    fn add_foreign(&mut self, tag: &str, unit: &str, add: impl FnOnce(&mut Folded)) {
        let place = match self.foreign.iter().position(|(known, ..)| **known == *tag) {
            Some(place) => place,
            None => {
                self.foreign.push((tag.into(), unit.into(), Folded::default()));
                self.foreign.len() - 1
            }
        };
        add(&mut self.foreign[place].2);
    }

    fn merge(&mut self, other: &Cell) {
        for (mine, theirs) in self.metrics.iter_mut().zip(&other.metrics) {
            if let Some(theirs) = theirs {
                mine.get_or_insert_default().merge(theirs);
            }
        }
        for (tag, unit, theirs) in &other.foreign {
            self.add_foreign(tag, unit, |mine| mine.merge(theirs));
        }
        self.tally.merge(&other.tally);
        self.start = self.start.min(other.start);
        self.end = self.end.max(other.end);
    }

    fn aggregate(&self, rtt_ms: Option<f64>) -> Aggregate {
        let mut aggregate = Aggregate::of(self.tally);
        for (id, folded) in MetricId::all().zip(&self.metrics) {
            let Some(folded) = folded else { continue };
            aggregate.set(id, folded.distribution());
            if id.def().flags.contains(Flags::FAILURE_ADJUSTED) && self.tally.failed > 0 {
                let twin = adjusted_twin(folded.count(), self.tally.failed, folded.min(), |rank| {
                    folded.value_of(rank)
                });
                aggregate.adjusted.push((id, MetricSummary { approximate: true, ..twin }));
            }
            if let (Some(adjusted), Some(rtt)) = (catalogue::network_adjusted(id), rtt_ms) {
                aggregate.set(adjusted, folded.lowered(rtt).distribution());
            }
        }
        for (tag, unit, folded) in &self.foreign {
            if let Some(distribution) = folded.distribution() {
                aggregate.foreign.push((tag.to_string(), unit.to_string(), distribution));
            }
        }
        aggregate
    }
}

/// A phase of which only sums and histograms are kept.
#[derive(Clone, Debug)]
pub(super) struct FoldedPhase {
    anchor: u64,
    slice_ns: Option<u64>,
    cells: BTreeMap<u64, Cell>,
    pub bins: Bins,
}

impl FoldedPhase {
    /// Begins with the earliest start known.
    pub fn new(anchor: u64, slice_ns: Option<u64>) -> Self {
        FoldedPhase { anchor, slice_ns, cells: BTreeMap::new(), bins: Bins::new(anchor) }
    }

    /// Start of the grid of slices.
    pub fn anchor(&self) -> u64 {
        self.anchor
    }

    fn cell(&mut self, start: u64) -> &mut Cell {
        let slice = self.slice_ns.map_or(0, |width| start.saturating_sub(self.anchor) / width.max(1));
        self.cells.entry(slice).or_default()
    }

    /// Takes in all rows.
    pub fn add(&mut self, successes: &Rows, failures: &Rows, fixed_schedule: bool) {
        for row in 0..successes.len() {
            let span = Span::of(successes, row);
            self.bins.add(&span, |place| successes.gaps.ns(place));
            let cell = self.cell(span.start);
            cell.start = cell.start.min(span.start);
            cell.end = cell.end.max(span.end);
            cell.tally.success(successes, row);
            for (id, column) in successes.columns.present() {
                if let Some(&value) = column.get(row).filter(|value| !value.is_nan()) {
                    cell.add(id, value);
                }
            }
            computed_of_success(successes, row, fixed_schedule, |id, value| cell.add(id, value));
            for place in successes.gaps.range(row) {
                cell.add(catalogue::INTER_CHUNK_LATENCY, successes.gaps.ns(place) as f64 / 1e6);
            }
            for (tag, unit, column) in successes.columns.foreign() {
                if let Some(&value) = column.get(row).filter(|value| !value.is_nan()) {
                    cell.add_foreign(tag, unit, |folded| folded.add(value));
                }
            }
        }
        for row in 0..failures.len() {
            let (start, end) = (failures.start[row], failures.end[row]);
            self.bins.add(&Span { start, end, ..Span::default() }, |_| 0);
            let cell = self.cell(start);
            cell.start = cell.start.min(start);
            cell.end = cell.end.max(end);
            cell.tally.failure(failures.marks[row]);
            for (id, column) in failures.columns.present() {
                if let Some(&value) = column.get(row).filter(|value| !value.is_nan()) {
                    cell.add(id, value);
                }
            }
            computed_of_any(failures, row, |id, value| cell.add(id, value));
        }
    }

    /// Takes in another folded phase; slices of another grid go where their middle lies.
    pub fn merge(&mut self, other: &FoldedPhase) {
        self.bins.merge(&other.bins);
        for (&slice, cell) in &other.cells {
            let width = other.slice_ns.unwrap_or(0);
            let middle = other.anchor.saturating_add(slice.saturating_mul(width)).saturating_add(width / 2);
            self.cell(middle).merge(cell);
        }
    }

    /// The whole phase: its figures, first start and last end.
    pub fn whole(&self, rtt_ms: Option<f64>) -> (Aggregate, u64, u64) {
        let mut all = Cell::default();
        self.cells.values().for_each(|cell| all.merge(cell));
        (all.aggregate(rtt_ms), all.start, all.end)
    }

    /// The figures of each slice by its number.
    pub fn slices(&self) -> impl Iterator<Item = (u64, Aggregate)> + '_ {
        self.cells.iter().map(|(&slice, cell)| (slice, cell.aggregate(None)))
    }
}
