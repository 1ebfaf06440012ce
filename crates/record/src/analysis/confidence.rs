//! What a sample can prove: confidence bounds of quantiles, means and shares, and draws for comparing two runs.
//!
//! Requests of one run are not independent: a queue makes neighbours alike. Every method here takes that into account
//! by batch means: the sample, in time order, is cut into batches, and the spread of the batch means tells how much
//! the whole is really worth. Without correlation the quantile methods are the exact ones: the confidence bounds of
//! order statistics (as MLPerf's early stopping uses them), and the percentile bootstrap, whose resampled quantile is
//! an order statistic with a beta-distributed rank, so that a draw costs one random number instead of a resample.

use rand::Rng;
use rand_distr::{Beta, Distribution as _, StudentT};

use crate::statistics::distribution::{percentile_linear, percentile_nearest};
use crate::statistics::student::{incomplete_beta, t_critical};

/// Which bound is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The value that the truth does not go below.
    Lower,
    /// The value that the truth does not exceed.
    Upper,
}

/// Probability that of `n` independent events of probability `q` at most `j` occur.
fn binomial_at_most(n: u64, q: f64, j: u64) -> f64 {
    if j >= n { 1.0 } else { incomplete_beta((n - j) as f64, j as f64 + 1.0, 1.0 - q) }
}

/// Batches for batch means of `n` values: few values are taken one by one.
fn batches(n: usize) -> usize {
    match n {
        0..100 => n,
        100..500 => 20,
        _ => 50,
    }
}

/// Means of consecutive batches of nearly equal length.
fn batch_means(values: impl ExactSizeIterator<Item = f64>) -> Vec<f64> {
    let n = values.len();
    let count = batches(n);
    let mut sums = vec![(0.0, 0u32); count];
    for (index, value) in values.enumerate() {
        let (sum, size) = &mut sums[index * count / n];
        *sum += value;
        *size += 1;
    }
    sums.into_iter().filter(|(_, size)| *size > 0).map(|(sum, size)| sum / f64::from(size)).collect()
}

/// Mean and unbiased variance.
fn moments(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|value| (value - mean) * (value - mean)).sum();
    (mean, squares / (n - 1.0).max(1.0))
}

/// Values of one metric of one run.
#[derive(Clone, Debug)]
pub struct Sample {
    in_time: Vec<f64>,
    sorted: Vec<f64>,
}

/// Samples needed on either side of a quantile before two runs are compared at it.
const NEEDED_BEYOND: f64 = 5.0;

impl Sample {
    /// A sample of values in time order; NaN is left out.
    pub fn new(values: impl IntoIterator<Item = f64>) -> Self {
        let in_time: Vec<f64> = values.into_iter().filter(|value| !value.is_nan()).collect();
        let mut sorted = in_time.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        Sample { in_time, sorted }
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        self.sorted.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }

    /// Mean; `None` without values.
    pub fn mean(&self) -> Option<f64> {
        (!self.is_empty()).then(|| self.in_time.iter().sum::<f64>() / self.len() as f64)
    }

