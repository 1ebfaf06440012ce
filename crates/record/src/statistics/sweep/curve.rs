//! Time-weighted statistics of the nine curves of a sweep.

use super::{Level, Stretch, to_f64};
use crate::metric::MetricId;
use crate::metric::catalogue::*;
use crate::statistics::histogram::LogHistogram;
use crate::statistics::summary::{MetricSummary, finite};

/// Value-duration pairs a curve keeps for exact percentiles (16 MiB); beyond, a histogram of four digits.
const MOST_PAIRS: usize = 1 << 20;

const CURVES: usize = 9;
const RUNNING: usize = 0;
const DECODING: usize = 1;
const PREFILLING: usize = 2;
const IN_FLIGHT: usize = 3;
const DECODE: usize = 4;
const PREFILL: usize = 5;
const DECODE_PER_USER: usize = 6;
const PREFILL_PER_USER: usize = 7;
const TOTAL: usize = 8;

/// The curve, and the curve whose being positive makes time active for it, behind each metric.
const METRICS: [(MetricId, usize, bool); 14] = [
    (EFFECTIVE_CONCURRENCY, RUNNING, false),
    (EFFECTIVE_DECODE_THROUGHPUT, DECODE, false),
    (EFFECTIVE_PREFILL_THROUGHPUT, PREFILL, false),
    (EFFECTIVE_DECODE_CONCURRENCY, DECODING, false),
    (EFFECTIVE_PREFILL_CONCURRENCY, PREFILLING, false),
    (EFFECTIVE_TOTAL_THROUGHPUT, TOTAL, false),
    (EFFECTIVE_DECODE_THROUGHPUT_PER_USER, DECODE_PER_USER, false),
    (EFFECTIVE_PREFILL_THROUGHPUT_PER_USER, PREFILL_PER_USER, false),
    (TOKENS_IN_FLIGHT, IN_FLIGHT, false),
    (ACTIVE_DECODE_THROUGHPUT, DECODE, true),
    (ACTIVE_PREFILL_THROUGHPUT, PREFILL, true),
    (ACTIVE_DECODE_THROUGHPUT_PER_USER, DECODE_PER_USER, true),
    (ACTIVE_PREFILL_THROUGHPUT_PER_USER, PREFILL_PER_USER, true),
    (ACTIVE_TOTAL_THROUGHPUT, TOTAL, true),
];

/// Values of the base curves: concurrencies, rates in tokens/s, tokens in flight.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Values {
    pub running: f64,
    pub decoding: f64,
    pub prefilling: f64,
    pub decode: f64,
    pub prefill: f64,
    pub total: f64,
    pub in_flight: f64,
}

/// All curves over one window. Only a curve that changes costs anything.
#[derive(Debug, Default)]
pub(in crate::statistics) struct CurveSet {
    curves: [Curve; CURVES],
    /// Time added so far.
    clock: u64,
    /// Levels at the last change.
    level: Level,
}

impl CurveSet {
    /// Adds what lies within the window of the stretch from `from` to `to`, in which nothing changed.
    pub(super) fn add_between(&mut self, window: Stretch, from: u64, to: u64, level: &Level) {
        let (from, to) = (from.max(window.from), to.min(window.to));
        if to > from {
            self.set_level(level);
            self.clock += to - from;
        }
    }

    /// Adds values that held for `ns`.
    pub(super) fn add(&mut self, values: &Values, ns: u64) {
        if ns == 0 {
            return;
        }
        self.set(RUNNING, values.running, true);
        self.set(IN_FLIGHT, values.in_flight, true);
        self.set(TOTAL, values.total, values.running > 0.0);
        self.set_decode(values.decoding, values.decode);
        self.set_prefill(values.prefilling, values.prefill);
        self.clock += ns;
    }

    fn set_level(&mut self, level: &Level) {
        let last = std::mem::replace(&mut self.level, *level);
        if level.running != last.running {
            self.set(RUNNING, level.running as f64, true);
        }
        if level.in_flight != last.in_flight {
            self.set(IN_FLIGHT, to_f64(level.in_flight), true);
        }
        if level.total != last.total || level.running != last.running {
            self.set(TOTAL, to_f64(level.total), level.running > 0);
        }
        if level.decode != last.decode || level.decoding != last.decoding {
            self.set_decode(level.decoding as f64, to_f64(level.decode));
        }
        if level.prefill != last.prefill || level.prefilling != last.prefilling {
            self.set_prefill(level.prefilling as f64, to_f64(level.prefill));
        }
    }

    /// A rate is zero where nobody contributes to it; that time is not active.
    fn set_decode(&mut self, users: f64, rate: f64) {
        let active = users > 0.0;
        self.set(DECODING, users, true);
        self.set(DECODE, rate, active);
        self.set(DECODE_PER_USER, if active { rate / users } else { 0.0 }, active);
    }

    fn set_prefill(&mut self, users: f64, rate: f64) {
        let active = users > 0.0;
        self.set(PREFILLING, users, true);
        self.set(PREFILL, rate, active);
        self.set(PREFILL_PER_USER, if active { rate / users } else { 0.0 }, active);
    }

    fn set(&mut self, place: usize, value: f64, active: bool) {
        let curve = &mut self.curves[place];
        // A curve that was never set is zero, and active only if no mask applies to it.
        if value != curve.value || active != curve.active {
            curve.flush(self.clock);
            curve.value = value;
            curve.active = active;
        }
    }

