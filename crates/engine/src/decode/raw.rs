//! A line of `profile_export_raw.jsonl`: the body as sent and every response message (FORMATS 3).

use tokmeter_http::sse;
use tokmeter_record::RequestRecord;
use tokmeter_record::format::raw::{Packet, RawRecord, RawResponse};

use super::Finished;
use crate::request::RequestBuilder;

pub(super) fn line(record: &RequestRecord, finished: &Finished, requests: &RequestBuilder) -> Vec<u8> {
    let exchange = &finished.exchange;
    let content_type = exchange
        .head
        .as_ref()
        .and_then(|head| head.headers.get(http::header::CONTENT_TYPE))
        .and_then(|value| value.to_str().ok());
    let is_stream = content_type.is_some_and(|value| value.starts_with("text/event-stream"));
    let responses = match is_stream {
        true => sse::events(&exchange.body)
            .map(|event| RawResponse::Stream { perf_ns: event.at.0, packets: packets(&event) })
            .collect(),
        false if exchange.body.bytes.is_empty() => Vec::new(),
        false => vec![RawResponse::Text {
            perf_ns: exchange.body.chunks.last().map_or(0, |chunk| chunk.at.0),
            text: String::from_utf8_lossy(&exchange.body.bytes).into_owned(),
            content_type: content_type.map(str::to_owned),
        }],
    };
    let raw = RawRecord {
        metadata: &record.metadata,
        start_perf_ns: exchange.trace.start_ns.unwrap_or(finished.intended).0,
        request_headers: requests.sent_headers(finished),
        status: exchange.head.as_ref().map(|head| head.status.as_u16()),
        responses,
        error: record.error.as_ref(),
        payload: requests.shown_body(&finished.body),
    };
    raw.to_line()
}

/// The fields of an event that say something: its name, where it has one, and its data.
fn packets(event: &sse::Event) -> Vec<Packet> {
    let packet = |name: &str, value: &[u8]| Packet {
        name: name.to_owned(),
        value: String::from_utf8_lossy(value).into_owned(),
    };
    let name = (!event.name.is_empty()).then(|| packet("event", event.name));
    name.into_iter().chain([packet("data", &event.data)]).collect()
}
