//! Statistics of a run from its records, and from nothing else that a file does not hold.
//!
//! [`RunStatistics`] takes every record of any phase and outcome. A live run, `merge`, `recover` and `analyze`
//! use it alike, so that a summary can be recomputed from `profile_export.jsonl` at any time. Per-request
//! metrics are exact (float64, numpy's percentiles); when a run outgrows [`Options::fold_after`] or
//! [`Options::most_gaps`], requests fold into sums and histograms, and the output says so.

mod aggregate;
mod derived;
pub mod distribution;
mod errors;
mod fold;
pub mod histogram;
mod phase;
mod rows;
pub mod student;
pub mod summary;
mod sweep;

pub use distribution::{Distribution, PERCENTILES, percentile_linear, percentile_nearest};
pub use summary::{ErrorCount, MetricSet, MetricSummary, RequestCounts, RunSummary, Slice};

use phase::{Bounds, PhaseStatistics};

use crate::metric::{MetricId, Slos};
use crate::request::{BenchmarkPhase, RequestRecord};
use crate::time::WallNs;

/// How records are judged and how much of them is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// What makes a request good. Without any, a judgement found in the records counts.
    pub slos: Slos,
    /// Length of a slice (`--slice-duration`), ns.
    pub slice_ns: Option<u64>,
    /// Whether a trace is replayed at its own times: the intended instants are then the trace's.
    pub fixed_schedule: bool,
    /// Requests of a phase kept exactly (about 0.4 KB each, and 4 bytes for each gap).
    pub fold_after: usize,
    /// Gaps between events kept exactly.
    pub most_gaps: usize,
    /// Share of the requested output length an answer may miss, %.
    pub osl_mismatch_pct: f64,
    /// Tokens of the requested output length an answer may miss; the smaller of the two bounds holds.
    pub osl_mismatch_tokens: f64,
    /// Difference to the server's token counts that counts as a discrepancy, %.
    pub usage_discrepancy_pct: f64,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            slos: Slos::default(),
            slice_ns: None,
            fixed_schedule: false,
            fold_after: 1_000_000,
            most_gaps: 32_000_000,
            osl_mismatch_pct: 5.0,
            osl_mismatch_tokens: 50.0,
            usage_discrepancy_pct: 10.0,
        }
    }
}

/// Maker of a GPU: energy metrics are kept apart, as their counters differ in meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GpuVendor {
    /// `nvidia_*`.
    Nvidia,
    /// `amd_*`.
    Amd,
}

/// What the GPUs of one vendor used in the profiling window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GpuEnergy {
    /// Whose GPUs.
    pub vendor: GpuVendor,
    /// Increase of the energy counters, J. Without counters it is power times time.
    pub energy_j: Option<f64>,
    /// Sum over GPUs of the mean power, W.
    pub power_w: Option<f64>,
}

/// Facts of a run that no record holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunFacts {
    /// Mean round trip to the server, ms: switches the network-adjusted metrics on.
    pub network_rtt_ms: Option<f64>,
    /// Energy of the GPUs, by vendor.
    pub gpu_energy: Vec<GpuEnergy>,
    /// Concurrency asked for, when there is one.
    pub concurrency: Option<u32>,
}

/// The profiling phase in time: its length divides every rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// Phase start. Unknown: the first request's start.
    pub start: Option<WallNs>,
    /// Last request returned. Unknown: rates divide by `benchmark_duration` instead.
    pub end: Option<WallNs>,
    /// Sum of the lengths of several profiling phases, ns; without it the length is `end - start`.
    pub active_ns: Option<u64>,
    /// Start and end of the warmup phase.
    pub warmup: Option<(WallNs, WallNs)>,
}

impl Window {
    /// A single profiling phase.
    pub fn new(start: WallNs, end: WallNs) -> Self {
        Window { start: Some(start), end: Some(end), ..Window::default() }
    }
}

/// Statistics of all records of a run. See the module's documentation.
#[derive(Clone, Debug, Default)]
pub struct RunStatistics {
    options: Options,
    facts: RunFacts,
    profiling: PhaseStatistics,
    warmup: PhaseStatistics,
}