    /// Quantile `q` (0 to 1): numpy's "linear", or "nearest" when failed requests are among the values as infinities.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let finite = self.sorted.last().is_none_or(|largest| largest.is_finite());
        let method = if finite { percentile_linear } else { percentile_nearest };
        method(&self.sorted, 100.0 * q)
    }

    /// How many independent values the sample is worth when it is asked for quantile `q`.
    fn effective_len(&self, q: f64) -> f64 {
        let n = self.len();
        let (Some(at), true) = (self.quantile(q), n >= 100) else { return n as f64 };
        let means = batch_means(self.in_time.iter().map(|value| f64::from(u8::from(*value <= at))));
        let batch = n as f64 / means.len() as f64;
        let independent = q * (1.0 - q) / batch;
        let design_effect = (moments(&means).1 / independent).clamp(1.0, batch);
        n as f64 / design_effect
    }

    /// Samples that a bound of quantile `q` needs at least, if they were independent.
    pub fn needed_for_quantile(q: f64, confidence: f64, side: Side) -> u64 {
        let tail = match side {
            Side::Upper => q,
            Side::Lower => 1.0 - q,
        };
        ((1.0 - confidence).ln() / tail.ln()).ceil() as u64
    }

    /// One-sided bound of quantile `q`: an order statistic that lies beyond the true quantile with at least this
    /// confidence. `None`: the sample is too small for any.
    pub fn quantile_bound(&self, q: f64, confidence: f64, side: Side) -> Option<f64> {
        let n = self.effective_len(q).floor() as u64;
        if n < Self::needed_for_quantile(q, confidence, side) {
            return None;
        }
        // The rank k (from 1) of an order statistic is above the quantile with probability P(Bin(n, q) < k).
        let rank = match side {
            Side::Upper => smallest(1, n, |k| binomial_at_most(n, q, k - 1) >= confidence),
            Side::Lower => smallest(1, n, |k| binomial_at_most(n, q, k) > 1.0 - confidence),
        };
        let level = rank as f64 / n as f64;
        let index = (level * self.len() as f64).ceil() as usize;
        self.sorted.get(index.clamp(1, self.len()) - 1).copied()
    }

    /// One-sided bound of the mean, by batch means and Student's t. `None` for fewer than 10 values.
    pub fn mean_bound(&self, confidence: f64, side: Side) -> Option<f64> {
        let (mean, error, df) = self.mean_error()?;
        let factor = t_critical(2.0 * confidence - 1.0, df)?;
        Some(match side {
            Side::Upper => mean + factor * error,
            Side::Lower => mean - factor * error,
        })
    }

    /// Mean, its standard error, and the degrees of freedom of that.
    fn mean_error(&self) -> Option<(f64, f64, u64)> {
        if self.len() < 10 {
            return None;
        }
        let means = batch_means(self.in_time.iter().copied());
        let (_, variance) = moments(&means);
        let error = (variance / means.len() as f64).sqrt();
        self.mean().filter(|mean| mean.is_finite()).map(|mean| (mean, error, means.len() as u64 - 1))
    }

    /// Draws of the mean under resampling; `None` for fewer than 10 values.
    pub fn mean_draws(&self, count: usize, random: &mut impl Rng) -> Option<Vec<f64>> {
        let (mean, error, df) = self.mean_error()?;
        let t = StudentT::new(df as f64).ok()?;
        Some((0..count).map(|_| mean + error * t.sample(random)).collect())
    }

    /// Draws of quantile `q` under resampling; `None` when fewer than 5 independent values lie on either side.
    pub fn quantile_draws(&self, q: f64, count: usize, random: &mut impl Rng) -> Option<Vec<f64>> {
        let n = self.effective_len(q);
        if n * q.min(1.0 - q) < NEEDED_BEYOND {
            return None;
        }
        let rank = Beta::new(q * (n + 1.0), (1.0 - q) * (n + 1.0)).ok()?;
        (0..count).map(|_| self.quantile(rank.sample(random))).collect()
    }
}

/// The smallest of `low..=high` for which a monotonic condition holds; `high` when it holds for none.
fn smallest(mut low: u64, mut high: u64, holds: impl Fn(u64) -> bool) -> u64 {
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) { high = middle } else { low = middle + 1 }
    }
    low
}

/// One-sided bound of a share of which `hits` of `all` were seen (Clopper and Pearson). `None` without trials.
pub fn share_bound(hits: u64, all: u64, confidence: f64, side: Side) -> Option<f64> {
    if all == 0 || hits > all {
        return None;
    }
    let (a, b) = match side {
        Side::Upper if hits == all => return Some(1.0),
        Side::Lower if hits == 0 => return Some(0.0),
        Side::Upper => (hits as f64 + 1.0, (all - hits) as f64),
        Side::Lower => (hits as f64, (all - hits) as f64 + 1.0),
    };
    let target = match side {
        Side::Upper => confidence,
        Side::Lower => 1.0 - confidence,
    };
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..100 {
        let middle = 0.5 * (low + high);
        if incomplete_beta(a, b, middle) < target { low = middle } else { high = middle }
    }
    Some(0.5 * (low + high))
}

