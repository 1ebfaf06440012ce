//! A cap of a phase, shared by all its shards: requests in flight of an open loop, requests that wait for
//! their first token. Who finds no slot waits in line, and the wait is measured.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokmeter_record::MonoNs;

use crate::schedule::{Share, SlotRamp};

/// A slot, free again when dropped. It may be dropped on any thread.
pub(crate) type SlotPermit = OwnedSemaphorePermit;

/// The slots of one cap. Clones are the same slots.
#[derive(Clone, Debug)]
pub struct Slots(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    semaphore: Arc<Semaphore>,
    cap: u32,
    ramp: SlotRamp,
    share: Share,
    waits: Waits,
}

#[derive(Debug, Default)]
struct Waits {
    waited: AtomicU64,
    given_up: AtomicU64,
    total_ns: AtomicU64,
    longest_ns: AtomicU64,
}

/// Who had to wait for a slot, and for how long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct SlotWaits {
    /// Requests that found no free slot.
    pub waited: u64,
    /// Those among them that were still waiting when the phase ended: they were never sent.
    pub never_sent: u64,
    /// Mean wait of those that waited, ms.
    pub mean_ms: f64,
    /// Longest wait, ms.
    pub max_ms: f64,
}

impl Slots {
    /// This machine's share of `cap` slots that open over `ramp` (all at once for a ramp of zero).
    #[must_use]
    pub fn new(cap: u32, ramp: Duration, share: Share) -> Self {
        let ramp = SlotRamp::new(cap, ramp);
        let open = share.count_of(ramp.open_at(0).min(u64::from(cap)));
        let open = usize::try_from(open).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        Slots(Arc::new(Inner {
            semaphore: Arc::new(Semaphore::new(open)),
            cap,
            ramp,
            share,
            waits: Waits::default(),
        }))
    }

    /// The offsets from the start of the phase, in ns, at which the slots open that are not open from the
    /// start; at each of them [`Slots::open_one`] is due.
    pub(crate) fn later_openings(&self) -> impl Iterator<Item = u64> + use<> {
        let (ramp, share) = (self.0.ramp, self.0.share);
        let indices = share.count_of(ramp.open_at(0))..share.count_of(u64::from(self.0.cap));
        indices.map(move |index| ramp.opens_at_ns(share.nth(index)))
    }

    pub(crate) fn open_one(&self) {
        self.0.semaphore.add_permits(1);
    }

    /// A slot if one is free and nobody waits for it.
    pub(crate) fn try_take(&self) -> Option<SlotPermit> {
        Arc::clone(&self.0.semaphore).try_acquire_owned().ok()
    }

    /// Waits in line for a slot. The caller tells [`Slots::waited`] how that ended.
    pub(crate) async fn take(&self) -> Option<SlotPermit> {
        Arc::clone(&self.0.semaphore).acquire_owned().await.ok()
    }

    /// Notes a wait between two instants, and whether it ended with a slot.
    pub(crate) fn waited(&self, from: MonoNs, to: MonoNs, got_one: bool) {
        let waits = &self.0.waits;
        let ns = to.0.saturating_sub(from.0);
        waits.waited.fetch_add(1, Relaxed);
        waits.given_up.fetch_add(u64::from(!got_one), Relaxed);
        waits.total_ns.fetch_add(ns, Relaxed);
        waits.longest_ns.fetch_max(ns, Relaxed);
    }

    /// Waits so far.
    #[must_use]
    pub fn waits(&self) -> SlotWaits {
        let waits = &self.0.waits;
        let waited = waits.waited.load(Relaxed);
        SlotWaits {
            waited,
            never_sent: waits.given_up.load(Relaxed),
            mean_ms: waits.total_ns.load(Relaxed) as f64 / 1e6 / waited.max(1) as f64,
            max_ms: waits.longest_ns.load(Relaxed) as f64 / 1e6,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ramp_opens_the_rest_later_and_no_more_than_the_cap() {
        let slots = Slots::new(5, Duration::from_secs(4), Share::WHOLE);
        let first = slots.try_take().expect("one is open from the start");
        assert!(slots.try_take().is_none());
        let openings: Vec<u64> = slots.later_openings().map(|ns| ns / 1_000_000_000).collect();
        assert_eq!(openings, [1, 2, 3, 4]);
        slots.open_one();
        let second = slots.try_take().expect("the second opened");
        drop((first, second));
        assert_eq!(Slots::new(3, Duration::ZERO, Share::WHOLE).later_openings().count(), 0);
    }

    #[test]
    fn machines_together_open_the_slots_of_one() {
        let one = Slots::new(7, Duration::from_secs(6), Share::WHOLE);
        let mut expected: Vec<u64> = one.later_openings().collect();
        let (mut open, mut openings) = (0, Vec::new());
        for rank in 0..3 {
            let part = Slots::new(7, Duration::from_secs(6), Share::new(rank, 3).expect("below 3"));
            let taken: Vec<_> = std::iter::from_fn(|| part.try_take()).collect();
            open += taken.len();
            openings.extend(part.later_openings());
        }
        openings.sort_unstable();
        expected.sort_unstable();
        assert_eq!((open, openings), (1, expected));
    }

    #[test]
    fn waits_add_up() {
        let slots = Slots::new(1, Duration::ZERO, Share::WHOLE);
        slots.waited(MonoNs(0), MonoNs(2_000_000), true);
        slots.waited(MonoNs(0), MonoNs(4_000_000), false);
        assert_eq!(slots.waits(), SlotWaits { waited: 2, never_sent: 1, mean_ms: 3.0, max_ms: 4.0 });
    }
}
