//! What this machine allows: open files and local ports, looked at before a run.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::ReuseStrategy;

/// Files a run needs beside its connections: event queues, timers, outputs, metrics pages, standard streams.
pub const OTHER_FILES: u64 = 64;

/// Where Linux says which ports outgoing connections may use.
const PORT_RANGE: &str = "/proc/sys/net/ipv4/ip_local_port_range";

/// Why a run with so many connections cannot work on this machine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CapacityError {
    /// The limit of open files is too low.
    #[error(
        "{connections} connections need {needed} open files, but this process may open {limit}; \
         raise the limit (ulimit -n {needed}) or lower the concurrency"
    )]
    OpenFiles {
        /// Connections wanted.
        connections: u64,
        /// Files needed for them.
        needed: u64,
        /// Files allowed, after raising the soft limit as far as it goes.
        limit: u64,
    },
    /// There are fewer local ports than connections.
    #[error(
        "{connections} connections need as many local ports, but this machine has {ports} for them \
         ({first}-{last} in {PORT_RANGE}); give more source addresses, use more servers or lower the concurrency"
    )]
    Ports {
        /// Connections wanted.
        connections: u64,
        /// Ports for the given source addresses and servers.
        ports: u64,
        /// First port of the range.
        first: u16,
        /// Last port of the range.
        last: u16,
    },
}

/// Raises the soft limit of open files to the hard limit; the limit that holds then. Call it once, at start.
pub fn raise_open_files() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let unlimited = u64::MAX;
    if current != maximum && setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).is_ok() {
        return maximum.unwrap_or(unlimited);
    }
    current.unwrap_or(unlimited)
}

/// Soft and hard limit of open files; `None` is no limit.
pub fn open_files() -> (Option<u64>, Option<u64>) {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    (current, maximum)
}

/// Checks that `connections` at once can be open.
///
/// Ports count for each pair of local address and server address: `source_addresses` local ones (0 for the
/// system's choice) times `servers` different ones.
///
/// # Errors
/// What is too small, and how to make it larger.
pub fn check_capacity(
    connections: u64,
    source_addresses: usize,
    servers: usize,
) -> Result<(), CapacityError> {
    check(connections, source_addresses, servers, raise_open_files(), port_range())
}

/// New connections each second that the local ports allow for long when none is reused: a closed one holds its
/// port for 60 s (`TIME_WAIT`). `None` when connections are reused, or where the range is not known.
pub fn sustained_connections_per_second(
    reuse: ReuseStrategy,
    source_addresses: usize,
    servers: usize,
) -> Option<f64> {
    let (first, last) = port_range().filter(|_| reuse == ReuseStrategy::Never)?;
    Some(ports(first, last, source_addresses, servers) as f64 / 60.0)
}

fn check(
    connections: u64,
    source_addresses: usize,
    servers: usize,
    limit: u64,
    range: Option<(u16, u16)>,
) -> Result<(), CapacityError> {
    let needed = connections.saturating_add(OTHER_FILES);
    if needed > limit {
        return Err(CapacityError::OpenFiles { connections, needed, limit });
    }
    if let Some((first, last)) = range {
        let ports = ports(first, last, source_addresses, servers);
        if connections > ports {
            return Err(CapacityError::Ports { connections, ports, first, last });
        }
    }
    Ok(())
}

fn ports(first: u16, last: u16, source_addresses: usize, servers: usize) -> u64 {
    let pairs = (source_addresses.max(1) as u64).saturating_mul(servers.max(1) as u64);
    pairs.saturating_mul(u64::from(last.saturating_sub(first)) + 1)
}

/// First and last port of outgoing connections, where Linux tells.
pub fn port_range() -> Option<(u16, u16)> {
    let text = std::fs::read_to_string(PORT_RANGE).ok()?;
    let mut words = text.split_ascii_whitespace();
    Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RANGE: Option<(u16, u16)> = Some((32768, 60999));

    #[test]
    fn too_few_files_are_named_with_the_remedy() {
        let error = check(1000, 0, 1, 1024, RANGE).expect_err("1000 + 64 > 1024");
        assert_eq!(error, CapacityError::OpenFiles { connections: 1000, needed: 1064, limit: 1024 });
        assert!(error.to_string().contains("ulimit -n 1064"), "{error}");
        assert_eq!(check(960, 0, 1, 1024, RANGE), Ok(()));
    }

    #[test]
    fn ports_multiply_with_addresses_and_servers() {
        assert_eq!(check(28_232, 0, 1, u64::MAX, RANGE), Ok(()));
        let error = check(28_233, 0, 1, u64::MAX, RANGE).expect_err("one too many");
        assert!(error.to_string().contains("32768-60999"), "{error}");
        assert_eq!(check(56_464, 2, 1, u64::MAX, RANGE), Ok(()));
        assert_eq!(check(56_464, 1, 2, u64::MAX, RANGE), Ok(()));
        assert_eq!(check(u64::from(u32::MAX), 0, 1, u64::MAX, None), Ok(()), "unknown range: no objection");
    }

    #[test]
    fn the_soft_limit_is_raised_to_the_hard_one() {
        let raised = raise_open_files();
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        assert_eq!(current, maximum);
        assert_eq!(raised, current.unwrap_or(u64::MAX));
    }
}
