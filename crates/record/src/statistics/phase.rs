//! All requests of one phase: kept exactly while they fit, folded after.

use super::Options;
use super::aggregate::{Aggregate, Selection, aggregate};
use super::errors::ErrorTally;
use super::fold::FoldedPhase;
use super::rows::{self, Marks, Rows};
use super::summary::{RequestCounts, Slice};
use super::sweep::{Stretch, TimeWeighted, sweep};
use super::{RunFacts, derived};
use crate::metric::catalogue::{self, Flags, Kind};
use crate::metric::{MetricId, MetricKey, MetricValue};
use crate::request::RequestRecord;
use crate::time::WallNs;

/// Requests folded at a time.
const BATCH: usize = 1024;

#[derive(Clone, Debug, Default)]
pub(super) struct PhaseStatistics {
    successes: Rows,
    failures: Rows,
    folded: Option<Box<FoldedPhase>>,
    pub errors: ErrorTally,
    pub counts: RequestCounts,
    /// Whether any record was judged by SLOs, here or by the tool that wrote it.
    judged: bool,
    first_start: Option<u64>,
    last_end: u64,
}

/// Where a phase begins and ends, as far as it is known.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bounds {
    pub start: Option<u64>,
    pub end: Option<u64>,
    /// Length to divide by when the phase has pauses.
    pub active_ns: Option<u64>,
}

/// Figures of a whole phase.
pub(super) struct Whole {
    pub aggregate: Aggregate,
    pub weighted: TimeWeighted,
    pub window_s: Option<f64>,
    pub slices: Vec<Slice>,
}

/// Whether a success keeps a value of this metric.
fn kept(id: MetricId) -> bool {
    let def = id.def();
    id == catalogue::REPLAY_SEND_SCHEDULE_OFFSET
        || (def.kind == Kind::Record
            && def.in_records()
            && !def.flags.intersects(Flags::ERROR_ONLY.union(Flags::SUMMARY_ONLY)))
}

impl PhaseStatistics {
    pub fn is_empty(&self) -> bool {
        self.counts.completed() == 0
    }

    pub fn judged(&self) -> bool {
        self.judged
    }

    pub fn is_folded(&self) -> bool {
        self.folded.is_some()
    }

    pub fn bytes(&self) -> usize {
        self.successes.bytes() + self.failures.bytes()
    }

    /// Exact values of a metric, as far as they are kept.
    pub fn values(&self, id: MetricId) -> Vec<f64> {
        let column = self.successes.columns.column(id);
        column.iter().copied().filter(|value| !value.is_nan()).collect()
    }

    pub fn add(&mut self, record: &RequestRecord, options: &Options) {
        let (start, end) = rows::bounds(record);
        self.first_start = Some(self.first_start.map_or(start, |first| first.min(start)));
        self.last_end = self.last_end.max(end);
        if let Some(error) = &record.error {
            self.errors.add(error);
            let mut marks = Marks::default();
            marks.set(Marks::CANCELLED, record.metadata.was_cancelled);
            marks.set(Marks::CONTEXT_OVERFLOW, error.is_context_overflow());
            self.counts.failed += 1;
            self.counts.cancelled += u64::from(record.metadata.was_cancelled);
            self.failures.push(record, marks, |id| id == catalogue::ERROR_ISL);
        } else {
            let marks = self.judge(record, options);
            self.counts.succeeded += 1;
            self.successes.push(record, marks, kept);
        }
        self.keep_bounds(options);
    }

    fn judge(&mut self, record: &RequestRecord, options: &Options) -> Marks {
        let mut marks = Marks::default();
        let (mut requested, mut output, mut off_pct) = (None, None, None);
        for (key, value) in record.metrics.iter() {
            let MetricKey::Known(id) = key else { continue };
            let number = match value {
                MetricValue::Int(value) => *value as f64,
                MetricValue::Float(value) => *value,
                MetricValue::List(_) => continue,
            };
            match *id {
                catalogue::REQUESTED_OSL => requested = Some(number),
                catalogue::OUTPUT_SEQUENCE_LENGTH => output = Some(number),
                catalogue::OSL_MISMATCH_DIFF_PCT => off_pct = Some(number),
                catalogue::USAGE_PROMPT_TOKENS_DIFF_PCT | catalogue::USAGE_COMPLETION_TOKENS_DIFF_PCT => {
                    marks.set(Marks::USAGE_DISCREPANCY, number > options.usage_discrepancy_pct);
                }
                catalogue::FINISH_REASON_MISSING => marks.set(Marks::UNFINISHED, number > 0.0),
                catalogue::GOOD_REQUEST_COUNT if options.slos.is_empty() => {
                    self.judged = true;
                    marks.set(Marks::GOOD, number > 0.0);
                }
                _ => {}
            }
        }
        if !options.slos.is_empty() {
            self.judged = true;
            marks.set(Marks::GOOD, options.slos.met_by(record));
        }
        // Files do not hold the requested length; it follows from the signed difference.
        let requested = requested.or_else(|| {
            let share = 1.0 + off_pct? / 100.0;
            if share > 0.0 { Some(output? / share) } else { Some(f64::INFINITY) }
        });
        if let (Some(requested), Some(output)) = (requested, output.or(off_pct.map(|_| 0.0))) {
            let allowed = (options.osl_mismatch_pct / 100.0 * requested).min(options.osl_mismatch_tokens);
            // The difference is rebuilt from a quotient: a speck over the limit is rounding.
            marks.set(Marks::OSL_MISMATCH, (output - requested).abs() > allowed + 1e-6);
        }
        marks
    }

