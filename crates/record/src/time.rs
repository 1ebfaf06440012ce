//! The two time lines of a run and the one place where they meet.
//!
//! Inside a run every instant is monotonic. Wall-clock time appears once, when a record is built, by adding
//! the offset of a [`ClockAnchor`]; an NTP step during the run therefore cannot change a latency.

use serde::{Deserialize, Serialize};

/// Nanoseconds of `CLOCK_MONOTONIC`: an instant inside this run, on this machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MonoNs(pub u64);

/// Nanoseconds since the Unix epoch: an instant as files show it (`*_ns`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WallNs(pub u64);

/// An instant of either time line; differences of two instants of the same line are durations in ns.
pub trait Instant: Copy + Ord {
    /// Nanoseconds from `earlier` to `self`; 0 when `earlier` is later (a clamped, never negative duration).
    fn since(self, earlier: Self) -> u64;
}

impl Instant for MonoNs {
    fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl Instant for WallNs {
    fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl MonoNs {
    /// This instant plus a duration in ns, saturating.
    pub fn after(self, duration_ns: u64) -> Self {
        MonoNs(self.0.saturating_add(duration_ns))
    }
}

/// One reading of both clocks at (nearly) the same moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockAnchor {
    /// Monotonic reading, ns.
    pub mono_ns: u64,
    /// Wall reading at the same moment, ns since the epoch.
    pub wall_ns: u64,
    /// Width of the monotonic bracket around the wall reading, ns: the anchor's own error bound.
    pub uncertainty_ns: u64,
}

impl ClockAnchor {
    /// The wall-clock time of a monotonic instant: `wall + (t - mono)`.
    pub fn wall(&self, at: MonoNs) -> WallNs {
        WallNs((self.wall_ns as i128 + (at.0 as i128 - self.mono_ns as i128)).max(0) as u64)
    }

    /// The monotonic instant of a wall-clock time (a kernel stamp, a start time given by the user).
    pub fn mono(&self, at: WallNs) -> MonoNs {
        MonoNs((self.mono_ns as i128 + (at.0 as i128 - self.wall_ns as i128)).max(0) as u64)
    }

    /// How far the wall clock moved against the monotonic clock between two anchors, ns (NTP slew or step).
    pub fn drift_ns(&self, later: &ClockAnchor) -> i64 {
        let wall = later.wall_ns as i128 - self.wall_ns as i128;
        let mono = later.mono_ns as i128 - self.mono_ns as i128;
        (wall - mono) as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anchor_converts_both_ways() {
        let anchor = ClockAnchor { mono_ns: 1_000, wall_ns: 1_700_000_000_000_000_000, uncertainty_ns: 40 };
        let later = MonoNs(5_000);
        assert_eq!(anchor.wall(later), WallNs(1_700_000_000_000_004_000));
        assert_eq!(anchor.mono(anchor.wall(later)), later);
        assert_eq!(anchor.wall(MonoNs(0)), WallNs(1_699_999_999_999_999_000));
    }

    #[test]
    fn drift_is_what_the_wall_clock_moved_more() {
        let a = ClockAnchor { mono_ns: 0, wall_ns: 100, uncertainty_ns: 0 };
        let b = ClockAnchor { mono_ns: 50, wall_ns: 170, uncertainty_ns: 0 };
        assert_eq!(a.drift_ns(&b), 20);
    }
}
