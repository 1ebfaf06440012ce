//! How this process and machine did during a run: what a reader must know before believing its numbers.

use std::fs;

use serde::Serialize;
use tokmeter_http::clock;
use tokmeter_record::MonoNs;

/// Readings at the start of a run.
#[derive(Debug)]
pub(crate) struct Health {
    at: MonoNs,
    process_cpu_ns: u64,
    steal_ticks: Option<u64>,
    throttled: Option<Throttling>,
}

/// What changed between the start and the end of a run.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct HealthReport {
    /// Length of the run, seconds.
    pub elapsed_seconds: f64,
    /// CPU time of this process, seconds.
    pub cpu_seconds: f64,
    /// CPU time of this process over elapsed time and cores, 0 to 1.
    pub cpu_share: f64,
    /// Time stolen by the hypervisor over all cores, seconds; absent where the system does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steal_seconds: Option<f64>,
    /// How often the CPU quota of our cgroup held us back; absent without a quota.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub throttled_periods: Option<u64>,
    /// How long it held us back, seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub throttled_seconds: Option<f64>,
    /// Largest resident memory of this process so far, MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_memory_mib: Option<f64>,
}

#[derive(Clone, Copy, Debug)]
struct Throttling {
    periods: u64,
    usec: u64,
}

impl Health {
    pub(crate) fn start() -> Health {
        Health {
            at: clock::now(),
            process_cpu_ns: process_cpu_ns(),
            steal_ticks: steal_ticks(),
            throttled: throttling(),
        }
    }

    pub(crate) fn finish(&self) -> HealthReport {
        let elapsed = clock::now().0.saturating_sub(self.at.0) as f64 / 1e9;
        let cpu = process_cpu_ns().saturating_sub(self.process_cpu_ns) as f64 / 1e9;
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get()) as f64;
        let throttled = self.throttled.zip(throttling());
        HealthReport {
            elapsed_seconds: elapsed,
            cpu_seconds: cpu,
            cpu_share: if elapsed > 0.0 { cpu / elapsed / cores } else { 0.0 },
            // USER_HZ is 100 on every Linux architecture.
            steal_seconds: self
                .steal_ticks
                .zip(steal_ticks())
                .map(|(a, b)| b.saturating_sub(a) as f64 / 100.0),
            throttled_periods: throttled.map(|(a, b)| b.periods.saturating_sub(a.periods)),
            throttled_seconds: throttled.map(|(a, b)| b.usec.saturating_sub(a.usec) as f64 / 1e6),
            peak_memory_mib: peak_memory_kib().map(|kib| kib as f64 / 1024.0),
        }
    }
}

fn process_cpu_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Eighth number of the `cpu` line of /proc/stat, in ticks.
fn steal_ticks() -> Option<u64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    stat.lines().find(|line| line.starts_with("cpu "))?.split_whitespace().nth(8)?.parse().ok()
}

/// `nr_throttled` and `throttled_usec` of our cgroup (version 2).
fn throttling() -> Option<Throttling> {
    let group = fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = group.lines().find_map(|line| line.strip_prefix("0::"))?;
    let stat = fs::read_to_string(format!("/sys/fs/cgroup{path}/cpu.stat")).ok()?;
    let field = |name: &str| {
        stat.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
            .and_then(|value| value.trim().parse().ok())
    };
    Some(Throttling { periods: field("nr_throttled")?, usec: field("throttled_usec")? })
}

fn peak_memory_kib() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?
        .trim()
        .trim_end_matches(" kB")
        .trim()
        .parse()
        .ok()
}
