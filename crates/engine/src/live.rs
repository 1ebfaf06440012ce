//! Counters of a run in progress, for progress displays and health. Written with relaxed atomics on the
//! load path, read by whoever draws.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// Counters since the start of the run.
#[derive(Debug, Default)]
pub struct Live {
    started: AtomicU64,
    ended: AtomicU64,
    in_flight_high: AtomicU64,
    succeeded: AtomicU64,
    failed: AtomicU64,
    cancelled: AtomicU64,
    output_tokens: AtomicU64,
    slot_waits: AtomicU64,
    decode_stalls: AtomicU64,
    decode_backlog_high: AtomicUsize,
    shard_busy_ppm: AtomicU64,
    core_wait_ns: AtomicU64,
    unread_high_bytes: AtomicU64,
}

/// One reading of [`Live`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LiveCounts {
    /// Requests sent so far.
    pub started: u64,
    /// Requests over, decoded or not.
    pub ended: u64,
    /// Records so far that succeeded.
    pub succeeded: u64,
    /// Records so far that failed (cancelled ones apart).
    pub failed: u64,
    /// Records so far that were cancelled.
    pub cancelled: u64,
    /// Output tokens of the records so far.
    pub output_tokens: u64,
    /// Arrivals that found no free slot and waited.
    pub slot_waits: u64,
    /// How often requests had to wait for the decoders.
    pub decode_stalls: u64,
    /// Most exchanges that ever waited to be decoded.
    pub decode_backlog_high: u64,
    /// CPU time of the busiest shard over the length of its busiest phase, millionths.
    pub shard_busy_ppm: u64,
    /// Mean time from being ready to running of the shard that waited longest in a phase, ns; 0 where the system does not say.
    pub core_wait_ns: u64,
    /// Most bytes that lay in one socket for over 1 ms before they were read, by the kernel's stamps.
    pub unread_high_bytes: u64,
}

impl LiveCounts {
    /// Requests in flight.
    pub fn in_flight(&self) -> u64 {
        self.started.saturating_sub(self.ended)
    }

    /// Records so far.
    pub fn records(&self) -> u64 {
        self.succeeded + self.failed + self.cancelled
    }
}

impl Live {
    pub(crate) fn request_started(&self) {
        let started = self.started.fetch_add(1, Relaxed) + 1;
        let in_flight = started.saturating_sub(self.ended.load(Relaxed));
        if in_flight > self.in_flight_high.load(Relaxed) {
            self.in_flight_high.store(in_flight, Relaxed);
        }
    }

    pub(crate) fn request_ended(&self) {
        self.ended.fetch_add(1, Relaxed);
    }

    pub(crate) fn waited_for_slot(&self) {
        self.slot_waits.fetch_add(1, Relaxed);
    }

    pub(crate) fn decode_stalled(&self) {
        self.decode_stalls.fetch_add(1, Relaxed);
    }

    pub(crate) fn decode_backlog(&self, waiting: usize) {
        self.decode_backlog_high.fetch_max(waiting, Relaxed);
    }

    pub(crate) fn shard_was_busy(&self, ppm: u64) {
        self.shard_busy_ppm.fetch_max(ppm, Relaxed);
    }

    pub(crate) fn shard_waited(&self, core_wait_ns: u64) {
        self.core_wait_ns.fetch_max(core_wait_ns, Relaxed);
    }

    pub(crate) fn lay_unread(&self, bytes: u64) {
        self.unread_high_bytes.fetch_max(bytes, Relaxed);
    }

    pub(crate) fn record(&self, success: bool, cancelled: bool, output_tokens: u64) {
        let counter = match (success, cancelled) {
            (true, _) => &self.succeeded,
            (false, true) => &self.cancelled,
            (false, false) => &self.failed,
        };
        counter.fetch_add(1, Relaxed);
        self.output_tokens.fetch_add(output_tokens, Relaxed);
    }

    /// All counters now.
    pub fn counts(&self) -> LiveCounts {
        LiveCounts {
            ended: self.ended.load(Relaxed),
            started: self.started.load(Relaxed),
            succeeded: self.succeeded.load(Relaxed),
            failed: self.failed.load(Relaxed),
            cancelled: self.cancelled.load(Relaxed),
            output_tokens: self.output_tokens.load(Relaxed),
            slot_waits: self.slot_waits.load(Relaxed),
            decode_stalls: self.decode_stalls.load(Relaxed),
            decode_backlog_high: self.decode_backlog_high.load(Relaxed) as u64,
            shard_busy_ppm: self.shard_busy_ppm.load(Relaxed),
            core_wait_ns: self.core_wait_ns.load(Relaxed),
            unread_high_bytes: self.unread_high_bytes.load(Relaxed),
        }
    }
}
