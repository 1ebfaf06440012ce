//! Two runs, metric by metric: what changed, by how much, and whether that is more than chance.
//!
//! For each figure the runs are resampled ([`crate::analysis::confidence`]); the interval of the difference is
//! *simultaneous*: with `alpha` = 5 %, comparing two runs of the same server shows any difference at all in at most
//! 5 % of the comparisons, however many figures are looked at (Bonferroni). A figure is called better or worse when its
//! interval leaves zero out and the change is not smaller than `min_effect`.
//!
//! Intervals know the noise within a run, not what differs from run to run (a warm cache, a noisy neighbour). Two runs
//! of the same server, compared with each other, show how large that is.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use crate::analysis::run_sample::RunSample;
use crate::analysis::statistic::{Figure, Statistic};
use crate::metric::MetricId;
use crate::metric::catalogue as c;

pub mod config;
pub mod text;

/// How to compare.
#[derive(Clone, Debug)]
pub struct Options {
    /// Rate of comparisons of equal runs in which anything is called better or worse.
    pub alpha: f64,
    /// Smallest relative change that counts (0.01 is 1 %).
    pub min_effect: f64,
    /// Seed of the resampling; the same seed gives the same result.
    pub seed: u64,
    /// Draws for each figure.
    pub draws: usize,
    /// Metrics to compare instead of the usual ones.
    pub metrics: Vec<MetricId>,
    /// Statistics of the metrics that every request has.
    pub statistics: Vec<Statistic>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            alpha: 0.05,
            min_effect: 0.01,
            seed: 0,
            draws: 10_000,
            metrics: Vec::new(),
            statistics: vec![
                Statistic::Avg,
                Statistic::Percentile(50.0),
                Statistic::Percentile(90.0),
                Statistic::Percentile(99.0),
            ],
        }
    }
}

/// The metrics that are compared unless others are asked for: what a user of the server feels, and what it delivers.
const USUAL: [MetricId; 9] = [
    c::REQUEST_LATENCY,
    c::EFFECTIVE_LATENCY,
    c::TIME_TO_FIRST_TOKEN,
    c::INTER_TOKEN_LATENCY,
    c::OUTPUT_TOKEN_THROUGHPUT_PER_USER,
    c::REQUEST_THROUGHPUT,
    c::OUTPUT_TOKEN_THROUGHPUT,
    c::GOODPUT,
    c::REQUEST_ERROR_RATE,
];

/// What describes the work and not how well it was done: different means that the runs did different work.
const WORK: [MetricId; 2] = [c::INPUT_SEQUENCE_LENGTH, c::OUTPUT_SEQUENCE_LENGTH];

/// What became of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It improved.
    Better,
    /// It got worse.
    Worse,
    /// The work itself differs (input or output lengths).
    Different,
    /// The difference may well be chance, or is too small to matter.
    NoEvidence,
    /// There are too few requests to tell.
    NotEnoughSamples,
    /// One of the runs is known by its summary only: two numbers, no interval, no verdict.
    SummaryOnly,
}

impl Change {
    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Change::Better => "better",
            Change::Worse => "worse",
            Change::Different => "different work",
            Change::NoEvidence => "no evidence",
            Change::NotEnoughSamples => "not enough samples",
            Change::SummaryOnly => "summary only",
        }
    }
}

/// One figure of both runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FigureComparison {
    /// The figure.
    pub figure: Figure,
    /// Unit of the values.
    pub unit: &'static str,
    /// Whether more is better; `None` for what is neither.
    pub larger_is_better: Option<bool>,
    /// In the baseline.
    pub baseline: f64,
    /// In the other run.
    pub candidate: f64,
    /// Values behind both.
    pub samples: [u64; 2],
    /// Relative change, %; for the error rate the difference in percentage points.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change_pct: Option<f64>,
    /// Simultaneous confidence interval of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval_pct: Option<[f64; 2]>,
    /// Verdict.
    pub change: Change,
}

/// Two runs compared.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// Name of the baseline.
    pub baseline: String,
    /// Name of the other run.
    pub candidate: String,
    /// Rate of false differences for the whole comparison.
    pub alpha: f64,
    /// Smallest change that counts, %.
    pub min_effect_pct: f64,
    /// Figures of which both runs know something.
    pub figures: Vec<FigureComparison>,
    /// Requests of both.
    pub requests: [u64; 2],
}

impl Comparison {
    /// Whether any figure got worse.
    pub fn any_worse(&self) -> bool {
        self.figures.iter().any(|figure| figure.change == Change::Worse)
    }

    /// Whether the runs did different work.
    pub fn different_work(&self) -> bool {
        self.figures.iter().any(|figure| figure.change == Change::Different)
    }
}

/// How a change is measured.
fn is_difference(metric: MetricId) -> bool {
    // Rates of errors are often 0 on one side, where a ratio says nothing.
    metric == c::REQUEST_ERROR_RATE
}

