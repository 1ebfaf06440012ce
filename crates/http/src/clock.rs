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
    let mut best = ClockAnchor { mono_ns: 0, wall_ns: 0, uncertainty_ns: u64::MAX };
    for _ in 0..16 {
        let before = now();
        let wall = wall_now();
        let after = now();
        let width = after.0 - before.0;
        if width < best.uncertainty_ns {
            best = ClockAnchor { mono_ns: before.0 + width / 2, wall_ns: wall.0, uncertainty_ns: width };
        }
    }
    best
}
