//! Values of one figure: exact up to a bound, a histogram beyond it.

use serde::Serialize;

use crate::statistics::histogram::LogHistogram;

/// Summary of the values of one figure.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Unit of every number below except `count`.
    pub unit: &'static str,
    /// Number of values.
    pub count: u64,
    /// Smallest value.
    pub min: f64,
    /// Largest value.
    pub max: f64,
    /// Arithmetic mean.
    pub avg: f64,
    /// Middle value; the mean of the two middle ones when their number is even.
    pub median: f64,
    /// Nearest-rank 50th percentile.
    pub p50: f64,
    /// Nearest-rank 90th percentile.
    pub p90: f64,
    /// Nearest-rank 95th percentile.
    pub p95: f64,
    /// Nearest-rank 99th percentile.
    pub p99: f64,
    /// Sum of all values.
    pub sum: f64,
    /// Whether median and percentiles come from a histogram (error at most 0.1 %) because there were more
    /// values than are kept; count, min, max, avg and sum are exact always.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub approximate: bool,
}

/// Index of percentile `p` in `count` sorted values: `min(int(n * p / 100), n - 1)` (contract ANALYZE 1).
pub fn nearest_rank(count: usize, p: f64) -> usize {
    ((count as f64 * p / 100.0) as usize).min(count.saturating_sub(1))
}

/// A sum that does not depend on how the records were split among readers: what rounding takes from it is kept
/// beside it and added at the end (Neumaier's summation).
fn order_free_sum(values: &[f64]) -> f64 {
    let (mut sum, mut lost) = (0.0, 0.0);
    for value in values {
        let next: f64 = sum + value;
        let added = next - sum;
        lost += (sum - (next - added)) + (value - added);
        sum = next;
    }
    if lost.is_finite() { sum + lost } else { sum }
}

impl Summary {
    /// Summary of values, which it brings into another order. `None` when there are none.
    pub fn of(values: &mut [f64], unit: &'static str) -> Option<Summary> {
        let min = values.iter().copied().min_by(f64::total_cmp)?;
        let max = values.iter().copied().max_by(f64::total_cmp)?;
        let count = values.len();
        let sum = order_free_sum(values);
        // What was at a rank stays there: the ranks ascend, and only what lies above the last one is moved.
        let mut settled = 0;
        let mut at_rank = |rank: usize| {
            let (_, value, _) = values[settled..].select_nth_unstable_by(rank - settled, f64::total_cmp);
            settled = rank;
            *value
        };
        let below_middle = at_rank((count - 1) / 2);
        let median = (below_middle + at_rank(count / 2)) / 2.0;
        let mut at = |p| at_rank(nearest_rank(count, p));
        Some(Summary {
            unit,
            count: count as u64,
            min,
            max,
            avg: sum / count as f64,
            median,
            p50: at(50.0),
            p90: at(90.0),
            p95: at(95.0),
            p99: at(99.0),
            sum,
            approximate: false,
        })
    }

    /// The same summary in another unit: every value divided by `divisor`.
    pub fn divided(mut self, divisor: f64, unit: &'static str) -> Summary {
        for value in [
            &mut self.min,
            &mut self.max,
            &mut self.avg,
            &mut self.median,
            &mut self.p50,
            &mut self.p90,
            &mut self.p95,
            &mut self.p99,
            &mut self.sum,
        ] {
            *value /= divisor;
        }
        self.unit = unit;
        self
    }
}

/// Mantissa bits of a histogram bucket: the middle of a bucket is within 0.05 % of its values.
const PRECISION: u32 = 10;

/// Values that are kept one by one up to a bound and counted in a histogram afterwards.
#[derive(Clone, Debug)]
pub struct Distribution {
    exact: Vec<f64>,
    limit: usize,
    histogram: Option<LogHistogram>,
    count: u64,
    sum: f64,
    min: f64,
    max: f64,
}

impl Distribution {
    /// An empty distribution that keeps up to `limit` values exactly.
    pub fn new(limit: usize) -> Self {
        Distribution {
            exact: Vec::new(),
            limit,
            histogram: None,
            count: 0,
            sum: 0.0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
        }
    }

    /// Adds one value; negative and non-finite ones have no place in any figure and are dropped.
    #[inline]
    pub fn add(&mut self, value: f64) {
        if !value.is_finite() || value < 0.0 {
            return;
        }
        self.count += 1;
        self.sum += value;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        match &mut self.histogram {
            Some(histogram) => histogram.add(value, 1),
            None => {
                self.exact.push(value);
                if self.exact.len() > self.limit {
                    self.fold();
                }
            }
        }
    }

    /// Adds all values of another distribution; the result keeps up to `limit` values exactly.
    pub fn merge(&mut self, other: Distribution, limit: usize) {
        self.limit = limit;
        self.count += other.count;
        self.sum += other.sum;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.exact.extend_from_slice(&other.exact);
        if other.histogram.is_some() || self.histogram.is_some() || self.exact.len() > self.limit {
            self.fold();
            if let (Some(own), Some(others)) = (&mut self.histogram, &other.histogram) {
                own.merge(others);
            }
        }
    }