impl RunStatistics {
    /// No records yet.
    pub fn new(options: Options) -> Self {
        RunStatistics { options, ..RunStatistics::default() }
    }

    /// Facts that no record holds, to be filled in before [`finish`](Self::finish).
    pub fn facts_mut(&mut self) -> &mut RunFacts {
        &mut self.facts
    }

    /// Takes in one record of any phase and outcome.
    pub fn add(&mut self, record: &RequestRecord) {
        let phase = match record.metadata.benchmark_phase {
            BenchmarkPhase::Profiling => &mut self.profiling,
            BenchmarkPhase::Warmup => &mut self.warmup,
        };
        phase.add(record, &self.options);
    }

    /// Takes in everything another one has taken in. The result is that of adding all records to one.
    pub fn merge(&mut self, other: RunStatistics) {
        self.profiling.merge(other.profiling, &self.options);
        self.warmup.merge(other.warmup, &self.options);
    }

    /// Requests of the profiling phase so far.
    pub fn counts(&self) -> RequestCounts {
        self.profiling.counts
    }

    /// Requests of the warmup phase so far.
    pub fn warmup_counts(&self) -> RequestCounts {
        self.warmup.counts
    }

    /// Errors of the profiling phase so far, the most frequent first.
    pub fn errors(&self) -> Vec<ErrorCount> {
        self.profiling.errors.ranked()
    }

    /// A per-request metric of the profiling phase as it stands, for display while a run goes on. Copies
    /// and sorts its values. `None` when there are none, or when they are folded already.
    pub fn distribution(&self, id: MetricId) -> Option<Distribution> {
        Distribution::exact(&mut self.profiling.values(id))
    }

    /// Every value of a per-request metric of the profiling phase, in the order of arrival; for confidence
    /// intervals. Empty when they are folded.
    pub fn values(&self, id: MetricId) -> Vec<f64> {
        self.profiling.values(id)
    }

    /// Bytes held for single requests.
    pub fn bytes(&self) -> usize {
        self.profiling.bytes() + self.warmup.bytes()
    }

    /// What is to be said about the run.
    pub fn finish(mut self, window: &Window) -> RunSummary {
        let options = self.options;
        let bounds = Bounds {
            start: window.start.map(|at| at.0),
            end: window.end.map(|at| at.0),
            active_ns: window.active_ns,
        };
        let whole = self.profiling.whole(bounds, &self.facts, &options);
        let mut summary = RunSummary {
            metrics: phase_metrics(&self.profiling, &whole, &self.facts),
            errors: self.profiling.errors.ranked(),
            counts: self.profiling.counts,
            warmup_counts: self.warmup.counts,
            notes: notes(&self.profiling, &whole, &options),
            ..RunSummary::default()
        };
        if !self.warmup.is_empty() {
            let bounds = Bounds {
                start: window.warmup.map(|(start, _)| start.0),
                end: window.warmup.map(|(_, end)| end.0),
                active_ns: None,
            };
            let facts = RunFacts { gpu_energy: Vec::new(), ..self.facts };
            let options = Options { slice_ns: None, ..options };
            let whole = self.warmup.whole(bounds, &facts, &options);
            summary.warmup_metrics = Some(phase_metrics(&self.warmup, &whole, &facts));
        }
        summary.slices = whole.slices;
        summary
    }
}

fn phase_metrics(phase: &PhaseStatistics, whole: &phase::Whole, facts: &RunFacts) -> MetricSet {
    derived::metrics(
        &whole.aggregate,
        &derived::Context {
            window_s: whole.window_s,
            weighted: Some(&whole.weighted),
            facts,
            goodput: phase.judged(),
            whole_phase: true,
        },
    )
}

fn notes(phase: &PhaseStatistics, whole: &phase::Whole, options: &Options) -> Vec<String> {
    let mut notes = Vec::new();
    if phase.is_folded() {
        notes.push(format!(
            "more than {} requests or {} gaps: percentiles come from histograms of three significant digits, \
             time-weighted percentiles from means over bins of time",
            options.fold_after, options.most_gaps
        ));
    } else if whole.weighted.approximate {
        notes.push(
            "time-weighted percentiles marked approximate come from histograms of four significant digits"
                .to_owned(),
        );
    }
    notes
}
