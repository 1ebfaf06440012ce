//! Running counts of a client.

use crate::io::ReadTotals;

/// How late a client read what the kernel had received: its own error bar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReceiveLag {
    /// Reads of all sockets.
    pub reads: u64,
    /// Reads with a kernel stamp; the rest of this struct is about these.
    pub kernel_reads: u64,
    /// Sum of user stamp minus kernel stamp, ns.
    pub sum_ns: u64,
    /// The largest, ns.
    pub max_ns: u64,
    /// Most bytes that one read found after the last of them had lain in the socket for over 1 ms.
    pub unread_high_bytes: u64,
}

impl From<&ReadTotals> for ReceiveLag {
    fn from(totals: &ReadTotals) -> Self {
        ReceiveLag {
            reads: totals.reads.get(),
            kernel_reads: totals.kernel_reads.get(),
            sum_ns: totals.lag_sum_ns.get(),
            max_ns: totals.lag_max_ns.get(),
            unread_high_bytes: totals.unread_high_bytes.get(),
        }
    }
}

/// Counts of a client at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClientStats {
    /// Requests under way.
    pub in_flight: usize,
    /// Connections open or being made.
    pub open_connections: usize,
    /// Connections open and unused.
    pub idle_connections: usize,
    /// Requests that wait for a connection.
    pub waiting_requests: usize,
    /// Connections made so far.
    pub connections_made: u64,
    /// Requests that were given a connection which had carried one before.
    pub connections_reused: u64,
    /// Kept-alive connections that turned out dead when they were used; each was replaced once.
    pub stale_connections: u64,
    /// Names answered from the cache.
    pub dns_hits: u64,
    /// Names looked up, or waited for while they were.
    pub dns_misses: u64,
    /// How late this client was.
    pub receive_lag: ReceiveLag,
}