    pub(super) fn finish(self) -> TimeWeighted {
        let CurveSet { mut curves, clock, .. } = self;
        for curve in &mut curves {
            curve.flush(clock);
        }
        let approximate = curves.iter().any(|curve| curve.histogram.is_some());
        let metrics = METRICS.map(|(id, place, active)| (id, curves[place].summary(id.def().unit, !active)));
        TimeWeighted { metrics, approximate }
    }
}

/// The fourteen time-weighted metrics of a window.
#[derive(Clone, Debug)]
pub(in crate::statistics) struct TimeWeighted {
    pub metrics: [(MetricId, MetricSummary); 14],
    /// Some percentiles come from a histogram.
    pub approximate: bool,
}

/// One curve: weighted moments, and value-duration pairs for its percentiles.
#[derive(Debug, Default)]
struct Curve {
    /// Value since the last change, and whether that time is active.
    value: f64,
    active: bool,
    since: u64,
    /// Time in which the curve is zero because nobody was there to contribute.
    idle: u64,
    duration: u64,
    /// First value; sums are of differences from it, so that little cancels.
    base: f64,
    /// Sum of difference times ns, and of squared difference times ns.
    sum: f64,
    squares: f64,
    min: f64,
    max: f64,
    pairs: Vec<(f64, u64)>,
    histogram: Option<LogHistogram>,
}

impl Curve {
    /// Adds the time since the last change.
    fn flush(&mut self, clock: u64) {
        let ns = clock - std::mem::replace(&mut self.since, clock);
        if ns == 0 {
            return;
        }
        if !self.active && self.value == 0.0 {
            self.idle += ns;
            return;
        }
        let value = self.value;
        if self.duration == 0 {
            (self.base, self.min, self.max) = (value, value, value);
        }
        self.duration += ns;
        let apart = value - self.base;
        let weighted = apart * ns as f64;
        self.sum += weighted;
        self.squares += apart * weighted;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        match &mut self.histogram {
            Some(histogram) => histogram.add(value, ns),
            None => {
                self.pairs.push((value, ns));
                if self.pairs.len() >= MOST_PAIRS {
                    self.compact();
                }
            }
        }
    }

    /// Joins pairs of the same value; when there are still too many of them, counts by histogram.
    fn compact(&mut self) {
        self.pairs.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        self.pairs.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same {
                kept.1 += next.1;
            }
            same
        });
        if self.pairs.len() > MOST_PAIRS / 2 {
            let mut histogram = LogHistogram::new(13);
            for (value, ns) in std::mem::take(&mut self.pairs) {
                histogram.add(value, ns);
            }
            self.histogram = Some(histogram);
        }
    }

    /// Statistics over the active time, or with the idle time as zeros.
    fn summary(&mut self, unit: &'static str, with_idle: bool) -> MetricSummary {
        let idle = if with_idle { self.idle } else { 0 };
        let total = self.duration + idle;
        if total == 0 {
            return weighted(unit, 0.0, 0.0, 0.0, 0.0, [0.0; 4], false);
        }
        let all = total as f64;
        // Idle time is zero: its difference from the base is minus the base.
        let sum = self.sum - self.base * idle as f64;
        let squares = self.squares + self.base * self.base * idle as f64;
        let mean = self.base + sum / all;
        let apart = sum / all;
        let std = (squares / all - apart * apart).max(0.0).sqrt();
        let (min, max) = match (self.duration, idle) {
            (0, _) => (0.0, 0.0),
            (_, 0) => (self.min, self.max),
            _ => (self.min.min(0.0), self.max.max(0.0)),
        };
        let targets = [0.5, 0.9, 0.95, 0.99].map(|p| p * all);
        let percentiles = match &self.histogram {
            Some(histogram) => walk(targets, idle, histogram.ascending()).map(|value| value.clamp(min, max)),
            None => {
                self.pairs.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
                walk(targets, idle, self.pairs.iter().copied())
            }
        };
        weighted(unit, mean, std, min, max, percentiles, self.histogram.is_some())
    }
}

/// The value at which the cumulative duration, idle time (zero) first, reaches each of the ascending targets.
fn walk(targets: [f64; 4], idle: u64, pairs: impl Iterator<Item = (f64, u64)>) -> [f64; 4] {
    let mut found = [0.0; 4];
    let mut place = 0;
    let mut seen = idle;
    let mut last = 0.0;
    while place < 4 && seen as f64 >= targets[place] {
        place += 1;
    }
    for (value, ns) in pairs {
        if place == 4 {
            break;
        }
        seen += ns;
        last = value;
        while place < 4 && seen as f64 >= targets[place] {
            found[place] = value;
            place += 1;
        }
    }
    found[place..].fill(last);
    found
}

fn weighted(
    unit: &'static str,
    avg: f64,
    std: f64,
    min: f64,
    max: f64,
    [p50, p90, p95, p99]: [f64; 4],
    approximate: bool,
) -> MetricSummary {
    MetricSummary {
        unit: unit.into(),
        avg: finite(avg),
        p50: finite(p50),
        p90: finite(p90),
        p95: finite(p95),
        p99: finite(p99),
        min: finite(min),
        max: finite(max),
        std: finite(std),
        approximate,
        ..MetricSummary::default()
    }
}