    /// Number of values.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Moves the exact values into the histogram.
    #[cold]
    fn fold(&mut self) {
        let histogram = self.histogram.get_or_insert_with(|| LogHistogram::new(PRECISION));
        for value in std::mem::take(&mut self.exact) {
            histogram.add(value, 1);
        }
    }

    /// The summary; `None` when there are no values.
    pub fn summary(mut self, unit: &'static str) -> Option<Summary> {
        let Some(histogram) = &self.histogram else {
            return Summary::of(&mut self.exact, unit);
        };
        let rank = |p| nearest_rank(self.count as usize, p) as f64;
        let at = |p| histogram.value_at(rank(p)).map_or(self.min, |value| value.clamp(self.min, self.max));
        Some(Summary {
            unit,
            count: self.count,
            min: self.min,
            max: self.max,
            avg: self.sum / self.count as f64,
            median: at(50.0),
            p50: at(50.0),
            p90: at(90.0),
            p95: at(95.0),
            p99: at(99.0),
            sum: self.sum,
            approximate: true,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_rank_and_medians_interpolate() {
        // The seed's token throughput of four records.
        let mut values = [1280.0, 4551.11, 1422.22, 3413.33];
        let summary = Summary::of(&mut values, "tokens/sec").unwrap();
        assert_eq!((summary.p50, summary.p90, summary.p99), (3413.33, 4551.11, 4551.11));
        assert_eq!(summary.median, (1422.22 + 3413.33) / 2.0);
        assert_eq!(Summary::of(&mut [], "x"), None);
        let one = Summary::of(&mut [7.0], "x").unwrap();
        assert_eq!((one.min, one.median, one.p99, one.avg), (7.0, 7.0, 7.0, 7.0));
    }

    #[test]
    fn a_summary_is_that_of_the_sorted_values_in_whatever_order_they_come() {
        for count in 1..200u32 {
            let mut sorted: Vec<f64> = (0..count).map(|i| f64::from(i * i % 71) / 7.0 + 1e9).collect();
            let mut turned = sorted.clone();
            turned.rotate_left(count as usize / 3);
            sorted.sort_unstable_by(f64::total_cmp);
            let at = |p| sorted[nearest_rank(sorted.len(), p)];
            let ranks = [sorted[0], at(50.0), at(90.0), at(95.0), at(99.0), sorted[sorted.len() - 1]];
            let summary = Summary::of(&mut turned, "x").unwrap();
            assert_eq!([summary.min, summary.p50, summary.p90, summary.p95, summary.p99, summary.max], ranks);
            assert_eq!(Some(&summary), Summary::of(&mut sorted, "x").as_ref());
        }
        // Added one by one, the ones would all be rounded away.
        let mut values = vec![1.0; 1_000];
        values.push(1e17);
        values.rotate_right(1);
        assert_eq!(Summary::of(&mut values, "x").unwrap().sum, 1e17 + 1_000.0);
    }

    #[test]
    fn beyond_the_bound_percentiles_stay_within_a_thousandth() {
        let mut bounded = Distribution::new(100);
        let mut exact = Vec::new();
        for i in 0..20_000u64 {
            let value = (i * i % 7_919 * 1_000 + i) as f64;
            bounded.add(value);
            exact.push(value);
        }
        let exact = Summary::of(&mut exact, "ns").unwrap();
        let bounded = bounded.summary("ns").unwrap();
        assert!(bounded.approximate);
        assert_eq!((bounded.count, bounded.min, bounded.max), (exact.count, exact.min, exact.max));
        assert_eq!(bounded.sum, exact.sum);
        for (ours, truth) in [(bounded.p50, exact.p50), (bounded.p90, exact.p90), (bounded.p99, exact.p99)] {
            assert!((ours - truth).abs() <= truth * 0.001, "{ours} against {truth}");
        }
    }

    #[test]
    fn merged_parts_equal_the_whole() {
        let mut whole = Distribution::new(1_000);
        let mut parts = [Distribution::new(1_000), Distribution::new(1_000)];
        for i in 0..600u64 {
            whole.add((i * 37 % 600) as f64);
            parts[(i % 2) as usize].add((i * 37 % 600) as f64);
        }
        let [mut first, second] = parts;
        first.merge(second, 1_000);
        assert_eq!(first.summary("x"), whole.summary("x"));
        // And one side beyond its bound, one below.
        let mut large = Distribution::new(10);
        (0..100).for_each(|i| large.add(f64::from(i)));
        let mut small = Distribution::new(10);
        small.add(1_000.0);
        large.merge(small.clone(), 10);
        small.merge(
            {
                let mut again = Distribution::new(10);
                (0..100).for_each(|i| again.add(f64::from(i)));
                again
            },
            10,
        );
        assert_eq!(large.summary("x"), small.summary("x"));
    }

    #[test]
    fn what_is_no_measurement_is_dropped() {
        let mut values = Distribution::new(10);
        for value in [f64::NAN, f64::INFINITY, -1.0, 3.0] {
            values.add(value);
        }
        assert_eq!(values.count(), 1);
    }
}
