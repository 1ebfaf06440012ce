//! The values behind the series: atomics, so that a request never waits for a scrape or for another request.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::SystemTime;

use crate::catalogue::{MetricSpec, Unit};
use crate::tracker::TraceId;

/// A count that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Relaxed);
    }

    /// The count.
    pub fn value(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A number that goes up and down.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// Replaces the value.
    pub fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Relaxed);
    }

    /// Adds; negative to take away.
    pub fn add(&self, change: f64) {
        let _ = self.0.fetch_update(Relaxed, Relaxed, |bits| Some((f64::from_bits(bits) + change).to_bits()));
    }

    /// The value.
    pub fn value(&self) -> f64 {
        f64::from_bits(self.0.load(Relaxed))
    }
}

/// One observation that stands for its bucket, with the trace it belongs to (OpenMetrics exemplars).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exemplar {
    /// The trace.
    pub trace_id: TraceId,
    /// The value, in the histogram's unit.
    pub value: f64,
    /// When it was observed.
    pub at: SystemTime,
}

/// A histogram: integer counts by bucket and an integer sum, in nanoseconds where the unit is seconds.
#[derive(Debug)]
pub struct Histogram {
    /// Upper bounds in raw units.
    bounds: Box<[u64]>,
    /// One more than bounds: the last is `+Inf`.
    buckets: Box<[AtomicU64]>,
    sum: AtomicU64,
    exemplars: Box<[Mutex<Option<Exemplar>>]>,
    /// Raw units of one unit.
    scale: f64,
}

impl Histogram {
    /// An empty histogram with the bounds of a row of the catalogue.
    pub fn new(spec: &MetricSpec) -> Self {
        let scale = if spec.unit == Unit::Seconds { 1e9 } else { 1.0 };
        let bounds: Box<[u64]> = spec.buckets.iter().map(|bound| (bound * scale).round() as u64).collect();
        let places = bounds.len() + 1;
        Histogram {
            buckets: (0..places).map(|_| AtomicU64::new(0)).collect(),
            exemplars: (0..places).map(|_| Mutex::new(None)).collect(),
            sum: AtomicU64::new(0),
            bounds,
            scale,
        }
    }

    /// Counts a value: nanoseconds where the unit is seconds, else the unit itself.
    pub fn observe(&self, raw: u64) {
        self.observe_traced(raw, None);
    }

    /// The same, with the trace it belongs to. A bucket keeps the latest trace, unless another thread is just
    /// writing there.
    pub fn observe_traced(&self, raw: u64, trace_id: Option<&TraceId>) {
        let place = self.bounds.partition_point(|&bound| bound < raw);
        self.buckets[place].fetch_add(1, Relaxed);
        self.sum.fetch_add(raw, Relaxed);
        if let Some(&trace_id) = trace_id
            && let Ok(mut exemplar) = self.exemplars[place].try_lock()
        {
            *exemplar = Some(Exemplar { trace_id, value: raw as f64 / self.scale, at: SystemTime::now() });
        }
    }

    /// Observations so far.
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|bucket| bucket.load(Relaxed)).sum()
    }

    /// Their sum, in the unit.
    pub fn sum(&self) -> f64 {
        self.sum.load(Relaxed) as f64 / self.scale
    }

    /// Cumulative count and exemplar of each bucket; the last is `+Inf` and so the count of all.
    pub(super) fn cumulative(&self) -> Vec<(u64, Option<Exemplar>)> {
        let mut so_far = 0;
        let buckets = self.buckets.iter().zip(&self.exemplars);
        buckets
            .map(|(bucket, exemplar)| {
                so_far += bucket.load(Relaxed);
                (so_far, exemplar.lock().ok().and_then(|exemplar| *exemplar))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Metric;

    #[test]
    fn a_bound_belongs_to_its_bucket() {
        let histogram = Histogram::new(Metric::FrontendProcessing.spec());
        for raw in [1_000_000, 1_000_001, 500_000_000, 500_000_001] {
            histogram.observe(raw);
        }
        let counts: Vec<u64> = histogram.cumulative().into_iter().map(|(count, _)| count).collect();
        assert_eq!(counts, [1, 2, 2, 2, 2, 2, 2, 3, 4]);
        assert!((histogram.sum() - 1.002_000_002).abs() < 1e-12, "{}", histogram.sum());
    }

    #[test]
    fn the_exemplar_lands_in_the_bucket_of_its_value() {
        let histogram = Histogram::new(Metric::BackendTtfb.spec());
        let header = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let trace = TraceId::of_traceparent(header).unwrap();
        histogram.observe_traced(700_000_000, Some(&trace));
        let places = histogram.cumulative();
        let with: Vec<usize> = (0..places.len()).filter(|&at| places[at].1.is_some()).collect();
        assert_eq!(with, [2], "0.5 < 0.7 <= 1");
        let exemplar = places[2].1.unwrap();
        assert_eq!((exemplar.trace_id, exemplar.value), (trace, 0.7));
    }

    /// Runs under Miri, too, which draws the order of relaxed operations.
    #[test]
    fn threads_lose_no_observation() {
        const EACH: u64 = 20;
        let histogram = Histogram::new(Metric::FrontendProcessing.spec());
        let gauge = Gauge::default();
        std::thread::scope(|scope| {
            for thread in 0..3 {
                let (histogram, gauge) = (&histogram, &gauge);
                scope.spawn(move || {
                    for number in 0..EACH {
                        histogram.observe(1_000_000 * (thread * EACH + number));
                        gauge.add(1.0);
                    }
                });
            }
        });
        assert_eq!(histogram.count(), 3 * EACH);
        let milliseconds: u64 = (0..3 * EACH).sum();
        assert!((histogram.sum() - milliseconds as f64 / 1e3).abs() < 1e-9, "{}", histogram.sum());
        assert_eq!(gauge.value(), 60.0);
    }

    #[test]
    fn a_gauge_moves_both_ways() {
        let gauge = Gauge::default();
        gauge.add(2.0);
        gauge.add(-0.5);
        assert_eq!(gauge.value(), 1.5);
    }
}
