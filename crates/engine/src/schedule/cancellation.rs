//! Which requests are given up on purpose (`--request-cancellation-rate`).

use std::time::Duration;

use crate::seed::{Seed, unit};

/// Decides for each request of the profiling phase whether it is cancelled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cancellations {
    seed: Seed,
    fraction: f64,
    delay: Duration,
}

impl Cancellations {
    /// Cancels `percent` percent of the requests, `delay` after the whole request was sent.
    #[must_use]
    pub fn new(seed: Seed, percent: f64, delay: Duration) -> Self {
        Self { seed, fraction: percent / 100.0, delay }
    }

    /// Time after the end of sending at which request `number` of the phase is cancelled, if it is. The
    /// answer depends on the seed and the number only, whichever shard asks.
    #[must_use]
    pub fn delay_of(&self, number: u64) -> Option<Duration> {
        let draw = unit(&mut self.seed.stream_at("cancellation", number));
        (draw < self.fraction).then_some(self.delay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_kept_and_seeded() {
        let cancelled = |seed: u64, percent: f64| -> Vec<u64> {
            let cancellations = Cancellations::new(Seed(seed), percent, Duration::from_millis(5));
            (0..20_000).filter(|n| cancellations.delay_of(*n).is_some()).collect()
        };
        let quarter = cancelled(1, 25.0);
        assert!((4_750..5_250).contains(&quarter.len()), "{}", quarter.len());
        assert_eq!(quarter, cancelled(1, 25.0));
        assert_ne!(quarter, cancelled(2, 25.0));
        assert_eq!(cancelled(1, 100.0).len(), 20_000);
        let one = Cancellations::new(Seed(1), 100.0, Duration::from_millis(5));
        assert_eq!(one.delay_of(3), Some(Duration::from_millis(5)));
    }
}
