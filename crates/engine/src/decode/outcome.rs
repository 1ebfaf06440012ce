//! Success or failure of one exchange, as the record tells it (FORMATS 2.3).

use std::collections::BTreeMap;

use tokmeter_http::exchange::{Exchange, TransportError};
use tokmeter_record::trace::{ChunkStamp, Phase};
use tokmeter_record::{ClockAnchor, ErrorClass, MonoNs, RequestError, Side, TraceData};

use super::Finished;
use crate::endpoint::Reply;
use crate::request::RequestBuilder;
use crate::secret::{self, Scrubber};

/// Longest message kept of what a server said.
const MESSAGE_LIMIT: usize = 4096;

/// Why the exchange is a failure; `None` for a success.
pub(super) fn error(exchange: &Exchange, reply: &Reply) -> Option<RequestError> {
    if let Some(error) = &exchange.error {
        return Some(transport(exchange, error));
    }
    let error = reply.error.as_ref()?;
    let phase = match exchange.trace.response_receive_start_ns {
        Some(_) => Phase::Receiving,
        None => Phase::Waiting,
    };
    Some(RequestError {
        code: error.code,
        kind: error.kind.clone(),
        message: bounded(&error.message),
        cause: None,
        cause_chain: None,
        class: Some(error.class),
        side: Some(Side::Server),
        phase: Some(phase),
    })
}

/// Takes the run's own secrets out of what a server said.
pub(super) fn scrub(error: &mut RequestError, scrubber: &Scrubber) {
    let texts = error.kind.iter_mut().chain(&mut error.cause).chain(error.cause_chain.iter_mut().flatten());
    for text in texts.chain([&mut error.message]) {
        scrubber.text(text);
    }
}

/// When the request was cancelled on purpose, if it was.
pub(super) fn cancelled_at(exchange: &Exchange) -> Option<MonoNs> {
    exchange.error.as_ref().filter(|error| error.class == ErrorClass::Cancelled).map(|error| error.at)
}

fn transport(exchange: &Exchange, error: &TransportError) -> RequestError {
    let (code, kind, message) = match error.class {
        ErrorClass::Cancelled => {
            (Some(499), "RequestCancellationError".to_owned(), cancellation(exchange, error))
        }
        ErrorClass::SendTimeout => (Some(0), "RequestSendTimeout".to_owned(), bounded(&error.message)),
        class => (None, format!("{class:?}"), bounded(&error.message)),
    };
    RequestError {
        code,
        kind: Some(kind),
        message,
        cause: error.causes.first().map(|cause| bounded(cause)),
        cause_chain: (!error.causes.is_empty())
            .then(|| error.causes.iter().map(|cause| bounded(cause)).collect()),
        class: Some(error.class),
        side: Some(error.side),
        phase: Some(error.phase),
    }
}

fn cancellation(exchange: &Exchange, error: &TransportError) -> String {
    match exchange.trace.request_send_end_ns {
        Some(sent) => {
            format!(
                "request cancelled {:.3}s after being sent",
                error.at.0.saturating_sub(sent.0) as f64 / 1e9
            )
        }
        None => "request cancelled before it was sent".to_owned(),
    }
}

fn bounded(text: &str) -> String {
    match text.char_indices().nth(MESSAGE_LIMIT) {
        Some((end, _)) => format!("{} ... ({} bytes in all)", &text[..end], text.len()),
        None => text.to_owned(),
    }
}

/// The record's `trace_data`: instants on the wall clock, headers without secrets, and chunk arrays where wanted.
pub(super) fn trace_data(
    finished: &Finished,
    requests: &RequestBuilder,
    anchor: &ClockAnchor,
    with_chunks: bool,
) -> TraceData {
    let exchange = &finished.exchange;
    let mut trace = exchange.trace.to_wall(anchor);
    trace.trace_type = "hyper".into();
    trace.request_method = Some("POST".into());
    trace.request_url = Some(requests.shown_url(finished));
    trace.request_headers = Some(match &exchange.request_headers {
        Some(sent) => headers(sent),
        None => requests.sent_headers(finished),
    });
    if let Some(head) = &exchange.head {
        trace.response_status_code = Some(head.status.as_u16());
        trace.response_reason = head.status.canonical_reason().map(Into::into);
        trace.response_headers = Some(headers(&head.headers));
    }
    if !with_chunks {
        return trace;
    }
    let mut start = 0;
    trace.response_chunks = exchange
        .body
        .chunks
        .iter()
        .map(|chunk| {
            let size = u64::from(chunk.end - start);
            start = chunk.end;
            ChunkStamp(anchor.wall(chunk.at), size)
        })
        .collect();
    trace
}

/// Headers as files show them: values of sensitive names replaced, repeated names joined.
pub(crate) fn headers(headers: &http::HeaderMap) -> BTreeMap<String, String> {
    let mut shown: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in headers {
        let value = match secret::is_sensitive(name.as_str()) {
            true => secret::REDACTED.to_owned(),
            false => String::from_utf8_lossy(value.as_bytes()).into_owned(),
        };
        shown
            .entry(name.as_str().to_owned())
            .and_modify(|all| {
                all.push_str(", ");
                all.push_str(&value);
            })
            .or_insert(value);
    }
    shown
}
