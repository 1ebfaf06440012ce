//! Requests kept one by one: an even sample of them up to a bound, and the slowest and the failed ones always.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use serde::Serialize;

use super::columns::{self, Column};
use crate::metric::catalogue as c;
use crate::request::RequestRecord;
use crate::time::WallNs;
use crate::trace::TraceData;
use crate::{BenchmarkPhase, ErrorClass, MetricId, MetricValue};

/// Slowest requests that are kept whatever the sample.
const SLOWEST: usize = 200;
/// Failed requests that are kept whatever the sample.
const FAILED: usize = 500;
/// Instants of tokens kept over all requests, and of one request.
const TOKEN_INSTANTS: usize = 300_000;
const TOKENS_OF_ONE: usize = 2_000;
/// Different error texts; further ones are counted as the last.
const ERRORS: usize = 400;
const ERROR_CHARS: usize = 400;

const WARMUP: u8 = 1;
const FAILURE: u8 = 2;
const CANCELLED: u8 = 4;
const REUSED: u8 = 8;
const BEYOND_SAMPLE: u8 = 16;
const RETRIED: u8 = 32;

/// Instants of a row, ms after its start.
const INSTANTS: [&str; 13] = [
    "pool_start",
    "pool_end",
    "dns_start",
    "dns_end",
    "tcp_start",
    "tcp_end",
    "tls_start",
    "tls_end",
    "send_start",
    "send_end",
    "first_byte",
    "body_start",
    "body_end",
];

#[derive(Clone, Debug)]
struct Row {
    ordinal: u64,
    line: u32,
    start: WallNs,
    flags: u8,
    instants: [f32; 13],
    late: f32,
    end: f32,
    latency: f32,
    ttft: f32,
    itl: f32,
    isl: u32,
    osl: u32,
    connection: u32,
    number: u16,
    status: u16,
    error: u16,
    id: Box<str>,
    tokens: Box<[f32]>,
}

/// A row in the heap of the slowest: ordered by latency alone.
struct ByLatency(Row);

impl PartialEq for ByLatency {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for ByLatency {}
impl PartialOrd for ByLatency {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for ByLatency {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.latency.total_cmp(&other.0.latency)
    }
}

/// Rows while a run is read.
pub(super) struct Rows {
    limit: usize,
    kept: Vec<Row>,
    /// Every `stride`-th request is kept.
    stride: u64,
    total: u64,
    slowest: BinaryHeap<Reverse<ByLatency>>,
    failed: Vec<Row>,
    tokens: usize,
    token_stride: u64,
    connections: HashMap<u64, u32>,
    errors: Vec<String>,
    error_numbers: HashMap<String, u16>,
    gaps: Gaps,
}

impl Rows {
    pub(super) fn new(limit: usize) -> Self {
        Rows {
            limit: limit.max(2),
            kept: Vec::new(),
            stride: 1,
            total: 0,
            slowest: BinaryHeap::new(),
            failed: Vec::new(),
            tokens: 0,
            token_stride: 1,
            connections: HashMap::new(),
            errors: Vec::new(),
            error_numbers: HashMap::new(),
            gaps: Gaps::default(),
        }
    }

    pub(super) fn add(&mut self, record: &RequestRecord, line: u64) {
        let mut row = self.row(record, line);
        let ordinal = self.total;
        self.total += 1;
        self.gaps.add(record);
        let slow = self.slowest.len() < SLOWEST
            || self.slowest.peek().is_some_and(|least| least.0.0.latency < row.latency);
        let failed = row.flags & FAILURE != 0 && self.failed.len() < FAILED;
        let sampled = ordinal.is_multiple_of(self.stride);
        if slow || failed {
            let extra = Row { flags: row.flags | BEYOND_SAMPLE, ..row.clone() };
            if failed {
                self.failed.push(extra.clone());
            }
            if slow {
                self.slowest.push(Reverse(ByLatency(extra)));
                if self.slowest.len() > SLOWEST {
                    self.slowest.pop();
                }
            }
        }
        if sampled {
            if !ordinal.is_multiple_of(self.stride * self.token_stride) {
                row.tokens = Box::default();
            }
            self.tokens += row.tokens.len();
            self.kept.push(row);
            self.thin();
        }
    }

