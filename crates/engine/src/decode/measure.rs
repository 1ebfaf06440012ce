//! The metrics of one request, from its instants, its events and its token counts (METRICS.md section 1).

use tokmeter_record::metric::catalogue as m;
use tokmeter_record::time::Instant;
use tokmeter_record::trace::AttemptKind;
use tokmeter_record::{Metrics, MonoNs, Trace};

use super::tokens::TokenCounts;
use crate::endpoint::{Delta, DeltaKind, Reply, Usage};

/// What the metrics of a successful request are made of.
pub(crate) struct Measured<'a> {
    pub trace: &'a Trace<MonoNs>,
    pub reply: &'a Reply,
    pub counts: &'a TokenCounts,
    pub intended: MonoNs,
    pub requested_output: Option<u32>,
    pub streaming: bool,
    pub per_chunk_usage: bool,
}

/// Metrics of a failed request: only how much it had asked.
pub(crate) fn failure(counts: &TokenCounts) -> Metrics {
    let mut metrics = Metrics::default();
    if let Some(input) = counts.input {
        metrics.int(m::ERROR_ISL, input as i64);
    }
    metrics
}

/// Metrics of a successful request.
pub(crate) fn success(measured: &Measured) -> Metrics {
    let mut metrics = Metrics::with_capacity(60);
    latency(&mut metrics, measured);
    tokens(&mut metrics, measured);
    if let Some(usage) = &measured.reply.usage {
        self::usage(&mut metrics, usage);
        if measured.counts.compare_with_usage {
            usage_difference(&mut metrics, usage, measured.counts);
        }
    }
    http(&mut metrics, measured.trace);
    metrics
}

fn latency(metrics: &mut Metrics, measured: &Measured) {
    let Some(start) = measured.trace.start_ns else { return };
    let deltas = &measured.reply.deltas;
    let (first, last) = match (deltas.first(), deltas.last()) {
        (Some(first), Some(last)) => (first, last),
        // Endpoints without text (embeddings, rankings): the answer's last byte.
        _ => {
            if let Some(end) = measured.reply.last_event_at.or(measured.trace.response_receive_end_ns) {
                metrics.ms(m::REQUEST_LATENCY, end.since(start));
            }
            return;
        }
    };
    let latency = last.at.since(start);
    metrics.ms(m::REQUEST_LATENCY, latency);
    let output = measured.counts.output_sequence();
    if let Some(output) = output
        && latency > 0
    {
        metrics.float(m::E2E_OUTPUT_TOKEN_THROUGHPUT, output as f64 / seconds(latency));
    }
    if !measured.streaming {
        return;
    }
    let first_token = first.at.since(start);
    let decode = latency - first_token;
    metrics.ms(m::TIME_TO_FIRST_TOKEN, first_token);
    metrics.ms(m::EFFECTIVE_TIME_TO_FIRST_TOKEN, first.at.since(measured.intended));
    if let Some(second) = deltas.get(1) {
        metrics.ms(m::TIME_TO_SECOND_TOKEN, second.at.since(first.at));
    }
    if let Some(answer) = deltas.iter().find(|delta| delta.kind != DeltaKind::Reasoning) {
        metrics.ms(m::TIME_TO_FIRST_OUTPUT_TOKEN, answer.at.since(start));
    }
    metrics.ms(m::DECODE_DURATION, decode);
    if let Some(intervals) =
        output.and_then(|output| token_intervals(output, first, measured.per_chunk_usage))
    {
        let between = decode as f64 / intervals;
        metrics.float(m::INTER_TOKEN_LATENCY, between / 1e6);
        if between > 0.0 {
            metrics.float(m::OUTPUT_TOKEN_THROUGHPUT_PER_USER, 1e9 / between);
        }
    }
    if deltas.len() > 1 {
        let gaps = deltas.windows(2).map(|pair| pair[1].at.since(pair[0].at) as f64 / 1e6).collect();
        metrics.list(m::INTER_CHUNK_LATENCY, gaps);
    }
    if let Some(input) = measured.counts.input
        && first_token > 0
    {
        metrics.float(m::PREFILL_THROUGHPUT_PER_USER, input as f64 / seconds(first_token));
    }
}

