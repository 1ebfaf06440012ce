//! The two clocks of the log. Every stamp of this crate comes from here.

use rustix::time::{ClockId, clock_gettime};

/// CLOCK_MONOTONIC in nanoseconds: durations and schedules.
#[inline]
pub fn mono_ns() -> u64 {
    read(ClockId::Monotonic)
}

/// CLOCK_REALTIME in nanoseconds since the Unix epoch: for joining with logs of other processes.
#[inline]
pub fn wall_ns() -> u64 {
    read(ClockId::Realtime)
}

#[inline]
fn read(id: ClockId) -> u64 {
    let at = clock_gettime(id);
    (at.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(at.tv_nsec as u64)
}
