//! Reading the clocks.

use rustix::time::{ClockId, clock_gettime};
use tokmeter_record::{ClockAnchor, MonoNs, WallNs};

/// Now, on the monotonic clock (`CLOCK_MONOTONIC`, the clock of timerfd).
pub fn now() -> MonoNs {
    let t = clock_gettime(ClockId::Monotonic);
    MonoNs(t.tv_sec as u64 * 1_000_000_000 + t.tv_nsec as u64)
}

/// Now, on the wall clock.
pub fn wall_now() -> WallNs {
    let t = clock_gettime(ClockId::Realtime);
    WallNs(t.tv_sec as u64 * 1_000_000_000 + t.tv_nsec as u64)
}

/// Reads both clocks; of sixteen tries the one with the tightest monotonic bracket is kept.
pub fn anchor() -> ClockAnchor {
    tightest_of(16, 0)
}

/// Like [`anchor`], but the first bracket under a microsecond is good enough: cheap enough to be read again
/// ten times a second.
pub(crate) fn quick_anchor() -> ClockAnchor {
    tightest_of(8, 1_000)
}

fn tightest_of(tries: u32, good_enough_ns: u64) -> ClockAnchor {
    let mut best = ClockAnchor { mono_ns: 0, wall_ns: 0, uncertainty_ns: u64::MAX };
    for _ in 0..tries {
        let before = now();
        let wall = wall_now();
        let after = now();
        let width = after.0.saturating_sub(before.0);
        if width < best.uncertainty_ns {
            best = ClockAnchor { mono_ns: before.0 + width / 2, wall_ns: wall.0, uncertainty_ns: width };
        }
        if best.uncertainty_ns <= good_enough_ns {
            break;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anchors_agree_with_both_clocks() {
        let anchor = anchor();
        let quick = quick_anchor();
        assert!(quick.mono_ns > anchor.mono_ns, "read later");
        // Neither clock is stepped while the test runs: the offset is the same within the brackets.
        let allowed = (anchor.uncertainty_ns + quick.uncertainty_ns + 100_000) as i64;
        assert!(anchor.drift_ns(&quick).abs() < allowed, "{} ns", anchor.drift_ns(&quick));
    }
}