/// How many token intervals lie between the first and the last event: `OSL - 1`, or with usage in every event
/// `OSL - tokens of the first event`.
fn token_intervals(output: u64, first: &Delta, per_chunk_usage: bool) -> Option<f64> {
    let in_first = match per_chunk_usage {
        true => first.completion_tokens_so_far.map_or(1, u64::from).max(1),
        false => 1,
    };
    output.checked_sub(in_first).filter(|&intervals| intervals > 0).map(|intervals| intervals as f64)
}

fn tokens(metrics: &mut Metrics, measured: &Measured) {
    let counts = measured.counts;
    if let Some(input) = counts.input {
        metrics.int(m::INPUT_SEQUENCE_LENGTH, input as i64);
    }
    if let Some(output) = counts.output {
        metrics.int(m::OUTPUT_TOKEN_COUNT, output as i64);
    }
    if let Some(reasoning) = counts.reasoning {
        metrics.int(m::REASONING_TOKEN_COUNT, reasoning as i64);
    }
    let Some(output) = counts.output_sequence() else { return };
    metrics.int(m::OUTPUT_SEQUENCE_LENGTH, output as i64);
    if let Some(requested) = measured.requested_output.filter(|&requested| requested > 0) {
        metrics.int(m::REQUESTED_OSL, i64::from(requested));
        let difference = output as f64 - f64::from(requested);
        metrics.float(m::OSL_MISMATCH_DIFF_PCT, 100.0 * difference / f64::from(requested));
    }
    if measured.streaming && !measured.reply.deltas.is_empty() {
        metrics.float(m::TOKENS_PER_EVENT, output as f64 / measured.reply.deltas.len() as f64);
        metrics.int(m::STREAM_EVENTS, i64::from(measured.reply.events));
        metrics.int(m::COALESCED_EVENTS, i64::from(measured.reply.coalesced_events));
    }
}

fn usage(metrics: &mut Metrics, usage: &Usage) {
    let counts = [
        (m::USAGE_PROMPT_TOKENS, usage.prompt),
        (m::USAGE_PROMPT_CACHE_READ_TOKENS, usage.cache_read),
        (m::USAGE_PROMPT_CACHE_WRITE_TOKENS, usage.cache_write),
        (m::USAGE_PROMPT_CACHE_MISS_TOKENS, usage.cache_miss),
        (m::USAGE_PROMPT_AUDIO_TOKENS, usage.prompt_audio),
        (m::USAGE_TOOL_USE_PROMPT_TOKENS, usage.tool_use_prompt),
        (m::USAGE_COMPLETION_TOKENS, usage.completion),
        (m::USAGE_REASONING_TOKENS, usage.reasoning),
        (m::USAGE_COMPLETION_AUDIO_TOKENS, usage.completion_audio),
        (m::USAGE_ACCEPTED_PREDICTION_TOKENS, usage.accepted_prediction),
        (m::USAGE_REJECTED_PREDICTION_TOKENS, usage.rejected_prediction),
        (m::USAGE_TOTAL_TOKENS, usage.total),
    ];
    for (metric, count) in counts {
        if let Some(count) = count {
            metrics.int(metric, count);
        }
    }
    if let Some(audio) = usage.prompt_audio_seconds {
        metrics.float(m::USAGE_PROMPT_AUDIO_SECONDS, audio);
    }
}

fn usage_difference(metrics: &mut Metrics, usage: &Usage, counts: &TokenCounts) {
    let pairs = [
        (m::USAGE_PROMPT_TOKENS_DIFF_PCT, usage.prompt, counts.input),
        (m::USAGE_COMPLETION_TOKENS_DIFF_PCT, usage.completion, counts.output_sequence()),
        (m::USAGE_REASONING_TOKENS_DIFF_PCT, usage.reasoning, counts.reasoning),
    ];
    for (metric, server, ours) in pairs {
        if let (Some(server), Some(ours)) = (server, ours.filter(|&ours| ours > 0)) {
            metrics.float(metric, 100.0 * (server as f64 - ours as f64).abs() / ours as f64);
        }
    }
}