    /// Drops every second row, or the tokens of every second row, when there are too many.
    fn thin(&mut self) {
        if self.kept.len() > self.limit {
            self.stride *= 2;
            let stride = self.stride;
            self.kept.retain(|row| row.ordinal.is_multiple_of(stride));
        }
        while self.tokens > TOKEN_INSTANTS && self.token_stride < 1 << 30 {
            self.token_stride *= 2;
            let stride = self.stride * self.token_stride;
            for row in &mut self.kept {
                if !row.ordinal.is_multiple_of(stride) {
                    row.tokens = Box::default();
                }
            }
            self.tokens = self.kept.iter().map(|row| row.tokens.len()).sum();
        }
    }

    fn row(&mut self, record: &RequestRecord, line: u64) -> Row {
        let metadata = &record.metadata;
        let metric = |id: MetricId| record.metrics.number(id);
        let start = metadata.request_start_ns;
        let trace = record.trace_data.as_ref();
        let count = |id| metric(id).map_or(u32::MAX, |n| n.clamp(0.0, f64::from(u32::MAX - 1)) as u32);
        let connection = trace.and_then(|trace| {
            trace.connection.as_ref().map(|info| info.connection_id).or(trace.local_port.map(u64::from))
        });
        let reused = match trace {
            Some(trace) => trace.connection_reused_ns.is_some(),
            None => metric(c::HTTP_REQ_CONNECTION_REUSED) == Some(1.0),
        };
        let mut flags = 0;
        let mut flag = |holds: bool, bit: u8| flags |= if holds { bit } else { 0 };
        flag(metadata.benchmark_phase == BenchmarkPhase::Warmup, WARMUP);
        flag(record.error.is_some(), FAILURE);
        flag(metadata.was_cancelled, CANCELLED);
        flag(reused, REUSED);
        flag(trace.is_some_and(|trace| !trace.attempts.is_empty()), RETRIED);
        let end = ms(start, Some(metadata.request_end_ns));
        let ttft = metric(c::TIME_TO_FIRST_TOKEN).map_or(f32::NAN, |ms| ms as f32);
        let next = self.connections.len() as u32;
        Row {
            ordinal: self.total,
            line: u32::try_from(line).unwrap_or(u32::MAX),
            start,
            flags,
            instants: trace.map_or_else(|| instants_of_metrics(record), |trace| instants(start, trace)),
            late: metadata.credit_issued_ns.map_or(f32::NAN, |intended| -ms(start, Some(intended))),
            end,
            latency: metric(c::REQUEST_LATENCY).map_or(end, |ms| ms as f32),
            ttft,
            itl: metric(c::INTER_TOKEN_LATENCY).map_or(f32::NAN, |ms| ms as f32),
            isl: count(c::INPUT_SEQUENCE_LENGTH),
            osl: count(c::OUTPUT_SEQUENCE_LENGTH),
            connection: connection
                .map_or(u32::MAX, |id| *self.connections.entry(id).or_insert(next.min(u32::MAX - 1))),
            number: trace
                .and_then(|trace| trace.connection_request_number)
                .map_or(u16::MAX, |number| number.min(u32::from(u16::MAX - 1)) as u16),
            status: trace.and_then(|trace| trace.response_status_code).unwrap_or(u16::MAX),
            error: self.error(record),
            id: metadata.x_request_id.as_deref().unwrap_or_default().chars().take(64).collect(),
            tokens: tokens(record, ttft),
        }
    }

    fn error(&mut self, record: &RequestRecord) -> u16 {
        let Some(error) = &record.error else { return u16::MAX };
        let kind = error.kind.as_deref().unwrap_or("error");
        let code = error.code.map_or_else(String::new, |code| format!("{code} "));
        let class = error.class.map_or("", class_name);
        let mut text = format!("{code}{kind}: {}", error.message);
        if !class.is_empty() {
            text = format!("[{class}] {text}");
        }
        if text.len() > ERROR_CHARS {
            text = text.chars().take(ERROR_CHARS).chain(['…']).collect();
        }
        if let Some(number) = self.error_numbers.get(&text) {
            return *number;
        }
        if self.errors.len() == ERRORS {
            self.errors.push("other errors".to_owned());
        }
        if self.errors.len() > ERRORS {
            return ERRORS as u16;
        }
        let number = self.errors.len() as u16;
        self.errors.push(text.clone());
        self.error_numbers.insert(text, number);
        number
    }

