//! Arrival processes at a rate of one per unit: the rate profile stretches them over time.

use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Exp1, Gamma};

/// How the arrivals of an open loop are spaced.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Spacing {
    /// Even gaps.
    Constant,
    /// Exponential gaps.
    Poisson,
    /// Gamma gaps.
    Gamma {
        /// Shape of the distribution: 1 is Poisson, below 1 burstier, above 1 smoother.
        smoothness: f64,
    },
    /// Everything at once, as far as the concurrency allows.
    ConcurrencyBurst,
}

/// Points of a renewal process with mean gap 1.
pub(super) struct UnitPoints {
    gaps: Gaps,
    rng: ChaCha8Rng,
    at: f64,
    count: u64,
}

enum Gaps {
    /// Point k is exactly k.
    Constant,
    /// Exponential gaps: a Poisson process. Its first point is one gap after 0, as everywhere in it.
    Exponential,
    /// Gamma gaps of the given shape and mean 1; shape 1 is Poisson, more is smoother, less burstier.
    Gamma(Gamma<f64>),
    /// All at 0.
    Burst,
}

impl UnitPoints {
    pub(super) fn new(spacing: Spacing, rng: ChaCha8Rng) -> Self {
        let gaps = match spacing {
            Spacing::Constant => Gaps::Constant,
            Spacing::Poisson => Gaps::Exponential,
            Spacing::Gamma { smoothness } => match Gamma::new(smoothness, 1.0 / smoothness) {
                Ok(gamma) => Gaps::Gamma(gamma),
                // A shape that validation refuses (not positive) has no gamma; shape 1 is the exponential.
                Err(_) => Gaps::Exponential,
            },
            Spacing::ConcurrencyBurst => Gaps::Burst,
        };
        Self { gaps, rng, at: 0.0, count: 0 }
    }

    pub(super) fn next_point(&mut self) -> f64 {
        let count = self.count;
        self.count += 1;
        match &self.gaps {
            Gaps::Constant => return count as f64,
            Gaps::Burst => return 0.0,
            Gaps::Exponential => self.at += Distribution::<f64>::sample(&Exp1, &mut self.rng),
            Gaps::Gamma(gamma) => self.at += gamma.sample(&mut self.rng),
        }
        self.at
    }
}