/// The 14 metrics of seed 000 and the ones beside them. Phases that did not occur are 0 here, and absent in
/// the trace.
fn http(metrics: &mut Metrics, trace: &Trace<MonoNs>) {
    let phases = trace.phases();
    let or_zero = |duration: Option<u64>| duration.unwrap_or(0);
    metrics.ms(m::HTTP_REQ_BLOCKED, or_zero(phases.blocked));
    metrics.ms(m::HTTP_REQ_DNS_LOOKUP, or_zero(phases.dns_lookup));
    metrics.ms(m::HTTP_REQ_CONNECTING, or_zero(phases.connecting()));
    metrics.ms(m::HTTP_REQ_TCP_CONNECTING, or_zero(phases.tcp_connecting));
    metrics.ms(m::HTTP_REQ_TLS_HANDSHAKING, or_zero(phases.tls_handshaking));
    metrics.ms(m::HTTP_REQ_SENDING, or_zero(phases.sending));
    metrics.ms(m::HTTP_REQ_WAITING_HEADERS, or_zero(phases.waiting_headers));
    metrics.ms(m::HTTP_REQ_WAITING, or_zero(phases.waiting));
    metrics.ms(m::HTTP_REQ_RECEIVING, or_zero(phases.receiving));
    metrics.int(m::HTTP_REQ_CONNECTION_REUSED, i64::from(trace.connection_reused_ns.is_some()));
    metrics.float(m::HTTP_REQ_DATA_SENT, trace.request_bytes_total as f64 / 1024.0);
    metrics.int(m::HTTP_REQ_CHUNKS_SENT, trace.request_chunks_count as i64);
    metrics.float(m::HTTP_REQ_DATA_RECEIVED, trace.response_bytes_total as f64 / 1024.0);
    metrics.int(m::HTTP_REQ_CHUNKS_RECEIVED, trace.response_chunks_count as i64);
    metrics.ms(m::HTTP_REQ_CONNECTION_OVERHEAD, phases.connection_overhead());
    metrics.ms(m::HTTP_REQ_DURATION, or_zero(phases.duration));
    metrics.ms(m::HTTP_REQ_TOTAL, phases.total());
    if let Some(lag) = trace.client_recv_lag_ns {
        metrics.ms(m::CLIENT_RECV_LAG, lag);
    }
    metrics.int(m::STALE_CONNECTION_RETRIES, stale_attempts(trace) as i64);
    if let Some(tcp) = &trace.tcp_info {
        metrics.float(m::HTTP_REQ_TCP_RTT, f64::from(tcp.rtt_us) / 1e3);
        metrics.int(m::HTTP_REQ_TCP_RETRANSMITS, i64::from(tcp.retransmits));
    }
}

/// Attempts on kept-alive connections that turned out dead.
pub(super) fn stale_attempts(trace: &Trace<MonoNs>) -> usize {
    trace.attempts.iter().filter(|attempt| attempt.kind == AttemptKind::StaleConnection).count()
}