    /// The rows as columns, in the order of their start.
    pub(super) fn finish(self) -> Requests {
        let mut rows = self.kept;
        let stride = self.stride;
        let extras = self.failed.into_iter().chain(self.slowest.into_iter().map(|Reverse(row)| row.0));
        let mut extras: Vec<Row> = extras.collect();
        extras.sort_by_key(|row| row.ordinal);
        extras.dedup_by_key(|row| row.ordinal);
        // A sampled row whose tokens were thinned away gets them back from its twin among the extras.
        for extra in extras {
            match rows.binary_search_by_key(&extra.ordinal, |row| row.ordinal) {
                Ok(at) if extra.ordinal.is_multiple_of(stride) => rows[at].tokens = extra.tokens,
                Ok(_) => {}
                Err(at) => rows.insert(at, extra),
            }
        }
        rows.sort_by_key(|row| row.start);
        let origin = rows.first().map_or(WallNs(0), |row| row.start);
        Requests::of(&rows, origin, self.total, stride, self.errors, self.gaps)
    }
}

fn class_name(class: ErrorClass) -> &'static str {
    match class {
        ErrorClass::Dns => "dns",
        ErrorClass::ConnectionRefused => "connection refused",
        ErrorClass::Unreachable => "unreachable",
        ErrorClass::Tls => "tls",
        ErrorClass::Disconnected => "disconnected",
        ErrorClass::StaleConnection => "stale connection",
        ErrorClass::Timeout => "timeout",
        ErrorClass::SendTimeout => "send timeout",
        ErrorClass::Cancelled => "cancelled",
        ErrorClass::Protocol => "protocol",
        ErrorClass::LimitExceeded => "limit exceeded",
        ErrorClass::HttpStatus => "http status",
        ErrorClass::StreamError => "stream error",
        ErrorClass::Truncated => "truncated",
        ErrorClass::Aborted => "aborted",
        ErrorClass::EmptyResponse => "empty response",
        ErrorClass::InvalidResponse => "invalid response",
        ErrorClass::ClientResources => "client resources",
        ErrorClass::Other => "",
    }
}

/// From `start` to `at`, ms; negative before it, NaN when it did not happen.
fn ms(start: WallNs, at: Option<WallNs>) -> f32 {
    at.map_or(f32::NAN, |at| ((i128::from(at.0) - i128::from(start.0)) as f64 / 1e6) as f32)
}

fn instants(start: WallNs, trace: &TraceData) -> [f32; 13] {
    [
        trace.connection_pool_wait_start_ns,
        trace.connection_pool_wait_end_ns,
        trace.dns_lookup_start_ns,
        trace.dns_lookup_end_ns,
        trace.tcp_connect_start_ns,
        trace.tcp_connect_end_ns,
        trace.tls_start_ns,
        trace.tls_end_ns,
        trace.request_send_start_ns,
        trace.request_send_end_ns,
        trace.response_first_byte_ns,
        trace.response_receive_start_ns,
        trace.response_receive_end_ns,
    ]
    .map(|at| ms(start, at))
}

/// Without a trace the phases are laid one after another, as they follow each other on the wire.
fn instants_of_metrics(record: &RequestRecord) -> [f32; 13] {
    const PHASES: [(MetricId, usize); 5] = [
        (c::HTTP_REQ_BLOCKED, 0),
        (c::HTTP_REQ_DNS_LOOKUP, 2),
        (c::HTTP_REQ_TCP_CONNECTING, 4),
        (c::HTTP_REQ_TLS_HANDSHAKING, 6),
        (c::HTTP_REQ_SENDING, 8),
    ];
    let mut instants = [f32::NAN; 13];
    let duration = |id| record.metrics.number(id).filter(|ms| *ms >= 0.0);
    let Some(waiting) = duration(c::HTTP_REQ_WAITING) else { return instants };
    let mut at = 0.0;
    for (id, place) in PHASES {
        // A connection that was dialled without its own parts known counts as TCP.
        let known = match id == c::HTTP_REQ_TCP_CONNECTING {
            true => duration(id).or_else(|| duration(c::HTTP_REQ_CONNECTING)),
            false => duration(id),
        };
        if let Some(ms) = known.filter(|ms| *ms > 0.0 || place == 8) {
            instants[place] = at as f32;
            at += ms;
            instants[place + 1] = at as f32;
        }
    }
    if let Some(headers) = duration(c::HTTP_REQ_WAITING_HEADERS) {
        instants[10] = (at + headers) as f32;
    }
    at += waiting;
    instants[11] = at as f32;
    if let Some(receiving) = duration(c::HTTP_REQ_RECEIVING) {
        instants[12] = (at + receiving) as f32;
    }
    instants
}

