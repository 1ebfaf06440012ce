//! What is said about a set of numbers: exact float64 statistics as numpy computes them.

use super::histogram::LogHistogram;

/// The percentiles every summary holds.
pub const PERCENTILES: [f64; 9] = [1.0, 5.0, 10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0];

/// Percentile `p` (0 to 100) of ascending values by numpy's default method "linear": rank
/// `h = p/100 (n-1)`, interpolated between its neighbours. `None` for no values.
pub fn percentile_linear(sorted: &[f64], p: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let rank = last as f64 * (p / 100.0).clamp(0.0, 1.0);
    let below = (rank.floor() as usize).min(last);
    let (a, b) = (sorted[below], sorted[(below + 1).min(last)]);
    let t = rank - below as f64;
    // Between two infinities lies infinity, not the NaN of their difference.
    if a == b {
        return Some(a);
    }
    // numpy interpolates from the nearer end, which keeps the result monotonic in `t`.
    Some(if t < 0.5 { a + (b - a) * t } else { b - (b - a) * (1.0 - t) })
}

/// Percentile `p` (0 to 100) of ascending values by numpy's method "nearest": the value at the rank
/// `p/100 (n-1)`, rounded half to even. Never interpolates, so infinities may be among the values.
pub fn percentile_nearest(sorted: &[f64], p: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let rank = (last as f64 * (p / 100.0).clamp(0.0, 1.0)).round_ties_even() as usize;
    Some(sorted[rank.min(last)])
}

/// Sum by halves, as numpy adds: the rounding error grows with log n instead of n.
pub fn pairwise_sum(values: &[f64]) -> f64 {
    pairwise(values, &|value| value)
}

fn pairwise(values: &[f64], term: &impl Fn(f64) -> f64) -> f64 {
    if values.len() <= 64 {
        return values.iter().map(|&value| term(value)).sum();
    }
    let (left, right) = values.split_at(values.len() / 2);
    pairwise(left, term) + pairwise(right, term)
}

/// Statistics of one metric: exact, or from a histogram when `approximate`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Distribution {
    /// Number of values, at least 1.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
    /// Their mean.
    pub avg: f64,
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
    /// Population standard deviation (ddof 0).
    pub std: f64,
    /// At each of [`PERCENTILES`].
    pub percentiles: [f64; 9],
    /// Percentiles come from a histogram (three significant digits); everything else is exact.
    pub approximate: bool,
}

impl Distribution {
    /// Exact statistics of finite values, in any order; sorts them in place. `None` for no values.
    pub fn exact(values: &mut [f64]) -> Option<Distribution> {
        if values.is_empty() {
            return None;
        }
        let count = values.len() as f64;
        let sum = pairwise_sum(values);
        let avg = sum / count;
        let std = (pairwise(values, &|value| (value - avg) * (value - avg)) / count).sqrt();
        values.sort_unstable_by(f64::total_cmp);
        Some(Distribution {
            count: values.len() as u64,
            sum,
            avg,
            min: values[0],
            max: values[values.len() - 1],
            std,
            percentiles: PERCENTILES.map(|p| percentile_linear(values, p).unwrap_or(avg)),
            approximate: false,
        })
    }
}

/// Running statistics of values that are not kept, with a histogram for their percentiles.
#[derive(Clone, Debug)]
pub struct Folded {
    count: u64,
    sum: f64,
    /// What `sum` lost to rounding (Neumaier).
    lost: f64,
    mean: f64,
    /// Sum of squared differences from the mean (Welford).
    squares: f64,
    min: f64,
    max: f64,
    histogram: LogHistogram,
}

impl Default for Folded {
    fn default() -> Self {
        Folded {
            count: 0,
            sum: 0.0,
            lost: 0.0,
            mean: 0.0,
            squares: 0.0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            histogram: LogHistogram::new(10),
        }
    }
}

impl Folded {
    /// Adds a finite value.
    pub fn add(&mut self, value: f64) {
        self.add_many(value, 1);
    }

    fn add_many(&mut self, value: f64, times: u64) {
        self.count += times;
        self.add_sum(value * times as f64);
        let before = value - self.mean;
        self.mean += before * (times as f64 / self.count as f64);
        self.squares += before * (value - self.mean) * times as f64;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        self.histogram.add(value, times);
    }

    /// The same values, each less `amount` but not below zero (from the histogram, so its moments are
    /// approximate too).
    pub fn lowered(&self, amount: f64) -> Folded {
        let mut lowered = Folded::default();
        for (value, times) in self.histogram.ascending() {
            lowered.add_many((value.clamp(self.min, self.max) - amount).max(0.0), times);
        }
        lowered
    }

    /// The least value.
    pub fn min(&self) -> f64 {
        self.min
    }

    /// The value at a rank (0 is the least).
    pub fn value_of(&self, rank: u64) -> f64 {
        self.histogram.value_at(rank as f64).unwrap_or(self.mean).clamp(self.min, self.max)
    }

    fn add_sum(&mut self, value: f64) {
        let sum = self.sum + value;
        self.lost +=
            if self.sum.abs() >= value.abs() { (self.sum - sum) + value } else { (value - sum) + self.sum };
        self.sum = sum;
    }

