//! An exchange in the making.

use std::borrow::Cow;
use std::rc::Rc;

use http::HeaderMap;
use tokmeter_record::trace::{ChunkStamp, StampSource};
use tokmeter_record::{MonoNs, Phase, Trace};

use crate::bound::Bound;
use crate::exchange::{Exchange, ResponseHead, StampedBody};
use crate::failure::Failure;
use crate::io::{Watch, Wire};

/// Stamps of one HTTP/2 stream, as far as they can be told from the socket.
pub(crate) struct StreamStamps {
    /// The write that follows handing over the headers.
    pub(crate) headers: Watch,
    /// The write that follows handing over the last piece of the body; `headers` when there is no body.
    pub(crate) end: Option<Watch>,
    /// Body bytes handed over so far.
    pub(crate) body_bytes: u64,
    pub(crate) keep_request: bool,
    pub(crate) max_lag: Option<u32>,
}

/// What is known of a request so far. It outlives the request's own future, so that a timeout or a
/// cancellation keeps everything that had happened.
#[derive(Default)]
pub(crate) struct Draft {
    pub(crate) trace: Trace<MonoNs>,
    /// Phase up to [`Phase::Tls`]; from then on the instants tell.
    pub(crate) setup: Option<Phase>,
    /// The HTTP/1.1 connection that carries the request: its stamps are this request's.
    pub(crate) wire: Option<Rc<Wire>>,
    /// What is known of the writes and reads of an HTTP/2 stream.
    pub(crate) stream: Option<StreamStamps>,
    pub(crate) request_headers: Option<HeaderMap>,
    pub(crate) head: Option<ResponseHead>,
    pub(crate) body: StampedBody,
    pub(crate) bound: Bound,
}

impl Draft {
    pub(crate) fn new(start: MonoNs) -> Self {
        let mut draft = Draft { setup: Some(Phase::Blocked), ..Draft::default() };
        draft.trace.trace_type = Cow::Borrowed("hyper");
        draft.trace.start_ns = Some(start);
        draft
    }

    /// The phase the request is in.
    pub(crate) fn phase(&self) -> Phase {
        if let Some(setup) = self.setup {
            return setup;
        }
        let on_wire = || self.wire.as_ref()?.send_end();
        let on_stream = || self.stream.as_ref()?.end.as_ref()?.get();
        let sent = self.trace.request_send_end_ns.or_else(on_wire).or_else(on_stream);
        if !self.body.chunks.is_empty() {
            Phase::Receiving
        } else if sent.is_some() || self.head.is_some() {
            Phase::Waiting
        } else {
            Phase::Sending
        }
    }

    /// This attempt is over without an answer; the next one begins with a clean line of instants.
    pub(crate) fn begin_again(&mut self) {
        let start = self.trace.start_ns;
        let attempts = std::mem::take(&mut self.trace.attempts);
        let trace_type = std::mem::take(&mut self.trace.trace_type);
        self.trace = Trace { start_ns: start, attempts, trace_type, ..Trace::default() };
        self.wire = None;
        self.stream = None;
        self.setup = Some(Phase::Blocked);
    }

    /// Takes over the stamps of the connection; call it before anyone else can use that.
    pub(crate) fn absorb_stamps(&mut self, tcp_info: bool) {
        if let Some(stream) = self.stream.take() {
            self.absorb_stream(&stream);
        }
        let Some(wire) = self.wire.take() else { return };
        let trace = &mut self.trace;
        trace.request_send_start_ns = wire.send_start();
        trace.request_headers_sent_ns = wire.headers_sent();
        trace.request_send_end_ns = wire.send_end();
        (trace.request_bytes_total, trace.request_chunks_count) = wire.body_written();
        trace.request_chunks = wire.take_write_log();
        trace.response_first_byte_ns = trace.response_first_byte_ns.or(wire.first_read());
        settle_first_byte(trace);
        trace.stamp_source =
            if trace.response_first_byte_ns.is_some() { wire.source() } else { StampSource::default() };
        trace.client_recv_lag_ns = wire.max_lag_ns();
        if tcp_info {
            trace.tcp_info = wire.tcp_info();
        }
    }

    fn absorb_stream(&mut self, stream: &StreamStamps) {
        let trace = &mut self.trace;
        trace.request_headers_sent_ns = stream.headers.get();
        trace.request_send_end_ns = stream.end.as_ref().and_then(|end| end.get());
        trace.request_bytes_total = stream.body_bytes;
        trace.request_chunks_count = u64::from(stream.body_bytes > 0);
        if let (true, 1.., Some(at)) = (stream.keep_request, stream.body_bytes, trace.request_send_end_ns) {
            trace.request_chunks = vec![ChunkStamp(at, stream.body_bytes)];
        }
        trace.client_recv_lag_ns = stream.max_lag.map(u64::from);
    }

    /// The exchange, complete or failed.
    pub(crate) fn finish(mut self, failure: Option<(Failure, MonoNs)>, tcp_info: bool) -> Exchange {
        let error = failure.map(|(failure, at)| failure.at(self.phase(), at));
        self.absorb_stamps(tcp_info);
        let trace = &mut self.trace;
        if let Some(head) = &self.head {
            trace.response_status_code = Some(head.status.as_u16());
            trace.response_reason = head.status.canonical_reason().map(Cow::Borrowed);
        }
        if let (Some(first), Some(last)) = (self.body.chunks.first(), self.body.chunks.last()) {
            trace.response_receive_start_ns = Some(first.at);
            if error.is_none() {
                trace.response_receive_end_ns = Some(last.at);
            }
        } else if error.is_none() {
            // No body: it ended with its head.
            trace.response_receive_end_ns = trace.response_headers_received_ns;
        }
        trace.response_chunks_count = self.body.chunks.len() as u64;
        trace.response_bytes_total = self.body.bytes.len() as u64;
        trace.error_timestamp_ns = error.as_ref().map(|error| error.at);
        Exchange {
            trace: self.trace,
            request_headers: self.request_headers,
            head: self.head,
            body: self.body,
            error,
        }
    }
}

/// Brings the first byte and the ends of sending into an order that can have been.
///
/// The end of a write is stamped when this thread goes on, which on a busy machine can be after the kernel has
/// taken in the answer: what was answered had been sent by then. A first byte before the first write is none of
/// this answer (TLS 1.3 sends session tickets after the handshake).
fn settle_first_byte(trace: &mut Trace<MonoNs>) {
    let (Some(first), Some(start)) = (trace.response_first_byte_ns, trace.request_send_start_ns) else {
        return;
    };
    if first < start {
        trace.response_first_byte_ns = trace.response_headers_received_ns;
        return;
    }
    let sent_by_then = |at: Option<MonoNs>| at.map(|at| at.min(first));
    trace.request_headers_sent_ns = sent_by_then(trace.request_headers_sent_ns);
    trace.request_send_end_ns = sent_by_then(trace.request_send_end_ns);
}
