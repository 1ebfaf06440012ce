//! Random numbers: one independent stream for each purpose, all from one seed.
//!
//! A draw for one purpose never moves the draws of another, so that a longer run begins like the shorter
//! one, and item `n` of a purpose can be drawn without drawing the items before it: shards and machines
//! agree without talking. The generator is ChaCha8, whose output is fixed by its specification; the test
//! `first_draws_are_pinned` holds what we derive from it.

use rand::SeedableRng;
use rand::rand_core::Rng;
use rand_chacha::ChaCha8Rng;

/// The seed of a run (`--random-seed`, or [`Seed::from_entropy`] without one).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Seed(pub u64);

impl Seed {
    /// A seed that no other run has, for runs without `--random-seed`.
    ///
    /// Below 2^53, so that every JSON reader keeps all its digits.
    #[must_use]
    pub fn from_entropy() -> Self {
        Self(rand::random::<u64>() >> 11)
    }

    /// The stream of one purpose, from its start.
    #[must_use]
    pub fn stream(self, purpose: &str) -> ChaCha8Rng {
        self.stream_at(purpose, 0)
    }

    /// The stream of item `index` of a purpose. Streams of different items are independent.
    #[must_use]
    pub fn stream_at(self, purpose: &str, index: u64) -> ChaCha8Rng {
        let mut state = self.0 ^ fnv1a(purpose.as_bytes());
        let mut key = [0u8; 32];
        for part in key.chunks_exact_mut(8) {
            state = split_mix(state);
            part.copy_from_slice(&state.to_le_bytes());
        }
        let mut rng = ChaCha8Rng::from_seed(key);
        rng.set_stream(index);
        rng
    }

    /// A seed for a part of the run that draws for purposes of its own (a trial, a file, a block).
    #[must_use]
    pub fn derive(self, purpose: &str, index: u64) -> Self {
        Self(self.stream_at(purpose, index).next_u64())
    }
}

/// A uniform integer below `bound` (0 for a bound of 0), from one 64-bit draw.
///
/// The error against an exact uniform draw is below `bound` / 2^64.
pub(crate) fn below(rng: &mut ChaCha8Rng, bound: u64) -> u64 {
    ((u128::from(rng.next_u64()) * u128::from(bound)) >> 64) as u64
}

/// A uniform number in [0, 1) with 53 random bits.
pub(crate) fn unit(rng: &mut ChaCha8Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
}

/// FNV-1a, 64 bits (Fowler, Noll, Vo): a fixed hash for names of purposes.
pub(crate) fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// One step of SplitMix64 (Steele, Lea, Flood 2014): spreads a small difference over all bits.
pub(crate) fn split_mix(state: u64) -> u64 {
    let mut z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_draws_are_pinned() {
        let mut arrivals = Seed(42).stream("arrivals");
        let mut third = Seed(42).stream_at("lengths", 3);
        let draws = [arrivals.next_u64(), arrivals.next_u64(), third.next_u64(), third.next_u64()];
        assert_eq!(
            draws,
            [0xbf10_e7c4_fec5_333f, 0x4463_9a52_c5fe_e92e, 0xf51c_356f_031c_2b79, 0x20f3_d657_7438_520e]
        );
    }

    #[test]
    fn purposes_and_items_differ() {
        let seed = Seed(7);
        let first = |mut rng: ChaCha8Rng| rng.next_u64();
        let draws = [
            first(seed.stream("arrivals")),
            first(seed.stream("lengths")),
            first(seed.stream_at("lengths", 1)),
            first(Seed(8).stream("lengths")),
        ];
        for (i, draw) in draws.iter().enumerate() {
            assert!(!draws[..i].contains(draw));
        }
        assert_eq!(first(seed.stream("lengths")), first(seed.stream_at("lengths", 0)));
    }

    #[test]
    fn below_covers_its_range_evenly() {
        let mut rng = Seed(1).stream("test");
        let mut counts = [0u32; 7];
        for _ in 0..70_000 {
            counts[below(&mut rng, 7) as usize] += 1;
        }
        assert!(counts.iter().all(|count| (9_600..10_400).contains(count)), "{counts:?}");
        assert_eq!(below(&mut rng, 0), 0);
    }

    #[test]
    fn own_seeds_differ_and_survive_json() {
        let (a, b) = (Seed::from_entropy(), Seed::from_entropy());
        assert_ne!(a, b);
        assert!(a.0 < 1 << 53);
    }
}
