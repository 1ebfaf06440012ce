//! One record reduced to what the figures need: a fixed-size row, so that a million of them fit in memory.

use crate::analysis::line::{INPUT_TOKENS, Line, OUTPUT_TOKENS, TAGS, TracePart, Wanted};

/// An optional number of ns in eight bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OptNs(u64);

impl OptNs {
    pub(crate) const NONE: OptNs = OptNs(u64::MAX);

    pub(crate) fn get(self) -> Option<u64> {
        (self != Self::NONE).then_some(self.0)
    }
}

impl From<Option<u64>> for OptNs {
    fn from(value: Option<u64>) -> Self {
        value.map_or(OptNs::NONE, |ns| OptNs(ns.min(u64::MAX - 1)))
    }
}

/// An optional count in four bytes; larger counts saturate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OptCount(u32);

impl OptCount {
    pub(crate) const NONE: OptCount = OptCount(u32::MAX);

    pub(crate) fn get(self) -> Option<u64> {
        (self != Self::NONE).then_some(u64::from(self.0))
    }
}

impl From<Option<u64>> for OptCount {
    fn from(value: Option<u64>) -> Self {
        value.map_or(OptCount::NONE, |count| OptCount(count.min(u64::from(u32::MAX) - 1) as u32))
    }
}

impl From<Option<f64>> for OptCount {
    fn from(value: Option<f64>) -> Self {
        value.filter(|number| *number >= 0.0).map(|number| number as u64).into()
    }
}

/// Yes-or-no facts of a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts(u16);

impl Facts {
    /// It has `trace_data`.
    pub(crate) const TRACED: u16 = 1;
    /// No `trace_data`, but the `http_req_*` metrics say the same in less detail.
    pub(crate) const PHASE_METRICS: u16 = 1 << 1;
    /// Exception stamp, status outside 200..400, or an `error` object.
    pub(crate) const FAILED: u16 = 1 << 2;
    /// It dialled a connection (both instants are there).
    pub(crate) const CREATED: u16 = 1 << 3;
    /// It took a kept-alive connection.
    pub(crate) const REUSED: u16 = 1 << 4;
    /// The name was in the cache.
    pub(crate) const DNS_HIT: u16 = 1 << 5;
    /// It belongs to the warmup phase.
    pub(crate) const WARMUP: u16 = 1 << 6;
    /// It was cancelled on purpose.
    pub(crate) const CANCELLED: u16 = 1 << 7;
    /// Its trace was written by AIPerf's aiohttp tracer, whose send phase contains the set-up.
    pub(crate) const AIOHTTP: u16 = 1 << 8;
    /// More than one attempt was needed.
    pub(crate) const RETRIED: u16 = 1 << 9;

    pub(crate) fn has(self, fact: u16) -> bool {
        self.0 & fact != 0
    }

    fn set(&mut self, fact: u16, holds: bool) {
        if holds {
            self.0 |= fact;
        }
    }
}

/// One record as the figures see it. Durations in ns, sizes in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Observation {
    /// Wall clock, ns since the epoch; 0 when unknown.
    pub(crate) start_ns: u64,
    /// The metric `request_latency`.
    pub(crate) latency: OptNs,
    /// The metric `time_to_first_token`.
    pub(crate) ttft: OptNs,
    pub(crate) blocked: OptNs,
    pub(crate) dns: OptNs,
    /// TCP plus TLS.
    pub(crate) connecting: OptNs,
    pub(crate) sending: OptNs,
    /// Send end to first body byte.
    pub(crate) ttfb: OptNs,
    /// Send end to last body byte.
    pub(crate) ttlb: OptNs,
    /// Delay of the start behind the schedule.
    pub(crate) start_delay: OptNs,
    pub(crate) response_bytes: OptNs,
    pub(crate) request_bytes: OptCount,
    pub(crate) chunks: OptCount,
    pub(crate) input_tokens: OptCount,
    pub(crate) output_tokens: OptCount,
    /// 1 for the first request on its connection.
    pub(crate) request_number: OptCount,
    pub(crate) status: u16,
    pub(crate) facts: Facts,
}

fn between(start: Option<u64>, end: Option<u64>) -> Option<u64> {
    Some(end?.saturating_sub(start?))
}

fn slot(tag: &str) -> usize {
    TAGS.iter().position(|name| *name == tag).unwrap_or(usize::MAX)
}

