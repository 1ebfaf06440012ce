//! What a phase asks of the shards: when it starts and ends, how much it may send, and in which shape.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokmeter_record::{BenchmarkPhase, MonoNs};

use crate::schedule::{Schedule, Share, TraceClock};
use crate::slots::Slots;

/// Which phase a request belongs to; shared by all its requests.
#[derive(Debug)]
pub struct PhaseIdentity {
    /// Warmup or profiling.
    pub phase: BenchmarkPhase,
    /// Position in the run.
    pub index: u32,
    /// Position among the profiling phases.
    pub profiling_index: Option<u32>,
    /// Name in files.
    pub name: Arc<str>,
}

/// How many requests and sessions a phase may start on this machine. Shared by all shards; two atomic counters,
/// no lock.
#[derive(Debug)]
pub struct Budget {
    share: Share,
    max_requests: Option<u64>,
    max_sessions: Option<u64>,
    requests: AtomicU64,
    sessions: AtomicU64,
    stopped: AtomicBool,
}

impl Budget {
    /// A budget with this machine's limits; `None` is unlimited (a duration or Ctrl-C ends the phase). `share` is
    /// the machine's part of all numbers.
    pub fn new(max_requests: Option<u64>, max_sessions: Option<u64>, share: Share) -> Self {
        Budget {
            share,
            max_requests,
            max_sessions,
            requests: AtomicU64::new(0),
            sessions: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
        }
    }

    /// Number of the next request, from 0 and over all machines; `None` when the phase may send no more.
    pub fn take_request(&self) -> Option<u64> {
        Self::take(&self.requests, self.max_requests, &self.stopped).map(|index| self.share.nth(index))
    }

    /// Number of the next session on this machine, from 0; `None` when the phase may start no more.
    pub fn take_session(&self) -> Option<u64> {
        if self.max_requests.is_some_and(|max| self.requests.load(Ordering::Relaxed) >= max) {
            return None;
        }
        Self::take(&self.sessions, self.max_sessions, &self.stopped)
    }

    fn take(counter: &AtomicU64, max: Option<u64>, stopped: &AtomicBool) -> Option<u64> {
        if stopped.load(Ordering::Relaxed) {
            return None;
        }
        let number = counter.fetch_add(1, Ordering::Relaxed);
        if max.is_some_and(|max| number >= max) {
            counter.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        Some(number)
    }

    /// No request and no session from now on.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Whether [`Budget::stop`] was called.
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// Whether no more requests may be started: all are taken, or the phase was stopped.
    pub fn is_spent(&self) -> bool {
        self.is_stopped() || self.max_requests.is_some_and(|max| self.requests_started() >= max)
    }

    /// Requests started so far on this machine.
    pub fn requests_started(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// The limit of requests, if there is one.
    pub fn max_requests(&self) -> Option<u64> {
        self.max_requests
    }
}

/// When the later turns of a session are due.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum TurnPacing {
    /// Their delay after the answer to the turn before.
    AfterReply,
    /// At their own instants in the trace, but not before that answer.
    Trace(TraceClock),
    /// At an even distance from the turn before, in ns, but not before its answer.
    Cadence(u64),
}

/// The shape of the load on one shard.
pub enum ShardLoad {
    /// Closed loop: each slot sends its next session when the previous one has ended.
    Slots {
        /// Instant at which each slot of this shard becomes free first (a ramp spreads them).
        free_at: Vec<MonoNs>,
    },
    /// Open loop of requests: each arrival sends the turn of a running session that has waited longest, or
    /// else begins a session.
    Rate {
        /// This shard's arrivals.
        arrivals: Schedule,
        /// Most requests in flight at once in the phase; arrivals beyond wait, visibly.
        max_in_flight: Option<Slots>,
    },
    /// Open loop of sessions: each begins at the instant its job carries.
    Sessions {
        /// When their later turns are due.
        pacing: TurnPacing,
        /// Most sessions in flight at once in the phase; arrivals beyond wait, visibly.
        max_in_flight: Option<Slots>,
    },
}

/// One phase, as one shard sees it.
pub struct ShardPlan {
    /// Which phase.
    pub identity: Arc<PhaseIdentity>,
    /// Shared by all shards.
    pub budget: Arc<Budget>,
    /// First instant of the phase.
    pub start: MonoNs,
    /// This shard's load.
    pub load: ShardLoad,
    /// Slots that a request holds until its first token.
    pub prefill: Option<Slots>,
    /// Caps of the phase that this shard opens, slot by slot, while their ramps last.
    pub opens: Vec<Slots>,
    /// No request is started at or after this instant.
    pub stop_at: Option<MonoNs>,
    /// How long requests in flight may go on after the stop, ns; `None` waits for all.
    pub grace_ns: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_gives_each_number_once_and_never_more_than_its_limit() {
        let budget = Arc::new(Budget::new(Some(1_000), None, Share::WHOLE));
        let mut numbers: Vec<u64> = std::thread::scope(|scope| {
            let takers: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| std::iter::from_fn(|| budget.take_request()).collect::<Vec<_>>()))
                .collect();
            takers.into_iter().flat_map(|taker| taker.join().unwrap()).collect()
        });
        numbers.sort_unstable();
        assert_eq!(numbers, (0..1_000).collect::<Vec<_>>());
        assert_eq!(budget.requests_started(), 1_000);
    }

    #[test]
    fn machines_never_give_the_same_number() {
        let mut numbers = Vec::new();
        for rank in 0..3 {
            let share = Share::new(rank, 3).unwrap();
            let budget = Budget::new(Some(share.count_of(100)), None, share);
            numbers.extend(std::iter::from_fn(|| budget.take_request()));
        }
        numbers.sort_unstable();
        assert_eq!(numbers, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn a_stopped_budget_gives_nothing() {
        let budget = Budget::new(None, None, Share::WHOLE);
        assert_eq!(budget.take_session(), Some(0));
        budget.stop();
        assert_eq!(budget.take_session(), None);
        assert_eq!(budget.take_request(), None);
    }

    #[test]
    fn no_session_starts_once_all_requests_are_taken() {
        let budget = Budget::new(Some(1), None, Share::WHOLE);
        assert_eq!(budget.take_request(), Some(0));
        assert_eq!(budget.take_session(), None);
    }
}