    /// Adds all values of another.
    pub fn merge(&mut self, other: &Folded) {
        if other.count == 0 {
            return;
        }
        let (a, b) = (self.count as f64, other.count as f64);
        let apart = other.mean - self.mean;
        self.mean += apart * b / (a + b);
        self.squares += other.squares + apart * apart * a * b / (a + b);
        self.count += other.count;
        self.add_sum(other.sum);
        self.lost += other.lost;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.histogram.merge(&other.histogram);
    }

    /// How many values there were.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// What is known of them. `None` for no values.
    pub fn distribution(&self) -> Option<Distribution> {
        if self.count == 0 {
            return None;
        }
        let sum = self.sum + self.lost;
        let last = (self.count - 1) as f64;
        Some(Distribution {
            count: self.count,
            sum,
            avg: sum / self.count as f64,
            min: self.min,
            max: self.max,
            std: (self.squares / self.count as f64).max(0.0).sqrt(),
            percentiles: PERCENTILES.map(|p| {
                let value = self.histogram.value_at(last * p / 100.0).unwrap_or(self.mean);
                value.clamp(self.min, self.max)
            }),
            approximate: true,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn percentiles_interpolate_like_numpy() {
        // numpy.percentile([1, 2, 4, 8], [25, 50, 99])
        let sorted = [1.0, 2.0, 4.0, 8.0];
        assert_eq!(percentile_linear(&sorted, 25.0), Some(1.75));
        assert_eq!(percentile_linear(&sorted, 50.0), Some(3.0));
        assert!((percentile_linear(&sorted, 99.0).unwrap() - 7.88).abs() < 1e-12);
        assert_eq!(percentile_linear(&[], 50.0), None);
        assert_eq!(percentile_linear(&[5.0], 99.0), Some(5.0));
    }

    #[test]
    fn nearest_rounds_half_to_even_and_bears_infinity() {
        let sorted = [1.0, 2.0, f64::INFINITY];
        assert_eq!(percentile_nearest(&sorted, 25.0), Some(1.0)); // rank 0.5 -> 0
        assert_eq!(percentile_nearest(&sorted, 75.0), Some(f64::INFINITY)); // rank 1.5 -> 2
        assert_eq!(percentile_nearest(&sorted, 50.0), Some(2.0));
        assert_eq!(percentile_nearest(&[], 50.0), None);
    }

    proptest! {
        #[test]
        fn exact_equals_the_naive_definition(mut values in prop::collection::vec(-1e6f64..1e6, 1..300)) {
            let n = values.len() as f64;
            let mean = values.iter().sum::<f64>() / n;
            let std = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt();
            let mut sorted = values.clone();
            sorted.sort_by(f64::total_cmp);
            let got = Distribution::exact(&mut values).unwrap();
            prop_assert!((got.avg - mean).abs() <= 1e-9 * mean.abs().max(1.0));
            prop_assert!((got.std - std).abs() <= 1e-9 * std.max(1.0));
            prop_assert_eq!(got.min, sorted[0]);
            prop_assert_eq!(got.max, sorted[sorted.len() - 1]);
            for (i, p) in PERCENTILES.iter().enumerate() {
                let h = p / 100.0 * (n - 1.0);
                let (lo, hi) = (sorted[h.floor() as usize], sorted[h.ceil() as usize]);
                let naive = lo + (hi - lo) * h.fract();
                prop_assert!((got.percentiles[i] - naive).abs() <= 1e-6);
                // A percentile leaves at most its share below it.
                let below = sorted.iter().filter(|&&v| v < got.percentiles[i]).count() as f64;
                prop_assert!(below <= h.ceil() + 1e-9);
            }
        }

        #[test]
        fn folded_keeps_moments_and_three_digits(
            values in prop::collection::vec(prop_oneof![1e-3f64..1e6, -1e3f64..0.0, Just(0.0)], 1..400),
            cut in 0usize..400,
        ) {
            let cut = cut.min(values.len());
            let (mut left, mut right) = (Folded::default(), Folded::default());
            values[..cut].iter().for_each(|&v| left.add(v));
            values[cut..].iter().for_each(|&v| right.add(v));
            left.merge(&right);
            let folded = left.distribution().unwrap();
            let mut sorted = values.clone();
            let exact = Distribution::exact(&mut sorted).unwrap();
            prop_assert_eq!(folded.count, exact.count);
            prop_assert!((folded.sum - exact.sum).abs() <= 1e-9 * values.iter().map(|v| v.abs()).sum::<f64>().max(1e-9));
            prop_assert!((folded.std - exact.std).abs() <= 1e-6 * exact.std.max(1.0));
            prop_assert_eq!((folded.min, folded.max), (exact.min, exact.max));
            for (i, p) in PERCENTILES.iter().enumerate() {
                let rank = (exact.count - 1) as f64 * p / 100.0;
                let (lo, hi) = (sorted[rank.floor() as usize], sorted[rank.ceil() as usize]);
                let slack = 1e-3 * lo.abs().max(hi.abs());
                prop_assert!(folded.percentiles[i] >= lo - slack && folded.percentiles[i] <= hi + slack,
                    "p{}: {} not in {}..{}", p, folded.percentiles[i], lo, hi);
            }
        }
    }
}
