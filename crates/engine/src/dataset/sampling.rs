//! Which entry of the dataset the n-th session of a run is.

use super::config::SamplingStrategy;
use crate::seed::{Seed, below, split_mix};

/// Maps session numbers to entries. Any number can be asked for in any order, by any shard or machine.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sampler {
    strategy: SamplingStrategy,
    seed: Seed,
    entries: u64,
}

impl Sampler {
    pub(super) fn new(strategy: SamplingStrategy, seed: Seed, entries: u64) -> Self {
        Self { strategy, seed, entries }
    }

    /// The entry of session `number`, and how often the whole dataset was used before it.
    pub(super) fn entry(&self, number: u64) -> (u64, u64) {
        let entries = self.entries.max(1);
        let (pass, place) = (number / entries, number % entries);
        let entry = match self.strategy {
            SamplingStrategy::Sequential => place,
            SamplingStrategy::Random => below(&mut self.seed.stream_at("sampling", number), entries),
            SamplingStrategy::Shuffle => permuted(self.seed.derive("shuffle", pass).0, entries, place),
        };
        (entry, pass)
    }
}

/// A permutation of `0..n` given by a key: a Feistel network over the next even number of bits, walked
/// until it falls inside (Black and Rogaway 2002). No table is kept, so any place is as quick as the first.
fn permuted(key: u64, n: u64, place: u64) -> u64 {
    let bits = (64 - n.saturating_sub(1).leading_zeros()).max(2).div_ceil(2);
    let mask = (1u64 << bits) - 1;
    let mut value = place;
    loop {
        let (mut left, mut right) = (value >> bits, value & mask);
        for round in 0..6u64 {
            let mixed = split_mix(split_mix(key ^ round.rotate_left(32)) ^ right) & mask;
            (left, right) = (right, left ^ mixed);
        }
        value = left << bits | right;
        if value < n {
            return value;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(
        strategy: SamplingStrategy,
        seed: u64,
        entries: u64,
        numbers: std::ops::Range<u64>,
    ) -> Vec<u64> {
        let sampler = Sampler::new(strategy, Seed(seed), entries);
        numbers.map(|number| sampler.entry(number).0).collect()
    }

    #[test]
    fn sequential_wraps() {
        assert_eq!(entries(SamplingStrategy::Sequential, 1, 3, 0..7), [0, 1, 2, 0, 1, 2, 0]);
        assert_eq!(Sampler::new(SamplingStrategy::Sequential, Seed(1), 3).entry(7), (1, 2));
    }

    #[test]
    fn shuffle_uses_each_entry_once_in_each_pass() {
        for count in [1u64, 2, 3, 7, 64, 65, 1_000] {
            for pass in 0..3 {
                let order = entries(SamplingStrategy::Shuffle, 5, count, pass * count..(pass + 1) * count);
                let mut sorted = order.clone();
                sorted.sort_unstable();
                assert_eq!(sorted, (0..count).collect::<Vec<_>>());
                assert!(count < 64 || order != sorted, "{count} entries were not shuffled");
            }
        }
        assert_ne!(
            entries(SamplingStrategy::Shuffle, 5, 100, 0..100),
            entries(SamplingStrategy::Shuffle, 5, 100, 100..200),
            "the second pass has its own order"
        );
        assert_ne!(
            entries(SamplingStrategy::Shuffle, 5, 100, 0..100),
            entries(SamplingStrategy::Shuffle, 6, 100, 0..100)
        );
    }

    #[test]
    fn shuffle_places_are_even() {
        // Entry 0 must be equally likely on each of 8 places.
        let mut counts = [0u32; 8];
        for pass in 0..8_000u64 {
            let order = entries(SamplingStrategy::Shuffle, 1, 8, pass * 8..pass * 8 + 8);
            counts[order.iter().position(|entry| *entry == 0).expect("a permutation")] += 1;
        }
        assert!(counts.iter().all(|count| (850..1_150).contains(count)), "{counts:?}");
    }

    #[test]
    fn random_repeats_before_all_were_used() {
        let drawn = entries(SamplingStrategy::Random, 1, 50, 0..5_000);
        assert!(drawn.iter().all(|entry| *entry < 50));
        let first: std::collections::HashSet<_> = drawn[..50].iter().collect();
        assert!(first.len() < 45, "{}", first.len());
        assert_eq!(drawn, entries(SamplingStrategy::Random, 1, 50, 0..5_000));
    }
}
