//! How many slots are open at an instant of a concurrency ramp.

use std::time::Duration;

/// Slots opened one by one: the first at once, the last at the end of the ramp, evenly between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotRamp {
    slots: u64,
    ramp_ns: u64,
}

impl SlotRamp {
    /// `slots` slots over `ramp` (`--concurrency-ramp-duration`, `--prefill-concurrency-ramp-duration`);
    /// a ramp of zero opens all at once.
    #[must_use]
    pub fn new(slots: u32, ramp: Duration) -> Self {
        Self { slots: u64::from(slots), ramp_ns: u64::try_from(ramp.as_nanos()).unwrap_or(u64::MAX) }
    }

    /// Nanoseconds after the start at which slot `index` (from 0) opens.
    #[must_use]
    pub fn opens_at_ns(&self, index: u64) -> u64 {
        let gaps = self.slots.saturating_sub(1).max(1);
        (u128::from(self.ramp_ns) * u128::from(index.min(gaps)) / u128::from(gaps)) as u64
    }

    /// Slots open at an instant after the start.
    #[must_use]
    pub fn open_at(&self, offset_ns: u64) -> u64 {
        if offset_ns >= self.ramp_ns || self.slots <= 1 {
            return self.slots;
        }
        let gaps = u128::from(self.slots - 1);
        // The largest index whose opening instant, rounded down, is not after `offset_ns`.
        let index = ((u128::from(offset_ns) + 1) * gaps - 1) / u128::from(self.ramp_ns);
        (index as u64 + 1).min(self.slots)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn opens_evenly_from_one_to_all() {
        let ramp = SlotRamp::new(5, Duration::from_secs(4));
        let opens: Vec<_> = (0..5).map(|slot| ramp.opens_at_ns(slot) / 1_000_000_000).collect();
        assert_eq!(opens, [0, 1, 2, 3, 4]);
        assert_eq!(ramp.open_at(0), 1);
        assert_eq!(ramp.open_at(999_999_999), 1);
        assert_eq!(ramp.open_at(1_000_000_000), 2);
        assert_eq!(ramp.open_at(u64::MAX), 5);
    }

    #[test]
    fn no_ramp_opens_all_at_once() {
        let ramp = SlotRamp::new(8, Duration::ZERO);
        assert_eq!(ramp.open_at(0), 8);
        assert!((0..8).all(|slot| ramp.opens_at_ns(slot) == 0));
    }

    proptest! {
        #[test]
        fn instants_and_counts_agree(slots in 1u32..2000, ramp_ns in 1u64..10_000_000_000, at in 0u64..12_000_000_000) {
            let ramp = SlotRamp::new(slots, Duration::from_nanos(ramp_ns));
            let counted = (0..u64::from(slots)).filter(|slot| ramp.opens_at_ns(*slot) <= at).count() as u64;
            prop_assert_eq!(ramp.open_at(at), counted);
        }
    }
}