/// Arrivals of tokens (or of the chunks that carried them), ms after the start.
fn tokens(record: &RequestRecord, ttft: f32) -> Box<[f32]> {
    if let Some(MetricValue::List(gaps)) = record.metrics.get(c::INTER_CHUNK_LATENCY)
        && ttft.is_finite()
    {
        let mut at = f64::from(ttft);
        let later = gaps.iter().take(TOKENS_OF_ONE - 1).map(|gap| {
            at += gap;
            at as f32
        });
        return [ttft].into_iter().chain(later).collect();
    }
    let Some(trace) = &record.trace_data else { return Box::default() };
    let start = record.metadata.request_start_ns;
    trace.response_chunks.iter().take(TOKENS_OF_ONE).map(|chunk| ms(start, Some(chunk.0))).collect()
}

/// Inter-chunk latencies of all profiling requests, counted in bins of equal ratio.
#[derive(Debug, Default)]
struct Gaps {
    counts: Vec<u64>,
}

/// Bins of one decade, from 1 us upwards.
const BINS_OF_DECADE: f64 = 60.0;
const LEAST_MS: f64 = 1e-3;
const MOST_BINS: usize = 60 * 9;

impl Gaps {
    fn add(&mut self, record: &RequestRecord) {
        if record.metadata.benchmark_phase == BenchmarkPhase::Warmup {
            return;
        }
        let Some(MetricValue::List(gaps)) = record.metrics.get(c::INTER_CHUNK_LATENCY) else { return };
        self.counts.resize(MOST_BINS, 0);
        for ms in gaps.iter().filter(|ms| ms.is_finite()) {
            let bin = ((ms.max(LEAST_MS) / LEAST_MS).log10() * BINS_OF_DECADE) as usize;
            self.counts[bin.min(MOST_BINS - 1)] += 1;
        }
    }
}

/// Rows as the page gets them.
#[derive(Debug, Serialize)]
pub(super) struct Requests {
    /// Requests of the file.
    total: u64,
    /// Rows of the columns.
    kept: usize,
    /// Every so-many-th request is in the sample.
    stride: u64,
    /// Start of the first row: ns since the epoch, as text (beyond the whole numbers of JavaScript).
    origin_ns: String,
    columns: Vec<(&'static str, Column)>,
    errors: Vec<String>,
    /// Row, request id and arrivals of tokens of the requests that can be looked into.
    details: Vec<(usize, Box<str>, String)>,
    /// Counts of inter-chunk latencies in bins of equal ratio: least bound in ms, bins of a decade, counts.
    gaps: (f64, f64, Vec<u64>),
}

impl Requests {
    fn of(rows: &[Row], origin: WallNs, total: u64, stride: u64, errors: Vec<String>, gaps: Gaps) -> Self {
        fn pick<T: columns::Number>(rows: &[Row], value: impl Fn(&Row) -> T) -> Option<Column> {
            columns::column(&rows.iter().map(value).collect::<Vec<T>>())
        }
        let start = |row: &Row| (row.start.0 - origin.0) as f64 / 1e6;
        let mut columns = vec![
            ("start", pick(rows, start)),
            ("flags", pick(rows, |row| row.flags)),
            ("line", pick(rows, |row| row.line)),
            ("late", pick(rows, |row| row.late)),
            ("end", pick(rows, |row| row.end)),
            ("latency", pick(rows, |row| row.latency)),
            ("ttft", pick(rows, |row| row.ttft)),
            ("itl", pick(rows, |row| row.itl)),
            ("isl", pick(rows, |row| row.isl)),
            ("osl", pick(rows, |row| row.osl)),
            ("connection", pick(rows, |row| row.connection)),
            ("number", pick(rows, |row| row.number)),
            ("status", pick(rows, |row| row.status)),
            ("error", pick(rows, |row| row.error)),
        ];
        columns.extend(
            INSTANTS.iter().enumerate().map(|(place, name)| (*name, pick(rows, |row| row.instants[place]))),
        );
        let detailed =
            rows.iter().enumerate().filter(|(_, row)| !row.tokens.is_empty() || row.flags & FAILURE != 0);
        let mut gaps = gaps.counts;
        gaps.truncate(gaps.iter().rposition(|count| *count > 0).map_or(0, |last| last + 1));
        Requests {
            total,
            kept: rows.len(),
            stride,
            origin_ns: origin.0.to_string(),
            columns: columns.into_iter().filter_map(|(name, column)| Some((name, column?))).collect(),
            errors,
            details: detailed
                .map(|(at, row)| (at, row.id.clone(), columns::base64(row.tokens.iter().copied())))
                .collect(),
            gaps: (LEAST_MS, BINS_OF_DECADE, gaps),
        }
    }

