//! Fixed schedules: requests at the instants of a trace.

use std::time::Duration;

use super::plan::TraceReplay;

/// When a session of a trace begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TraceInstant {
    /// Timestamp in the trace.
    pub at: Duration,
    /// Entry of the dataset.
    pub session: u64,
}

/// Turns timestamps of a trace into offsets of the phase.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TraceClock {
    zero: Duration,
    speedup: f64,
}

impl TraceClock {
    /// The offset of a timestamp: its distance from the schedule's zero, divided by the speed-up. A
    /// timestamp before the zero is due at once.
    #[must_use]
    pub fn offset_ns(&self, at: Duration) -> u64 {
        let distance = at.saturating_sub(self.zero).as_nanos();
        if self.speedup == 1.0 {
            return u64::try_from(distance).unwrap_or(u64::MAX);
        }
        (distance as f64 / self.speedup).round() as u64
    }
}

impl TraceReplay {
    /// The sessions inside the window, in order of their instants, and the clock to place them with.
    pub(super) fn select(&self, instants: &[TraceInstant]) -> (TraceClock, Vec<TraceInstant>) {
        let start = self.start.unwrap_or(Duration::ZERO);
        let inside =
            |instant: &&TraceInstant| instant.at >= start && self.end.is_none_or(|end| instant.at <= end);
        let mut chosen: Vec<_> = instants.iter().filter(inside).copied().collect();
        chosen.sort_unstable();
        let first = chosen.first().map_or(Duration::ZERO, |instant| instant.at);
        let zero = if self.auto_offset { first } else { start };
        (TraceClock { zero, speedup: self.speedup }, chosen)
    }
}