/// Draws of a share of which `hits` of `all` were seen (Jeffreys' prior).
pub fn share_draws(hits: u64, all: u64, count: usize, random: &mut impl Rng) -> Option<Vec<f64>> {
    if all == 0 || hits > all {
        return None;
    }
    let share = Beta::new(hits as f64 + 0.5, (all - hits) as f64 + 0.5).ok()?;
    Some((0..count).map(|_| share.sample(random)).collect())
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Exp1, LogNormal};

    use super::*;

    fn exponential(n: usize, random: &mut ChaCha8Rng) -> Sample {
        let values: Vec<f64> = (0..n).map(|_| Exp1.sample(random)).collect();
        Sample::new(values)
    }

    #[test]
    fn textbook_bounds_come_out() {
        // 59 samples give a 95 % bound of the 95th percentile, 299 of the 99th (Wilks).
        assert_eq!(Sample::needed_for_quantile(0.95, 0.95, Side::Upper), 59);
        assert_eq!(Sample::needed_for_quantile(0.99, 0.95, Side::Upper), 299);
        assert_eq!(Sample::needed_for_quantile(0.5, 0.95, Side::Lower), 5);
        let ordered = Sample::new((1..=59).map(f64::from));
        assert_eq!(ordered.quantile_bound(0.95, 0.95, Side::Upper), Some(59.0));
        assert_eq!(Sample::new((1..=58).map(f64::from)).quantile_bound(0.95, 0.95, Side::Upper), None);
        // Tables: the two-sided 95 % interval of the median of 20 values is (x6, x15).
        let twenty = Sample::new((1..=20).map(f64::from));
        assert_eq!(twenty.quantile_bound(0.5, 0.975, Side::Lower), Some(6.0));
        assert_eq!(twenty.quantile_bound(0.5, 0.975, Side::Upper), Some(15.0));
    }

    #[test]
    fn shares_have_exact_bounds() {
        // The rule of three: no failure among 300 proves less than 1 %.
        let upper = share_bound(0, 300, 0.95, Side::Upper).unwrap();
        assert!((upper - (1.0 - 0.05f64.powf(1.0 / 300.0))).abs() < 1e-9);
        assert_eq!(share_bound(0, 300, 0.95, Side::Lower), Some(0.0));
        assert_eq!(share_bound(5, 5, 0.95, Side::Upper), Some(1.0));
        // Two-sided 95 % of 10 in 100: 4.9 % to 17.6 % (published tables).
        assert!((share_bound(10, 100, 0.975, Side::Lower).unwrap() - 0.0490).abs() < 5e-5);
        assert!((share_bound(10, 100, 0.975, Side::Upper).unwrap() - 0.1762).abs() < 5e-5);
        assert_eq!(share_bound(0, 0, 0.95, Side::Upper), None);
    }

    #[test]
    fn bounds_hold_as_often_as_they_say() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let truth = 100f64.ln();
        let (mut quantile_holds, mut mean_holds) = (0, 0);
        let runs = 400;
        for _ in 0..runs {
            let sample = exponential(1_000, &mut random);
            quantile_holds += u32::from(sample.quantile_bound(0.99, 0.95, Side::Upper).unwrap() >= truth);
            mean_holds += u32::from(sample.mean_bound(0.95, Side::Upper).unwrap() >= 1.0);
        }
        // 380 are expected of 400; 365 is more than three standard deviations below.
        assert!(quantile_holds >= 365, "{quantile_holds}");
        assert!((360..=395).contains(&mean_holds), "{mean_holds}");
    }

    #[test]
    fn correlated_values_are_worth_less() {
        let mut random = ChaCha8Rng::seed_from_u64(2);
        // A queue that drains slowly: each value is mostly the one before.
        let mut level = 0.0;
        let noise = LogNormal::new(0.0, 1.0).unwrap();
        let queue: Vec<f64> = (0..2_000)
            .map(|_| {
                level = 0.9 * level + 0.1 * noise.sample(&mut random);
                level
            })
            .collect();
        let correlated = Sample::new(queue.iter().copied());
        assert!(correlated.effective_len(0.5) < 500.0, "{}", correlated.effective_len(0.5));
        let independent = exponential(2_000, &mut random);
        assert!(independent.effective_len(0.5) > 1_000.0, "{}", independent.effective_len(0.5));
        let width = |sample: &Sample| {
            sample.mean_bound(0.95, Side::Upper).unwrap() - sample.mean_bound(0.95, Side::Lower).unwrap()
        };
        let mut shuffled = queue;
        shuffled.sort_unstable_by_key(|value| value.to_bits().wrapping_mul(0x9E37_79B9_7F4A_7C15));
        assert!(width(&correlated) > 2.0 * width(&Sample::new(shuffled)));
    }

    #[test]
    fn quantile_draws_spread_like_real_resamples() {
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let sample = exponential(1_000, &mut random);
        let draws = Sample::new(sample.quantile_draws(0.9, 4_000, &mut random).unwrap());
        let resampled = Sample::new((0..4_000).map(|_| {
            let again = (0..1_000).map(|_| sample.in_time[random.random_range(0..1_000)]);
            Sample::new(again).quantile(0.9).unwrap()
        }));
        for q in [0.025, 0.5, 0.975] {
            let (ours, real) = (draws.quantile(q).unwrap(), resampled.quantile(q).unwrap());
            assert!((ours - real).abs() < 0.03, "{q}: {ours} against {real}");
        }
    }

    #[test]
    fn small_samples_prove_nothing() {
        let mut random = ChaCha8Rng::seed_from_u64(4);
        let few = exponential(40, &mut random);
        assert!(few.quantile_draws(0.99, 10, &mut random).is_none());
        assert!(few.quantile_bound(0.99, 0.95, Side::Upper).is_none());
        assert!(Sample::new([1.0; 9]).mean_bound(0.95, Side::Upper).is_none());
        assert!(Sample::new([]).quantile(0.5).is_none());
    }
}