    /// Start of the first request, ns since the epoch; `None` without requests.
    pub(super) fn origin(&self) -> Option<u64> {
        self.origin_ns.parse().ok().filter(|_| self.kept > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(index: u64, latency_ms: f64, failed: bool) -> RequestRecord {
        let mut record = RequestRecord::default();
        record.metadata.request_start_ns = WallNs(1_000_000_000 + index * 1_000_000);
        record.metadata.request_end_ns =
            WallNs(1_000_000_000 + index * 1_000_000 + (latency_ms * 1e6) as u64);
        match failed {
            false => record.metrics.float(c::REQUEST_LATENCY, latency_ms),
            true => {
                let error = r#"{"code":500,"type":"Internal Server Error","message":"<script>x"}"#;
                record.error = serde_json::from_str(error).ok();
            }
        }
        record
    }

    #[test]
    fn a_bounded_sample_keeps_the_slowest_and_the_failed() {
        let mut rows = Rows::new(1_000);
        for index in 0..50_000u64 {
            let slow = index == 33_333;
            rows.add(&record(index, if slow { 9e6 } else { 5.0 }, index == 44_445), index + 1);
        }
        assert!(rows.kept.len() <= 1_000);
        let stride = rows.stride;
        let requests = rows.finish();
        assert_eq!((requests.total, requests.stride), (50_000, stride));
        assert!(requests.kept >= 500 && requests.kept <= 1_000 + SLOWEST + FAILED, "{}", requests.kept);
        assert_eq!(requests.errors, ["500 Internal Server Error: <script>x"]);
        // The failed request is not in the even sample, and can be looked into all the same.
        assert_eq!(requests.details.len(), 1);
        assert!(!44_445u64.is_multiple_of(stride));
    }

    #[test]
    fn tokens_are_bounded_over_all_requests() {
        let mut rows = Rows::new(100_000);
        for index in 0..2_000 {
            let mut one = record(index, 900.0, false);
            one.metrics.float(c::TIME_TO_FIRST_TOKEN, 10.0);
            one.metrics.list(c::INTER_CHUNK_LATENCY, vec![1.0; 400]);
            rows.add(&one, index + 1);
        }
        assert!(rows.tokens <= TOKEN_INSTANTS, "{}", rows.tokens);
        assert!(rows.tokens > TOKEN_INSTANTS / 4, "{}", rows.tokens);
        let requests = rows.finish();
        assert_eq!(requests.gaps.2.iter().sum::<u64>(), 2_000 * 400);
        assert_eq!(requests.kept, 2_000);
    }

    #[test]
    fn phases_without_a_trace_follow_each_other() {
        let mut one = record(0, 100.0, false);
        one.metrics.float(c::HTTP_REQ_BLOCKED, 2.0);
        one.metrics.float(c::HTTP_REQ_SENDING, 1.0);
        one.metrics.float(c::HTTP_REQ_WAITING, 50.0);
        one.metrics.float(c::HTTP_REQ_RECEIVING, 40.0);
        let at = instants_of_metrics(&one);
        assert_eq!((at[0], at[1], at[8], at[9], at[11], at[12]), (0.0, 2.0, 2.0, 3.0, 53.0, 93.0));
        assert!(at[2].is_nan() && at[4].is_nan());
        assert!(instants_of_metrics(&RequestRecord::default()).iter().all(|at| at.is_nan()));
    }
}
