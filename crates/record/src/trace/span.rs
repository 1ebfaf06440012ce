//! The phases of one request as spans of time, also of a request that failed on its way.

use super::{Phase, Trace};
use crate::time::Instant;

/// One phase that occurred: what HAR shows as a duration and a trace viewer as a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PhaseSpan<T> {
    /// Which phase.
    pub phase: Phase,
    /// Its first instant.
    pub start: T,
    /// Its last instant, never before the first.
    pub end: T,
}

impl<T: Instant> PhaseSpan<T> {
    /// Its length, ns.
    pub fn duration(&self) -> u64 {
        self.end.since(self.start)
    }
}

impl<T: Instant> Trace<T> {
    /// The phases that occurred, in order. For a success they are those of [`Trace::phases`]. A phase that was
    /// under way when the request failed ends with the failure; an answer without body ends the waiting.
    pub fn spans(&self) -> impl Iterator<Item = PhaseSpan<T>> {
        let failed = self.error_timestamp_ns;
        let answered = self.response_receive_start_ns.or(self.response_receive_end_ns);
        let phases = [
            (Phase::Blocked, self.connection_pool_wait_start_ns, self.connection_pool_wait_end_ns),
            (Phase::Dns, self.dns_lookup_start_ns, self.dns_lookup_end_ns),
            (
                Phase::Connecting,
                self.tcp_connect_start_ns.or_else(|| self.dialed_in_vain()),
                self.tcp_connect_end_ns,
            ),
            (Phase::Tls, self.tls_start_ns, self.tls_end_ns),
            (Phase::Sending, self.request_send_start_ns, self.request_send_end_ns),
            (Phase::Waiting, self.request_send_end_ns, answered),
            (Phase::Receiving, self.response_receive_start_ns, self.response_receive_end_ns),
        ];
        phases.into_iter().filter_map(move |(phase, start, end)| {
            let start = start?;
            Some(PhaseSpan { phase, start, end: end.or(failed)?.max(start) })
        })
    }

    /// When dialing began that led to no connection: the handshake's own instants are those of a success.
    fn dialed_in_vain(&self) -> Option<T> {
        let in_vain = self.error_timestamp_ns.is_some()
            && self.connection_reused_ns.is_none()
            && self.request_send_start_ns.is_none();
        match (in_vain, self.dns_lookup_start_ns, self.connection_pool_wait_start_ns) {
            (false, _, _) => None,
            (true, Some(_), _) => self.dns_lookup_end_ns,
            (true, None, Some(_)) => self.connection_pool_wait_end_ns,
            (true, None, None) => self.start_ns,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::MonoNs;

    fn shown(trace: &Trace<MonoNs>) -> Vec<(Phase, u64, u64)> {
        trace.spans().map(|span| (span.phase, span.start.0, span.end.0)).collect()
    }

    #[test]
    fn a_success_has_the_phases_of_its_metrics() {
        let at = |ns| Some(MonoNs(ns));
        let trace = Trace {
            connection_pool_wait_start_ns: at(0),
            connection_pool_wait_end_ns: at(1),
            tcp_connect_start_ns: at(1),
            tcp_connect_end_ns: at(4),
            tls_start_ns: at(4),
            tls_end_ns: at(9),
            request_send_start_ns: at(9),
            request_send_end_ns: at(10),
            response_receive_start_ns: at(50),
            response_receive_end_ns: at(80),
            ..Trace::default()
        };
        assert_eq!(trace.spans().map(|span| span.duration()).sum::<u64>(), trace.phases().total());
        assert_eq!(
            shown(&trace),
            [
                (Phase::Blocked, 0, 1),
                (Phase::Connecting, 1, 4),
                (Phase::Tls, 4, 9),
                (Phase::Sending, 9, 10),
                (Phase::Waiting, 10, 50),
                (Phase::Receiving, 50, 80),
            ]
        );
    }

    #[test]
    fn a_failure_ends_the_phase_it_met() {
        let at = |ns| Some(MonoNs(ns));
        let waiting = Trace {
            request_send_start_ns: at(3),
            request_send_end_ns: at(5),
            error_timestamp_ns: at(90),
            ..Trace::default()
        };
        assert_eq!(shown(&waiting), [(Phase::Sending, 3, 5), (Phase::Waiting, 5, 90)]);
        let refused_at_once = Trace { start_ns: at(1), error_timestamp_ns: at(9), ..Trace::default() };
        assert_eq!(shown(&refused_at_once), [(Phase::Connecting, 1, 9)]);
        let never_granted = Trace {
            start_ns: at(1),
            connection_pool_wait_start_ns: at(2),
            error_timestamp_ns: at(9),
            ..Trace::default()
        };
        assert_eq!(shown(&never_granted), [(Phase::Blocked, 2, 9)]);
        let unresolved = Trace {
            dns_lookup_start_ns: at(2),
            connection_pool_wait_end_ns: at(2),
            error_timestamp_ns: at(9),
            ..Trace::default()
        };
        assert_eq!(shown(&unresolved), [(Phase::Dns, 2, 9)]);
        let refused = Trace {
            connection_pool_wait_start_ns: at(1),
            connection_pool_wait_end_ns: at(2),
            error_timestamp_ns: at(9),
            ..Trace::default()
        };
        assert_eq!(shown(&refused), [(Phase::Blocked, 1, 2), (Phase::Connecting, 2, 9)]);
    }

    #[test]
    fn an_answer_without_body_ends_the_waiting() {
        let at = |ns| Some(MonoNs(ns));
        let trace = Trace {
            request_send_end_ns: at(5),
            response_receive_end_ns: at(7),
            ..Trace::<MonoNs>::default()
        };
        assert_eq!(shown(&trace), [(Phase::Waiting, 5, 7)]);
    }
}
