//! From the kernel's receive stamps (`CLOCK_REALTIME`) to the monotonic line.

use std::cell::Cell;

use tokmeter_record::{ClockAnchor, MonoNs, WallNs};

use crate::clock;

/// The anchor is read again when it is older than this.
const REFRESH_NS: u64 = 100_000_000;
/// A stamp that claims to be older than this is checked against a fresh anchor before it is believed.
const SUSPICIOUS_LAG_NS: u64 = 1_000_000;
/// The wall clock was set, not slewed, when it moved by more than this between two anchors.
const STEP_NS: u64 = 20_000;

/// Converts kernel stamps with an anchor that is refreshed while the run goes on. Both clocks are slewed
/// together, so only a step of the wall clock could spoil a stamp; stamps taken before a step are refused.
pub(crate) struct RealtimeLine {
    anchor: Cell<ClockAnchor>,
    /// Stamps before this instant are from before the last step of the wall clock.
    stepped_at: Cell<u64>,
}

impl RealtimeLine {
    pub(crate) fn new() -> Self {
        RealtimeLine { anchor: Cell::new(clock::anchor()), stepped_at: Cell::new(0) }
    }

    /// The monotonic instant of a kernel stamp that was read at `read_at`; `None` when it cannot be true.
    pub(crate) fn mono(&self, realtime_ns: u64, read_at: MonoNs) -> Option<MonoNs> {
        if read_at.0.saturating_sub(self.anchor.get().mono_ns) > REFRESH_NS {
            self.refresh();
        }
        let mut at = self.anchor.get().mono(WallNs(realtime_ns));
        let lag = read_at.0 as i128 - at.0 as i128;
        let age = read_at.0.saturating_sub(self.anchor.get().mono_ns);
        if (lag < 0 || lag > SUSPICIOUS_LAG_NS as i128) && age > SUSPICIOUS_LAG_NS {
            self.refresh();
            at = self.anchor.get().mono(WallNs(realtime_ns));
        }
        let slack = self.anchor.get().uncertainty_ns;
        if at.0 > read_at.0 + slack || at.0 < self.stepped_at.get() {
            return None;
        }
        Some(at.min(read_at))
    }

    fn refresh(&self) {
        let old = self.anchor.get();
        let new = clock::quick_anchor();
        if old.drift_ns(&new).unsigned_abs() > STEP_NS + old.uncertainty_ns + new.uncertainty_ns {
            self.stepped_at.set(new.mono_ns);
        }
        self.anchor.set(new);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(anchor: ClockAnchor) -> RealtimeLine {
        RealtimeLine { anchor: Cell::new(anchor), stepped_at: Cell::new(0) }
    }

    /// A stamp lies between the monotonic readings before and after it, however long this thread was kept waiting.
    fn assert_stamp_of_now(line: &RealtimeLine) {
        let (before, wall, after) = (clock::now(), clock::wall_now(), clock::now());
        let at = line.mono(wall.0, after).expect("a stamp from just now is believed");
        let slack = line.anchor.get().uncertainty_ns + 1_000;
        assert!(before.0 <= at.0 + slack && at.0 <= after.0, "{before:?} {at:?} {after:?} +- {slack}");
    }

    #[test]
    fn a_stamp_of_now_is_now() {
        assert_stamp_of_now(&RealtimeLine::new());
    }

    #[test]
    fn a_stamp_from_before_a_step_is_refused() {
        // The anchor says the wall clock was an hour behind what it is: it was stepped since.
        let mut anchor = clock::anchor();
        anchor.mono_ns -= 2_000_000;
        anchor.wall_ns -= 3_600_000_000_000;
        let line = line(anchor);
        let before_step = anchor.wall_ns + 1_000;
        assert_eq!(line.mono(before_step, clock::now()), None);
        assert!(line.stepped_at.get() > 0);
        // Stamps taken after it are believed again.
        let wall = clock::wall_now();
        assert!(line.mono(wall.0, clock::now()).is_some());
    }

    #[test]
    fn a_clock_set_back_spoils_no_stamp() {
        // The anchor says the wall clock was an hour ahead of what it is: it was set back since.
        let mut anchor = clock::anchor();
        anchor.mono_ns -= 2_000_000;
        anchor.wall_ns += 3_600_000_000_000;
        let line = line(anchor);
        assert_eq!(line.mono(anchor.wall_ns + 1_000, clock::now()), None, "from before the step");
        assert!(line.stepped_at.get() > 0);
        assert_stamp_of_now(&line);
    }

    #[test]
    fn a_stamp_from_the_future_is_refused() {
        let line = RealtimeLine::new();
        assert_eq!(line.mono(clock::wall_now().0 + 5_000_000, clock::now()), None);
    }
}