/// Slots that are looked up once for each line.
#[derive(Clone, Debug)]
pub(crate) struct Slots {
    latency: usize,
    ttft: usize,
    pub(crate) chunk_gaps: usize,
    blocked: usize,
    dns: usize,
    connecting: usize,
    sending: usize,
    waiting: usize,
    receiving: usize,
    data_sent: usize,
    data_received: usize,
    chunks_received: usize,
    reused: usize,
}

impl Slots {
    pub(crate) fn new() -> Self {
        Slots {
            latency: slot("request_latency"),
            ttft: slot("time_to_first_token"),
            chunk_gaps: slot("inter_chunk_latency"),
            blocked: slot("http_req_blocked"),
            dns: slot("http_req_dns_lookup"),
            connecting: slot("http_req_connecting"),
            sending: slot("http_req_sending"),
            waiting: slot("http_req_waiting"),
            receiving: slot("http_req_receiving"),
            data_sent: slot("http_req_data_sent"),
            data_received: slot("http_req_data_received"),
            chunks_received: slot("http_req_chunks_received"),
            reused: slot("http_req_connection_reused"),
        }
    }
}

impl Observation {
    /// The row of a line.
    pub(crate) fn of(line: &Line, slots: &Slots) -> Observation {
        let metadata = &line.metadata;
        let metrics = &line.metrics;
        let mut row = Observation {
            start_ns: metadata.request_start_ns.unwrap_or(0),
            latency: metrics.duration_ns(slots.latency).into(),
            ttft: metrics.duration_ns(slots.ttft).into(),
            blocked: OptNs::NONE,
            dns: OptNs::NONE,
            connecting: OptNs::NONE,
            sending: OptNs::NONE,
            ttfb: OptNs::NONE,
            ttlb: OptNs::NONE,
            start_delay: between(metadata.credit_issued_ns, metadata.request_start_ns).into(),
            response_bytes: OptNs::NONE,
            request_bytes: OptCount::NONE,
            chunks: OptCount::NONE,
            input_tokens: metrics.first_number(INPUT_TOKENS).into(),
            output_tokens: metrics.first_number(OUTPUT_TOKENS).into(),
            request_number: OptCount::NONE,
            status: 0,
            facts: Facts::default(),
        };
        row.facts
            .set(Facts::WARMUP, metadata.benchmark_phase.as_ref().is_some_and(|phase| phase.0 == "warmup"));
        row.facts.set(Facts::CANCELLED, metadata.was_cancelled);
        row.facts.set(Facts::FAILED, line.error.is_some());
        if let Some(error) = &line.error {
            row.status = error.code.and_then(|code| u16::try_from(code).ok()).unwrap_or(0);
        }
        match &line.trace {
            Some(trace) => row.fill_from_trace(trace),
            None => row.fill_from_metrics(line, slots),
        }
        if row.latency().is_none() {
            let elapsed = between(metadata.request_start_ns, metadata.request_end_ns);
            row.latency = elapsed.filter(|ns| *ns > 0).into();
        }
        row
    }

    fn fill_from_trace(&mut self, trace: &TracePart) {
        let sent = trace.request_send_end_ns;
        let first = trace.response_chunks.first().map(|chunk| chunk.0).or(trace.response_receive_start_ns);
        let last = trace.response_chunks.last().map(|chunk| chunk.0).or(trace.response_receive_end_ns);
        let tcp = between(trace.tcp_connect_start_ns, trace.tcp_connect_end_ns);
        let tls = between(trace.tls_start_ns, trace.tls_end_ns);
        self.blocked = between(trace.connection_pool_wait_start_ns, trace.connection_pool_wait_end_ns).into();
        self.dns = between(trace.dns_lookup_start_ns, trace.dns_lookup_end_ns).into();
        self.connecting = match (tcp, tls) {
            (None, None) => OptNs::NONE,
            (tcp, tls) => Some(tcp.unwrap_or(0).saturating_add(tls.unwrap_or(0))).into(),
        };
        self.sending = between(trace.request_send_start_ns, sent).into();
        self.ttfb = between(sent, first).into();
        self.ttlb = between(sent, last).into();
        let sum = |chunks: &[crate::analysis::line::Chunk]| {
            chunks.iter().fold(0u64, |sum, chunk| sum.saturating_add(chunk.1))
        };
        self.request_bytes = if trace.request_chunks.is_empty() {
            trace.request_bytes_total.into()
        } else {
            Some(sum(&trace.request_chunks)).into()
        };
        if trace.response_chunks.is_empty() {
            self.response_bytes = trace.response_bytes_total.into();
            self.chunks = trace.response_chunks_count.into();
        } else {
            self.response_bytes = Some(sum(&trace.response_chunks)).into();
            self.chunks = Some(trace.response_chunks.len() as u64).into();
        }
        self.request_number = trace.connection_request_number.map(u64::from).into();
        if let Some(status) = trace.response_status_code {
            self.status = status;
        }
        let bad_status = trace.response_status_code.is_some_and(|status| !(200..400).contains(&status));
        self.facts.set(Facts::TRACED, true);
        self.facts.set(Facts::FAILED, trace.error_timestamp_ns.is_some() || bad_status);
        self.facts.set(Facts::CREATED, tcp.is_some());
        self.facts.set(Facts::REUSED, trace.connection_reused_ns.is_some());
        self.facts.set(Facts::DNS_HIT, trace.dns_cache_hit_ns.is_some());
        self.facts.set(Facts::AIOHTTP, trace.trace_type.as_ref().is_some_and(|kind| kind.0 == "aiohttp"));
        self.facts.set(Facts::RETRIED, !trace.attempts.is_empty());
    }

