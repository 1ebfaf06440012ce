//! Decode threads: from the raw exchange to the finished record, off the load path.

pub(crate) mod measure;
mod outcome;
mod raw;
mod tokens;

use std::sync::Arc;

use bytes::Bytes;
use crossbeam_channel::{Receiver, Sender};
use tokio::sync::oneshot;
use tokmeter_http::exchange::Exchange;
use tokmeter_record::format::records;
use tokmeter_record::metric::Slos;
use tokmeter_record::trace::StampSource;
use tokmeter_record::{ClockAnchor, Metadata, MonoNs, RequestRecord};
use uuid::Uuid;

use crate::dataset::Session;
use crate::delivery::RequestInstants;
use crate::endpoint::{Decoder, ExchangeView, Message, Reply};
use crate::handover::Unhurried;
use crate::plan::PhaseIdentity;
use crate::request::RequestBuilder;
use crate::truth::{SentPrefixes, TokenFacts};
pub(crate) use outcome::headers as shown_headers;
pub(crate) use tokens::TokenCounting;
pub use tokens::TokenSource;

/// One finished exchange with all that is needed to make its record.
pub(crate) struct Finished {
    pub phase: Arc<PhaseIdentity>,
    pub number: u64,
    pub turn_index: u32,
    pub request_id: Uuid,
    pub correlation_id: Uuid,
    pub session: Arc<Session>,
    pub history: Vec<Message>,
    pub intended: MonoNs,
    pub sticky: Option<u64>,
    pub body: Bytes,
    pub exchange: Exchange,
    pub shard: usize,
    /// Where the next turn waits for the answer's text.
    pub reply_to: Option<oneshot::Sender<Option<String>>>,
}

impl Finished {
    /// About how many bytes this holds, for the bounds of queues.
    pub(crate) fn weight(&self) -> usize {
        512 + self.exchange.body.bytes.capacity() + 16 * self.exchange.body.chunks.capacity()
    }
}

/// A record, ready to be written and counted.
pub(crate) struct Collected {
    pub record: RequestRecord,
    /// Line of `profile_export.jsonl`, newline included; empty when not wanted.
    pub line: Vec<u8>,
    /// Line of `profile_export_raw.jsonl`; empty when not wanted.
    pub raw_line: Vec<u8>,
    /// Answer text, for `outputs.json`.
    pub text: Option<String>,
    /// Facts about the answer that are counted, but are no metric of the record.
    pub notes: Notes,
    /// When it was intended, sent and over.
    pub instants: RequestInstants,
}

/// Facts about one answer that the run counts and tells of.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Notes {
    /// Where the token counts came from.
    pub token_source: Option<TokenSource>,
    /// `[DONE]` came without a finish reason: some servers cut answers that way.
    pub done_without_finish: bool,
    /// Events, and how many shared their read with an earlier one.
    pub events: u32,
    /// See `events`.
    pub coalesced_events: u32,
    /// Reads that held more than one event.
    pub coalesced_reads: u32,
    /// Events with content, and how many of them shared their read with the one before.
    pub content_events: u32,
    /// See `content_events`.
    pub coalesced_content_events: u32,
    /// Where the receive stamps came from, of an answer.
    pub stamp_source: Option<StampSource>,
    /// The request was sent again on a new connection.
    pub retried: bool,
    /// Lengths asked and measured, and the cache; of successes.
    pub tokens: Option<TokenFacts>,
}

/// What a run's decoders are asked to produce.
#[derive(Clone, Debug)]
pub(crate) struct DecodeOptions {
    pub streaming: bool,
    pub per_chunk_usage: bool,
    pub records: bool,
    pub raw: bool,
    pub http_trace: bool,
    pub outputs: bool,
    pub keep_trace: bool,
    pub slos: Slos,
}

/// Everything a decode thread is made of.
pub(crate) struct DecoderParts {
    pub index: usize,
    pub exchanges: Receiver<Finished>,
    pub collector: Sender<Collected>,
    pub requests: Arc<RequestBuilder>,
    pub tokens: Arc<TokenCounting>,
    pub prefixes: Arc<SentPrefixes>,
    pub anchor: ClockAnchor,
    pub options: DecodeOptions,
}

/// Runs until all shards are gone.
pub(crate) fn run(parts: DecoderParts) {
    let keeps_text = parts.requests.decoder(true);
    let counts_only = parts.requests.decoder(false);
    let always_text = parts.options.outputs || parts.tokens.needs_text();
    let processor_id = format!("record_processor_{:08x}", parts.index);
    let mut exchanges = Unhurried::new(parts.exchanges.clone());
    let mut replies = false;
    loop {
        // Where next turns wait for answers, nothing waits for company.
        let next = if replies { parts.exchanges.recv().ok() } else { exchanges.next() };
        let Some(finished) = next else { return };
        replies |= finished.reply_to.is_some();
        let decoder = if always_text || finished.reply_to.is_some() { &keeps_text } else { &counts_only };
        let collected = decode(&parts, decoder, &processor_id, finished);
        if parts.collector.send(collected).is_err() {
            return;
        }
    }
}

