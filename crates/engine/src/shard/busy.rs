//! How busy this thread is: a shard near 1 no longer measures the server, but itself.

use rustix::time::{ClockId, clock_gettime};
use tokmeter_http::clock;
use tokmeter_record::MonoNs;

/// Readings at the start of a phase, taken on the shard's own thread.
pub(super) struct Busy {
    since: MonoNs,
    cpu_ns: u64,
}

impl Busy {
    /// Begins; the share counts from `since`, the phase's start.
    pub fn start(since: MonoNs) -> Busy {
        Busy { since, cpu_ns: thread_cpu_ns() }
    }

    /// CPU time of the thread over the time since the start, millionths.
    pub fn ppm(&self) -> u64 {
        let elapsed = clock::now().0.saturating_sub(self.since.0).max(1);
        let cpu = thread_cpu_ns().saturating_sub(self.cpu_ns);
        (u128::from(cpu) * 1_000_000 / u128::from(elapsed)) as u64
    }
}

fn thread_cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