    /// The phases as AIPerf's per-request metrics tell them, which are written without any trace flag.
    fn fill_from_metrics(&mut self, line: &Line, slots: &Slots) {
        let metrics = &line.metrics;
        let Some(waiting) = metrics.duration_ns(slots.waiting) else { return };
        let nonzero = |slot| metrics.duration_ns(slot).filter(|ns| *ns > 0);
        let bytes = |slot| metrics.number(slot).map(|kilobytes| kilobytes * 1024.0);
        let connecting = nonzero(slots.connecting);
        self.blocked = nonzero(slots.blocked).into();
        self.dns = nonzero(slots.dns).into();
        self.connecting = connecting.into();
        self.sending = metrics.duration_ns(slots.sending).into();
        self.ttfb = Some(waiting).into();
        self.ttlb = metrics.duration_ns(slots.receiving).map(|ns| waiting.saturating_add(ns)).into();
        self.request_bytes = bytes(slots.data_sent).map(|size| size.round()).into();
        self.response_bytes = bytes(slots.data_received).map(|size| size.round().max(0.0) as u64).into();
        self.chunks = metrics.number(slots.chunks_received).into();
        self.facts.set(Facts::PHASE_METRICS, true);
        self.facts.set(Facts::REUSED, metrics.number(slots.reused) == Some(1.0));
        self.facts.set(Facts::CREATED, connecting.is_some());
    }

    /// Whether its phases are known, from a trace or from metrics.
    pub(crate) fn has_phases(&self) -> bool {
        self.facts.has(Facts::TRACED | Facts::PHASE_METRICS)
    }

    /// First to last body byte.
    pub(crate) fn receiving(&self) -> Option<u64> {
        Some(self.ttlb.get()?.saturating_sub(self.ttfb.get()?))
    }

    /// Sending plus waiting plus receiving, of those that occurred.
    pub(crate) fn duration(&self) -> Option<u64> {
        Some(self.sending.get()?.saturating_add(self.ttlb.get().or(self.ttfb.get())?))
    }

    /// Blocked plus DNS plus connecting.
    pub(crate) fn connection_overhead(&self) -> u64 {
        [self.blocked, self.dns, self.connecting]
            .iter()
            .fold(0, |sum: u64, phase| sum.saturating_add(phase.get().unwrap_or(0)))
    }

    /// All phases together. In aiohttp traces the send phase already contains the set-up, which is counted once.
    pub(crate) fn total(&self) -> Option<u64> {
        let overhead = if self.facts.has(Facts::AIOHTTP) { 0 } else { self.connection_overhead() };
        Some(self.duration()?.saturating_add(overhead))
    }

    /// From the start of the request to the first body byte.
    pub(crate) fn first_byte(&self) -> Option<u64> {
        Some(self.total()?.saturating_sub(self.receiving().unwrap_or(0)))
    }

    /// What its user waited for: the metric `request_latency`, else the trace from the first phase to the last.
    pub(crate) fn latency(&self) -> Option<u64> {
        self.latency.get().or_else(|| self.total())
    }
}

/// Everything needed to turn a line into a row.
#[derive(Clone, Debug)]
pub(crate) struct LineReader {
    pub(crate) wanted: Wanted,
    pub(crate) slots: Slots,
}

impl LineReader {
    pub(crate) fn new<'a>(extra_tags: impl IntoIterator<Item = &'a str>) -> Self {
        LineReader { wanted: Wanted::new(extra_tags), slots: Slots::new() }
    }
}
