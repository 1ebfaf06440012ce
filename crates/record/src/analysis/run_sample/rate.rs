//! Rates of a run: what was completed in slices of time, so that a rate has an error bar too.

use rand::Rng;

use crate::analysis::confidence::{Sample, Side};
use crate::metric::MetricId;
use crate::metric::catalogue as c;

/// Slices of time; when a run outgrows them, their width doubles.
const SLICES: usize = 1_024;
/// Batches a rate is judged by: enough for a t interval, few enough that a batch forgets the one before.
const BATCHES: usize = 20;

/// What is summed over time: successes, output tokens, input tokens, good requests.
type Amounts = [f64; 4];

/// Completed work over time.
#[derive(Clone, Debug)]
pub(super) struct Completions {
    /// Earliest start of a request, ns of the wall clock.
    started_ns: u64,
    /// First completion: where the slices begin.
    begin_ns: Option<u64>,
    /// Last completion, ns after the first.
    end_ns: u64,
    width_ns: u64,
    slices: Vec<Amounts>,
}

impl Default for Completions {
    fn default() -> Self {
        Completions {
            started_ns: u64::MAX,
            begin_ns: None,
            end_ns: 0,
            width_ns: 1_000_000,
            slices: Vec::new(),
        }
    }
}

/// Which amount a rate counts.
fn amount(metric: MetricId) -> Option<usize> {
    [c::REQUEST_THROUGHPUT, c::OUTPUT_TOKEN_THROUGHPUT, c::INPUT_TOKEN_THROUGHPUT, c::GOODPUT]
        .iter()
        .position(|rate| *rate == metric)
}

impl Completions {
    /// Adds what a request completed that began and ended at these instants (ns of the wall clock).
    pub(super) fn add(&mut self, start_ns: u64, at_ns: u64, amounts: Amounts) {
        if start_ns > 0 {
            self.started_ns = self.started_ns.min(start_ns);
        }
        let begin = *self.begin_ns.get_or_insert(at_ns);
        // Files are in order of completion, nearly: one that comes earlier counts at the beginning.
        let since = at_ns.saturating_sub(begin);
        self.end_ns = self.end_ns.max(since);
        while since / self.width_ns >= SLICES as u64 {
            self.widen();
        }
        let index = (since / self.width_ns) as usize;
        if self.slices.len() <= index {
            self.slices.resize(index + 1, [0.0; 4]);
        }
        for (sum, amount) in self.slices[index].iter_mut().zip(amounts) {
            *sum += amount;
        }
    }

    fn widen(&mut self) {
        self.width_ns *= 2;
        self.slices = self
            .slices
            .chunks(2)
            .map(|pair| {
                pair.iter().fold([0.0; 4], |mut sum, amounts| {
                    sum.iter_mut().zip(amounts).for_each(|(sum, amount)| *sum += amount);
                    sum
                })
            })
            .collect();
    }

    /// The rate per second between the first start and the last completion; `None` for a metric that is no rate we
    /// count, or when nothing took any time.
    pub(super) fn rate(&self, metric: MetricId) -> Option<f64> {
        let index = amount(metric)?;
        let sum: f64 = self.slices.iter().map(|amounts| amounts[index]).sum();
        let begin = self.begin_ns?;
        let window = begin.saturating_sub(self.started_ns.min(begin)).saturating_add(self.end_ns);
        (window > 0).then(|| sum / (window as f64 / 1e9))
    }

    /// Rates of batches of whole slices.
    fn batches(&self, metric: MetricId) -> Option<Sample> {
        let index = amount(metric)?;
        // The last slice is not full.
        let full = self.slices.len().checked_sub(1)?;
        if full < BATCHES {
            return None;
        }
        let per_batch = full / BATCHES;
        let seconds = per_batch as f64 * self.width_ns as f64 / 1e9;
        let rates = self.slices[..per_batch * BATCHES].chunks(per_batch);
        Some(Sample::new(
            rates.map(|slices| slices.iter().map(|amounts| amounts[index]).sum::<f64>() / seconds),
        ))
    }

    /// Confidence bound of a rate as a factor of it; `None` when the run is too short for one.
    pub(super) fn relative_bound(&self, metric: MetricId, confidence: f64, side: Side) -> Option<f64> {
        let batches = self.batches(metric)?;
        let mean = batches.mean().filter(|mean| *mean > 0.0)?;
        Some(batches.mean_bound(confidence, side)? / mean)
    }

    /// Draws of a rate as factors of it.
    pub(super) fn relative_draws(
        &self,
        metric: MetricId,
        count: usize,
        random: &mut impl Rng,
    ) -> Option<Vec<f64>> {
        let batches = self.batches(metric)?;
        let mean = batches.mean().filter(|mean| *mean > 0.0)?;
        Some(batches.mean_draws(count, random)?.into_iter().map(|rate| rate / mean).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_survives_widening_and_has_bounds() {
        let mut completions = Completions::default();
        // 10,000 requests at 100/s with 5 output tokens each: far more than 1,024 slices of 1 ms.
        for index in 0..10_000u64 {
            completions.add(0, 7_000_000_000 + index * 10_000_000, [1.0, 5.0, 0.0, 0.0]);
        }
        assert!(completions.slices.len() <= SLICES);
        let rate = completions.rate(c::REQUEST_THROUGHPUT).unwrap();
        assert!((rate - 100.0).abs() < 0.1, "{rate}");
        assert!((completions.rate(c::OUTPUT_TOKEN_THROUGHPUT).unwrap() - 500.0).abs() < 0.5);
        assert_eq!(completions.rate(c::TIME_TO_FIRST_TOKEN), None);
        let lower = completions.relative_bound(c::REQUEST_THROUGHPUT, 0.95, Side::Lower).unwrap();
        assert!((0.98..=1.0).contains(&lower), "{lower}");
    }

    #[test]
    fn the_window_begins_with_the_first_request() {
        let mut completions = Completions::default();
        for index in 1..=10u64 {
            completions.add(1_000_000_000, 1_000_000_000 + index * 200_000_000, [1.0; 4]);
        }
        assert_eq!(completions.rate(c::REQUEST_THROUGHPUT), Some(5.0));
    }

    #[test]
    fn a_moment_has_no_rate() {
        let mut completions = Completions::default();
        assert_eq!(completions.rate(c::REQUEST_THROUGHPUT), None);
        completions.add(1, 1, [1.0; 4]);
        assert_eq!(completions.rate(c::REQUEST_THROUGHPUT), None);
        assert_eq!(completions.relative_bound(c::REQUEST_THROUGHPUT, 0.95, Side::Lower), None);
    }
}
