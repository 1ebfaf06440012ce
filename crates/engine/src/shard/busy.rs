//! How busy this thread is, and how long it waits for a core: a shard near 1, or one that waits, no longer measures the
//! server, but its own machine.

use rustix::time::{ClockId, clock_gettime};
use tokmeter_http::clock;
use tokmeter_record::MonoNs;

/// Readings at the start of a phase, taken on the shard's own thread.
pub(super) struct Busy {
    since: MonoNs,
    cpu_ns: u64,
    waits: Option<CoreWaits>,
}

/// What the scheduler made this thread wait, since it began.
#[derive(Clone, Copy)]
struct CoreWaits {
    /// Ready to run, but without a core.
    waited_ns: u64,
    /// Times it was given one.
    turns: u64,
}

impl Busy {
    /// Begins; the share counts from `since`, the phase's start.
    pub fn start(since: MonoNs) -> Busy {
        Busy { since, cpu_ns: thread_cpu_ns(), waits: core_waits() }
    }

    /// CPU time of the thread over the time since the start, millionths.
    pub fn ppm(&self) -> u64 {
        let elapsed = clock::now().0.saturating_sub(self.since.0).max(1);
        let cpu = thread_cpu_ns().saturating_sub(self.cpu_ns);
        (u128::from(cpu) * 1_000_000 / u128::from(elapsed)) as u64
    }

    /// Mean time since the start from being ready to running, ns; `None` where the system does not say.
    pub fn core_wait_ns(&self) -> Option<u64> {
        let (before, now) = self.waits.zip(core_waits())?;
        let turns = now.turns.saturating_sub(before.turns);
        now.waited_ns.saturating_sub(before.waited_ns).checked_div(turns)
    }
}

fn thread_cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// The second and third number of schedstat (Documentation/scheduler/sched-stats.rst of Linux).
fn core_waits() -> Option<CoreWaits> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let mut numbers = text.split_ascii_whitespace().skip(1).map(str::parse);
    Some(CoreWaits { waited_ns: numbers.next()?.ok()?, turns: numbers.next()?.ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_works_is_busy() {
        let busy = Busy::start(clock::now());
        let before = thread_cpu_ns();
        while thread_cpu_ns() - before < 20_000_000 {
            std::hint::black_box(0);
        }
        let ppm = busy.ppm();
        assert!(ppm > 0 && ppm <= 1_010_000, "{ppm}");
    }

    #[test]
    fn waits_are_told_for_each_turn() {
        let busy = Busy::start(clock::now());
        for _ in 0..3 {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        // Where the system counts at all, three sleeps are three turns.
        let Some(before) = busy.waits else { return };
        assert!(core_waits().unwrap().turns >= before.turns + 3);
        assert!(busy.core_wait_ns().is_some());
    }
}