fn decode(parts: &DecoderParts, decoder: &Decoder, processor_id: &str, mut finished: Finished) -> Collected {
    let exchange = &finished.exchange;
    let reply = match (&exchange.error, ExchangeView::of(exchange, parts.options.streaming)) {
        (None, Some(view)) => decoder.decode(&view),
        _ => Reply::default(),
    };
    let scrubber = parts.requests.scrubber();
    let mut error = outcome::error(exchange, &reply);
    if let Some(error) = &mut error {
        outcome::scrub(error, scrubber);
    }
    if let Some(reply_to) = finished.reply_to.take() {
        // The shard may have given up on the session in the meantime.
        let _ = reply_to.send(error.is_none().then(|| reply.content.clone()));
    }

    let turn = &finished.session.turns[finished.turn_index as usize];
    let counts = parts.tokens.count(&finished.session, finished.turn_index, &finished.history, &reply);
    let metrics = match &error {
        None => measure::success(&measure::Measured {
            trace: &exchange.trace,
            reply: &reply,
            counts: &counts,
            intended: finished.intended,
            requested_output: turn.output_tokens,
            streaming: parts.options.streaming,
            per_chunk_usage: parts.options.per_chunk_usage,
        }),
        Some(_) => measure::failure(&counts),
    };

    let notes = Notes {
        token_source: counts.source,
        done_without_finish: error.is_none() && reply.ended_by_marker_only(),
        events: reply.events,
        coalesced_events: reply.coalesced_events,
        coalesced_reads: reply.coalesced_reads,
        content_events: reply.deltas.len() as u32,
        coalesced_content_events: reply.deltas.windows(2).filter(|pair| pair[0].at == pair[1].at).count()
            as u32,
        stamp_source: exchange.head.as_ref().map(|_| exchange.trace.stamp_source),
        retried: measure::stale_attempts(&exchange.trace) > 0,
        tokens: error.is_none().then(|| token_facts(parts, &finished, &reply, &counts)),
    };
    let anchor = &parts.anchor;
    let start = exchange.trace.start_ns.unwrap_or(finished.intended);
    let failed_at = exchange.error.as_ref().map(|error| error.at);
    let cancelled_at = outcome::cancelled_at(exchange);
    let end = failed_at
        .or(reply.last_event_at)
        .or(exchange.trace.response_receive_end_ns)
        .or(exchange.trace.response_headers_received_ns)
        .unwrap_or(start);
    let instants = RequestInstants {
        intended: finished.intended,
        start,
        send_start: exchange.trace.request_send_start_ns,
        end,
    };
    let acknowledged = match &exchange.head {
        Some(head) if head.status.is_success() => exchange.trace.response_headers_received_ns,
        _ => None,
    };
    let correlation_id = finished.correlation_id.to_string();
    let metadata = Metadata {
        session_num: Some(finished.number),
        x_request_id: Some(finished.request_id.to_string()),
        conversation_id: Some(finished.session.id.to_string()),
        turn_index: Some(finished.turn_index),
        credit_issued_ns: Some(anchor.wall(finished.intended)),
        request_start_ns: anchor.wall(start),
        request_ack_ns: acknowledged.map(|at| anchor.wall(at)),
        request_end_ns: anchor.wall(end),
        worker_id: format!("worker_{:08x}", finished.shard),
        record_processor_id: processor_id.to_owned(),
        benchmark_phase: finished.phase.phase,
        phase_index: Some(finished.phase.index),
        profiling_index: finished.phase.profiling_index,
        phase_name: Some(finished.phase.name.to_string()),
        phase_kind: Some(finished.phase.phase.as_str().to_owned()),
        was_cancelled: cancelled_at.is_some(),
        cancellation_time_ns: cancelled_at.map(|at| anchor.wall(at)),
        context_overflow_skip: false,
        agent_depth: 0,
        root_correlation_id: Some(correlation_id.clone()),
        x_correlation_id: Some(correlation_id),
    };
    let options = &parts.options;
    let trace = || outcome::trace_data(&finished, &parts.requests, anchor, options.http_trace);
    let trace_data = options.http_trace.then(trace);
    let mut record = RequestRecord { metadata, metrics, trace_data, error };
    options.slos.mark(&mut record);

    let mut line = Vec::new();
    if parts.options.records {
        line.reserve(4096);
        records::write_line(&mut line, &record);
        // Without the trace, nothing in a record but its error is a server's text.
        if record.trace_data.is_some() {
            scrubber.line(&mut line);
        }
    }
    if options.keep_trace && record.trace_data.is_none() {
        record.trace_data = Some(trace());
    }
    // Files of the sink are written from the record itself.
    for headers in record.trace_data.iter_mut().filter_map(|trace| trace.response_headers.as_mut()) {
        headers.values_mut().for_each(|value| scrubber.text(value));
    }
    let mut raw_line =
        if parts.options.raw { raw::line(&record, &finished, &parts.requests) } else { Vec::new() };
    scrubber.line(&mut raw_line);
    let mut text = (parts.options.outputs && record.is_success()).then_some(reply.content);
    if let Some(text) = &mut text {
        scrubber.text(text);
    }
    Collected { record, line, raw_line, text, notes, instants }
}

fn token_facts(
    parts: &DecoderParts,
    finished: &Finished,
    reply: &Reply,
    counts: &tokens::TokenCounts,
) -> TokenFacts {
    let session = &finished.session;
    let turn = &session.turns[finished.turn_index as usize];
    let alone = finished.history.is_empty() && session.system.is_none() && session.context.is_none();
    let of_usage = |tokens: Option<i64>| tokens.map(|tokens| tokens.max(0) as u64);
    let usage = reply.usage.as_ref();
    TokenFacts {
        asked_input: turn.input_tokens.filter(|_| alone).map(u64::from),
        asked_output: turn.output_tokens.map(u64::from),
        prompt: usage.and_then(|usage| of_usage(usage.prompt)),
        output: counts.output_sequence(),
        cached: usage.and_then(|usage| of_usage(usage.cache_read)),
        sent_before: parts.prefixes.share_sent_before(&finished.body),
    }
}