    /// Folds when the bounds of memory are reached.
    fn keep_bounds(&mut self, options: &Options) {
        let rows = self.successes.len() + self.failures.len();
        let full = match &self.folded {
            Some(_) => rows >= BATCH,
            None => rows >= options.fold_after || self.successes.gaps.len() >= options.most_gaps,
        };
        if full {
            self.fold(options);
        }
    }

    fn fold(&mut self, options: &Options) {
        let Some(first) = self.first_start else { return };
        let folded = self.folded.get_or_insert_with(|| Box::new(FoldedPhase::new(first, options.slice_ns)));
        folded.add(&self.successes, &self.failures, options.fixed_schedule);
        self.successes = Rows::default();
        self.failures = Rows::default();
    }

    pub fn merge(&mut self, mut other: PhaseStatistics, options: &Options) {
        self.errors.merge(&other.errors);
        self.counts.succeeded += other.counts.succeeded;
        self.counts.failed += other.counts.failed;
        self.counts.cancelled += other.counts.cancelled;
        self.judged |= other.judged;
        self.first_start = self.first_start.into_iter().chain(other.first_start).min();
        self.last_end = self.last_end.max(other.last_end);
        if self.is_folded() || other.is_folded() {
            self.fold(options);
            other.fold(options);
            match (&mut self.folded, other.folded) {
                (Some(mine), Some(theirs)) => mine.merge(&theirs),
                (mine @ None, theirs) => *mine = theirs,
                (Some(_), None) => {}
            }
        } else {
            self.successes.merge(&other.successes);
            self.failures.merge(&other.failures);
            self.keep_bounds(options);
        }
    }

    /// Figures of the phase, and of its slices when asked for.
    pub fn whole(&mut self, bounds: Bounds, facts: &RunFacts, options: &Options) -> Whole {
        if self.is_folded() {
            self.fold(options);
        }
        let rtt = facts.network_rtt_ms;
        let first = self.first_start.unwrap_or(0);
        let (aggregate, first) = match &self.folded {
            Some(folded) => {
                let (aggregate, start, _) = folded.whole(rtt);
                (aggregate, start.min(first))
            }
            None => {
                let all = Selection::All;
                (aggregate(&self.successes, &self.failures, all, rtt, options.fixed_schedule), first)
            }
        };
        let stretch = Stretch {
            from: bounds.start.unwrap_or(first),
            to: bounds.end.unwrap_or(self.last_end).max(bounds.start.unwrap_or(first)),
        };
        let tally = &aggregate.tally;
        let benchmark =
            tally.first_start.zip(tally.last_response).map(|(first, last)| last.saturating_sub(first));
        let window_ns = match bounds.active_ns {
            Some(active) => Some(active),
            None => bounds.end.map(|end| end.saturating_sub(stretch.from)).or(benchmark),
        };
        let grid = self.grid(options);
        let stretches: Vec<Stretch> = grid.iter().map(|(stretch, _)| *stretch).collect();
        let (weighted, of_slices) = match &self.folded {
            Some(folded) => {
                let mut whole = folded.bins.weighted(&[stretch]);
                (whole.swap_remove(0), folded.bins.weighted(&stretches))
            }
            None => sweep(&self.successes, &self.failures, stretch, &stretches),
        };
        let slices = self.slices(grid, &of_slices, facts, options);
        Whole { aggregate, weighted, window_s: window_ns.map(|ns| ns as f64 / 1e9), slices }
    }

    /// The slices that hold requests, with the aggregate of each.
    fn grid(&self, options: &Options) -> Vec<(Stretch, Aggregate)> {
        let (Some(width), Some(first)) = (options.slice_ns.filter(|&ns| ns > 0), self.first_start) else {
            return Vec::new();
        };
        let anchor = self.folded.as_ref().map_or(first, |folded| folded.anchor());
        let stretch = |slice: u64| {
            let from = anchor.saturating_add(slice.saturating_mul(width));
            Stretch { from, to: from.saturating_add(width) }
        };
        let mut grid: Vec<(Stretch, Aggregate)> = match &self.folded {
            Some(folded) => folded.slices().map(|(slice, aggregate)| (stretch(slice), aggregate)).collect(),
            None => {
                let mut rows: std::collections::BTreeMap<u64, [Vec<u32>; 2]> = Default::default();
                for (outcome, of) in [&self.successes, &self.failures].into_iter().enumerate() {
                    for (row, start) in of.start.iter().enumerate() {
                        rows.entry((start - anchor) / width).or_default()[outcome].push(row as u32);
                    }
                }
                let exact = |[successes, failures]: &[Vec<u32>; 2]| {
                    let selection = Selection::Rows(successes, failures);
                    aggregate(&self.successes, &self.failures, selection, None, options.fixed_schedule)
                };
                rows.iter().map(|(&slice, rows)| (stretch(slice), exact(rows))).collect()
            }
        };
        if let Some((last, _)) = grid.last_mut() {
            last.to = last.to.min(self.last_end.max(last.from));
        }
        grid
    }

    fn slices(
        &self,
        grid: Vec<(Stretch, Aggregate)>,
        weighted: &[TimeWeighted],
        facts: &RunFacts,
        options: &Options,
    ) -> Vec<Slice> {
        let width = options.slice_ns.unwrap_or(0);
        grid.iter()
            .zip(weighted)
            .map(|((stretch, aggregate), weighted)| {
                let length = stretch.to - stretch.from;
                let context = derived::Context {
                    window_s: Some(length as f64 / 1e9),
                    weighted: Some(weighted),
                    facts,
                    goodput: self.judged,
                    whole_phase: false,
                };
                Slice {
                    start: WallNs(stretch.from),
                    end: WallNs(stretch.to),
                    complete: length == width,
                    metrics: derived::metrics(aggregate, &context),
                }
            })
            .collect()
    }
}
