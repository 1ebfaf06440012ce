//! Time-weighted statistics of the nine curves of a sweep.

use super::{Level, Stretch, to_f64};
use crate::metric::MetricId;
use crate::metric::catalogue::*;
use crate::statistics::histogram::LogHistogram;
use crate::statistics::summary::MetricSummary;

/// Value-duration pairs a curve keeps for exact percentiles (8 MiB); beyond, a histogram of four digits.
const MOST_PAIRS: usize = 1 << 19;

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

/// Values of all nine curves, and which of the three masks are on.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::statistics) struct Values {
    curves: [f64; CURVES],
}

impl Values {
    /// From the base curves: concurrencies, rates in tokens/s, tokens in flight.
    pub(super) fn new(
        [running, decoding, prefilling]: [f64; 3],
        [decode, prefill, total]: [f64; 3],
        in_flight: f64,
    ) -> Values {
        let share = |rate: f64, users: f64| if users > 0.0 { rate / users } else { 0.0 };
        let mut curves = [0.0; CURVES];
        curves[RUNNING] = running;
        curves[DECODING] = decoding;
        curves[PREFILLING] = prefilling;
        curves[IN_FLIGHT] = in_flight;
        curves[DECODE] = decode;
        curves[PREFILL] = prefill;
        curves[DECODE_PER_USER] = share(decode, decoding);
        curves[PREFILL_PER_USER] = share(prefill, prefilling);
        curves[TOTAL] = total;
        Values { curves }
    }

    /// Whether time counts as active for a curve. Where it does not, the curve is zero.
    fn active(&self, curve: usize) -> bool {
        let mask = match curve {
            DECODE | DECODE_PER_USER => DECODING,
            PREFILL | PREFILL_PER_USER => PREFILLING,
            TOTAL => RUNNING,
            _ => return true,
        };
        self.curves[mask] > 0.0
    }
}

/// All curves over one window.
#[derive(Debug, Default)]
pub(in crate::statistics) struct CurveSet {
    curves: [Curve; CURVES],
}

impl CurveSet {
    /// Adds what lies within the window of the stretch from `from` to `to`, in which nothing changed.
    pub(super) fn add_between(&mut self, window: Stretch, from: u64, to: u64, level: &Level) {
        let (from, to) = (from.max(window.from), to.min(window.to));
        if to > from {
            let values = Values::new(
                [level.running as f64, level.decoding as f64, level.prefilling as f64],
                [to_f64(level.decode), to_f64(level.prefill), to_f64(level.total)],
                to_f64(level.in_flight),
            );
            self.add(&values, to - from);
        }
    }

    /// Adds values that held for `ns`.
    pub(super) fn add(&mut self, values: &Values, ns: u64) {
        for (place, curve) in self.curves.iter_mut().enumerate() {
            if values.active(place) {
                curve.add(values.curves[place], ns);
            } else {
                curve.idle += ns;
            }
        }
    }

    pub(super) fn finish(self) -> TimeWeighted {
        let mut curves = self.curves;
        let mut approximate = false;
        let metrics = METRICS.map(|(id, place, active)| {
            let curve = &mut curves[place];
            curve.flush();
            approximate |= curve.histogram.is_some();
            (id, curve.summary(id.def().unit, !active))
        });
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
    /// Value that holds now, and for how long it has not been added yet.
    value: f64,
    pending: u64,
    /// Time in which the curve is zero because nobody was there to contribute.
    idle: u64,
    duration: u64,
    mean: f64,
    squares: f64,
    min: f64,
    max: f64,
    pairs: Vec<(f64, u64)>,
    histogram: Option<LogHistogram>,
}

impl Curve {
    fn add(&mut self, value: f64, ns: u64) {
        if value != self.value {
            self.flush();
            self.value = value;
        }
        self.pending += ns;
    }

    fn flush(&mut self) {
        let (value, ns) = (self.value, std::mem::take(&mut self.pending));
        if ns == 0 {
            return;
        }
        if self.duration == 0 {
            (self.min, self.max) = (value, value);
        }
        self.duration += ns;
        let before = value - self.mean;
        self.mean += before * (ns as f64 / self.duration as f64);
        self.squares += before * (value - self.mean) * ns as f64;
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
        let (active, all) = (self.duration as f64, total as f64);
        let mean = self.mean * active / all;
        let squares = self.squares + self.mean * self.mean * active * idle as f64 / all;
        let std = (squares / all).max(0.0).sqrt();
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
        avg: Some(avg),
        p50: Some(p50),
        p90: Some(p90),
        p95: Some(p95),
        p99: Some(p99),
        min: Some(min),
        max: Some(max),
        std: Some(std),
        approximate,
        ..MetricSummary::default()
    }
}