fn seconds(duration_ns: u64) -> f64 {
    duration_ns as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn delta(at_ms: u64, kind: DeltaKind) -> Delta {
        Delta { at: MonoNs(at_ms * MS), kind, text_bytes: 1, completion_tokens_so_far: None }
    }

    fn measured<'a>(trace: &'a Trace<MonoNs>, reply: &'a Reply, counts: &'a TokenCounts) -> Measured<'a> {
        Measured {
            trace,
            reply,
            counts,
            intended: MonoNs(90 * MS),
            requested_output: Some(8),
            streaming: true,
            per_chunk_usage: false,
        }
    }

    fn counts(input: u64, output: u64) -> TokenCounts {
        TokenCounts { input: Some(input), output: Some(output), ..TokenCounts::default() }
    }

    #[test]
    fn a_stream_gives_the_latencies_of_the_catalogue() {
        let trace = Trace { start_ns: Some(MonoNs(100 * MS)), ..Trace::default() };
        let reply = Reply {
            deltas: vec![
                delta(150, DeltaKind::Reasoning),
                delta(160, DeltaKind::Content),
                delta(190, DeltaKind::Content),
            ],
            ..Reply::default()
        };
        let metrics = success(&measured(&trace, &reply, &counts(10, 5)));
        let value = |id| metrics.number(id).unwrap();
        assert_eq!(value(m::TIME_TO_FIRST_TOKEN), 50.0);
        assert_eq!(value(m::EFFECTIVE_TIME_TO_FIRST_TOKEN), 60.0);
        assert_eq!(value(m::TIME_TO_SECOND_TOKEN), 10.0);
        assert_eq!(value(m::TIME_TO_FIRST_OUTPUT_TOKEN), 60.0);
        assert_eq!(value(m::REQUEST_LATENCY), 90.0);
        assert_eq!(value(m::DECODE_DURATION), 40.0);
        assert_eq!(value(m::INTER_TOKEN_LATENCY), 10.0);
        assert_eq!(value(m::OUTPUT_TOKEN_THROUGHPUT_PER_USER), 100.0);
        assert_eq!(value(m::PREFILL_THROUGHPUT_PER_USER), 200.0);
        assert_eq!(value(m::OSL_MISMATCH_DIFF_PCT), -37.5);
        assert_eq!(
            metrics.get(m::INTER_CHUNK_LATENCY),
            Some(&tokmeter_record::MetricValue::List(vec![10.0, 30.0]))
        );
    }

    #[test]
    fn per_chunk_usage_divides_by_the_tokens_after_the_first_event() {
        let trace = Trace { start_ns: Some(MonoNs(0)), ..Trace::default() };
        let mut reply = Reply {
            deltas: vec![delta(10, DeltaKind::Content), delta(40, DeltaKind::Content)],
            ..Reply::default()
        };
        reply.deltas[0].completion_tokens_so_far = Some(4);
        let counts = counts(1, 10);
        let mut measured = measured(&trace, &reply, &counts);
        measured.per_chunk_usage = true;
        assert_eq!(success(&measured).number(m::INTER_TOKEN_LATENCY), Some(5.0));
    }

    #[test]
    fn one_token_has_no_inter_token_latency_and_one_event_no_gaps() {
        let trace = Trace { start_ns: Some(MonoNs(0)), ..Trace::default() };
        let reply = Reply { deltas: vec![delta(10, DeltaKind::Content)], ..Reply::default() };
        let metrics = success(&measured(&trace, &reply, &counts(1, 1)));
        assert_eq!(metrics.get(m::INTER_TOKEN_LATENCY), None);
        assert_eq!(metrics.get(m::INTER_CHUNK_LATENCY), None);
        assert_eq!(metrics.get(m::TIME_TO_SECOND_TOKEN), None);
    }

    #[test]
    fn phases_are_disjoint_and_add_up() {
        let at = |ms: u64| Some(MonoNs(ms * MS));
        let trace = Trace {
            start_ns: at(0),
            connection_pool_wait_start_ns: at(0),
            connection_pool_wait_end_ns: at(1),
            dns_lookup_start_ns: at(1),
            dns_lookup_end_ns: at(3),
            tcp_connect_start_ns: at(3),
            tcp_connect_end_ns: at(7),
            tls_start_ns: at(7),
            tls_end_ns: at(15),
            request_send_start_ns: at(15),
            request_send_end_ns: at(16),
            response_first_byte_ns: at(40),
            response_receive_start_ns: at(48),
            response_receive_end_ns: at(80),
            ..Trace::default()
        };
        let mut metrics = Metrics::default();
        http(&mut metrics, &trace);
        let value = |id| metrics.number(id).unwrap();
        assert_eq!(value(m::HTTP_REQ_CONNECTING), 12.0);
        assert_eq!(value(m::HTTP_REQ_TCP_CONNECTING), 4.0);
        assert_eq!(value(m::HTTP_REQ_TLS_HANDSHAKING), 8.0);
        assert_eq!(value(m::HTTP_REQ_WAITING_HEADERS), 24.0);
        assert_eq!(value(m::HTTP_REQ_WAITING), 32.0);
        assert_eq!(value(m::HTTP_REQ_CONNECTION_OVERHEAD), 15.0);
        assert_eq!(value(m::HTTP_REQ_DURATION), 65.0);
        assert_eq!(value(m::HTTP_REQ_TOTAL), 80.0);
    }

    #[test]
    fn a_failed_request_tells_only_what_it_had_asked() {
        let metrics = failure(&counts(42, 7));
        assert_eq!(metrics.iter().count(), 1);
        assert_eq!(metrics.number(m::ERROR_ISL), Some(42.0));
    }
}