fn direction(metric: MetricId) -> Option<bool> {
    (!WORK.contains(&metric)).then(|| metric.def().larger_is_better())
}

/// The figures both runs know.
fn figures(baseline: &RunSample, candidate: &RunSample, options: &Options) -> Vec<Figure> {
    let usual: Vec<MetricId> = USUAL.into_iter().chain(WORK).collect();
    let metrics = if options.metrics.is_empty() { &usual } else { &options.metrics };
    let both =
        |figure: &Figure| baseline.estimate(*figure).is_some() && candidate.estimate(*figure).is_some();
    let mut figures = Vec::new();
    for metric in metrics.iter().copied() {
        let whole = Figure { metric, statistic: None };
        if both(&whole) {
            figures.push(whole);
            continue;
        }
        let work = [Statistic::Avg];
        let statistics = if WORK.contains(&metric) { &work[..] } else { &options.statistics };
        figures.extend(
            statistics.iter().map(|statistic| Figure { metric, statistic: Some(*statistic) }).filter(both),
        );
    }
    figures
}

/// Draws of the change of a figure, in %.
pub(crate) fn change_draws(
    figure: Figure,
    baseline: &RunSample,
    candidate: &RunSample,
    draws: usize,
    random: &mut ChaCha8Rng,
) -> Option<Vec<f64>> {
    let from = baseline.draws(figure, draws, random)?;
    let to = candidate.draws(figure, draws, random)?;
    let difference = is_difference(figure.metric);
    let change = |(from, to): (f64, f64)| if difference { to - from } else { 100.0 * (to / from - 1.0) };
    let mut changes: Vec<f64> = from.into_iter().zip(to).map(change).collect();
    if changes.iter().any(|change| change.is_nan()) {
        return None;
    }
    changes.sort_unstable_by(f64::total_cmp);
    Some(changes)
}

/// The change of a figure, in %.
pub(crate) fn change(figure: Figure, baseline: f64, candidate: f64) -> Option<f64> {
    let change = if is_difference(figure.metric) {
        candidate - baseline
    } else {
        100.0 * (candidate / baseline - 1.0)
    };
    change.is_finite().then_some(change)
}

/// The value below which a share `q` of ascending draws lies.
pub(crate) fn draw_at(sorted: &[f64], q: f64) -> f64 {
    let index = (q * sorted.len() as f64) as usize;
    sorted[index.min(sorted.len() - 1)]
}

/// Compares a run with a baseline.
pub fn compare(baseline: &RunSample, candidate: &RunSample, options: &Options) -> Comparison {
    let mut random = ChaCha8Rng::seed_from_u64(options.seed);
    let figures = figures(baseline, candidate, options);
    let drawn: Vec<(Figure, Option<Vec<f64>>)> = figures
        .into_iter()
        .map(|figure| (figure, change_draws(figure, baseline, candidate, options.draws, &mut random)))
        .collect();
    // Only figures that could be called anything share the rate of false calls.
    let tests = drawn.iter().filter(|(_, draws)| draws.is_some()).count().max(1);
    let tail = options.alpha / tests as f64 / 2.0;
    let known = baseline.has_records() && candidate.has_records();
    let figures = drawn
        .into_iter()
        .filter_map(|(figure, draws)| {
            let (from, to) = (baseline.estimate(figure)?, candidate.estimate(figure)?);
            let change_pct = change(figure, from.value, to.value);
            let interval_pct = draws.map(|draws| [draw_at(&draws, tail), draw_at(&draws, 1.0 - tail)]);
            Some(FigureComparison {
                figure,
                unit: figure.metric.def().unit,
                larger_is_better: direction(figure.metric),
                baseline: from.value,
                candidate: to.value,
                samples: [from.samples, to.samples],
                change_pct,
                interval_pct,
                change: verdict(figure, change_pct, interval_pct, known, options.min_effect),
            })
        })
        .collect();
    Comparison {
        baseline: baseline.name.clone(),
        candidate: candidate.name.clone(),
        alpha: options.alpha,
        min_effect_pct: 100.0 * options.min_effect,
        figures,
        requests: [baseline.requests(), candidate.requests()],
    }
}

fn verdict(
    figure: Figure,
    change_pct: Option<f64>,
    interval_pct: Option<[f64; 2]>,
    known: bool,
    min_effect: f64,
) -> Change {
    if !known {
        return Change::SummaryOnly;
    }
    let (Some(change), Some([low, high])) = (change_pct, interval_pct) else {
        return Change::NotEnoughSamples;
    };
    let matters = is_difference(figure.metric) || change.abs() >= 100.0 * min_effect;
    if !matters || low <= 0.0 && high >= 0.0 {
        return Change::NoEvidence;
    }
    match direction(figure.metric) {
        None => Change::Different,
        Some(larger_is_better) if larger_is_better == (change > 0.0) => Change::Better,
        Some(_) => Change::Worse,
    }
}
