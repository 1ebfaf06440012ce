//! Reads a response beside its way to the client: tokens, usage, and whether it was complete. The bytes are looked at
//! and never changed.

mod event;

use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use tokmeter_http::sse::Parser;
use tokmeter_record::MonoNs;

use self::event::Facts;
use crate::outcome::Outcome;
use crate::tracker::Usage;

/// Largest event that is read, and largest document kept for its usage; larger ones pass unread.
const LIMIT: usize = 1024 * 1024;

/// A response being read.
#[derive(Debug)]
pub(crate) struct Reading {
    kind: Kind,
    usage: Usage,
    failed: bool,
    ended: bool,
}

#[derive(Debug)]
enum Kind {
    Stream(Box<Parser>),
    Document {
        parts: Vec<Bytes>,
        size: usize,
    },
    /// Compressed, of another type, or over the limit.
    Opaque,
}

impl Reading {
    /// What kind of response it is, by its head.
    pub fn new(headers: &HeaderMap) -> Self {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let media = text(CONTENT_TYPE).split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let plain = matches!(text(CONTENT_ENCODING), "" | "identity");
        let kind = match media.as_str() {
            "text/event-stream" if plain => Kind::Stream(Box::new(Parser::new(LIMIT))),
            "application/json" if plain => Kind::Document { parts: Vec::new(), size: 0 },
            _ => Kind::Opaque,
        };
        Reading { kind, usage: Usage::default(), failed: false, ended: false }
    }

    /// Whether the response is a stream of events that can be read.
    pub fn is_stream(&self) -> bool {
        matches!(self.kind, Kind::Stream(_))
    }

    /// Takes the bytes of one frame; how many of the events they complete carry tokens.
    pub fn push(&mut self, bytes: &Bytes) -> u64 {
        let (usage, failed, ended) = (&mut self.usage, &mut self.failed, &mut self.ended);
        let mut tokens = 0;
        match &mut self.kind {
            Kind::Stream(parser) => {
                let read = parser.push(bytes, MonoNs::default(), &mut |event| {
                    let facts = Facts::of_event(event.name, &event.data, usage);
                    tokens += u64::from(facts.token);
                    *failed |= facts.error;
                    *ended |= facts.end;
                });
                if read.is_err() {
                    // Not to be read any further, and so not to be judged.
                    self.kind = Kind::Opaque;
                }
            }
            Kind::Document { parts, size } => {
                *size += bytes.len();
                if *size <= LIMIT {
                    parts.push(bytes.clone());
                } else {
                    self.kind = Kind::Opaque;
                }
            }
            Kind::Opaque => {}
        }
        tokens
    }

    /// The response is complete: its usage, and what its content says about its outcome.
    pub fn end(&mut self) -> (Usage, Outcome) {
        match std::mem::replace(&mut self.kind, Kind::Opaque) {
            Kind::Stream(parser) => {
                let (usage, failed, ended) = (&mut self.usage, &mut self.failed, &mut self.ended);
                // An event without its blank line at the end still says what it says.
                let _ = parser.finish(&mut |event| {
                    let facts = Facts::of_event(event.name, &event.data, usage);
                    *failed |= facts.error;
                    *ended |= facts.end;
                });
                let outcome = match (self.failed, self.ended) {
                    (true, _) => Outcome::UpstreamError,
                    (false, false) => Outcome::Truncated,
                    (false, true) => Outcome::Ok,
                };
                (self.usage, outcome)
            }
            Kind::Document { parts, .. } => {
                let whole = match parts.as_slice() {
                    [only] => only.clone(),
                    parts => parts.concat().into(),
                };
                Facts::of_event(b"", &whole, &mut self.usage);
                (self.usage, Outcome::Ok)
            }
            Kind::Opaque => (self.usage, Outcome::Ok),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(content_type: &'static str) -> Reading {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, content_type.parse().unwrap());
        Reading::new(&headers)
    }

    fn stream(text: &'static str) -> (u64, Usage, Outcome) {
        let mut reading = reading("text/event-stream; charset=utf-8");
        let tokens = text.as_bytes().chunks(7).map(|part| reading.push(&Bytes::from_static(part))).sum();
        let (usage, outcome) = reading.end();
        (tokens, usage, outcome)
    }

    #[test]
    fn a_chat_stream_has_tokens_usage_and_an_end() {
        let (tokens, usage, outcome) = stream(concat!(
            ": ping\n\n",
            "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n",
            "data: {\"choices\":[{\"delta\":{\"reasoning_content\":\"hm\"}}]}\n\n",
            "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"}}]}\n\n",
            "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0}]}}]}\n\n",
            "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
            "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":3,",
            "\"prompt_tokens_details\":{\"cached_tokens\":2},\"completion_tokens_details\":{\"reasoning_tokens\":1}}}\n\n",
        ));
        assert_eq!((tokens, outcome), (3, Outcome::Ok));
        let expected = Usage { input: Some(5), output: Some(3), cached_input: Some(2), reasoning: Some(1) };
        assert_eq!(usage, expected);
    }

    #[test]
    fn messages_and_responses_are_read_too() {
        let (tokens, usage, outcome) = stream(concat!(
            "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":4,",
            "\"cache_read_input_tokens\":6,\"output_tokens\":1}}}\n\n",
            "data: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"a\"}}\n\n",
            "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":9}}\n\n",
            "data: {\"type\":\"message_stop\"}\n\n",
        ));
        assert_eq!((tokens, outcome), (1, Outcome::Ok));
        assert_eq!((usage.input, usage.cached_input, usage.output), (Some(10), Some(6), Some(9)));
        let (tokens, usage, outcome) = stream(concat!(
            "data: {\"type\":\"response.created\",\"response\":{\"status\":\"in_progress\"}}\n\n",
            "data: {\"type\":\"response.output_text.delta\",\"delta\":\"a\"}\n\n",
            "data: {\"type\":\"response.completed\",\"response\":{\"usage\":{\"input_tokens\":1,\"output_tokens\":2}}}\n\n",
        ));
        assert_eq!((tokens, outcome), (1, Outcome::Ok));
        assert_eq!((usage.input, usage.output), (Some(1), Some(2)));
    }

    #[test]
    fn errors_and_cut_streams_are_told_apart() {
        let token = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":null}]}\n\n";
        assert_eq!(stream(token).2, Outcome::Truncated);
        let error = "data: {\"error\":{\"message\":\"lost\"}}\n\ndata: [DONE]\n\n";
        assert_eq!(stream(error).2, Outcome::UpstreamError);
        let named = "event: error\ndata: {\"detail\":1}\n\n";
        assert_eq!(stream(named).2, Outcome::UpstreamError);
        let abort = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"abort\"}]}\n\ndata: [DONE]\n\n";
        assert_eq!(stream(abort).2, Outcome::UpstreamError);
        assert_eq!(stream("data: {\"choices\":{}}\n\ndata: [DO\n\ndata: [DONE]\n\n").2, Outcome::Ok);
    }

    #[test]
    fn a_document_has_usage_and_anything_else_passes() {
        let mut document = reading("application/json");
        document.push(&Bytes::from_static(b"{\"usage\":{\"prompt_tok"));
        document.push(&Bytes::from_static(b"ens\":3,\"completion_tokens\":4}}"));
        let (usage, outcome) = document.end();
        assert_eq!((usage.input, usage.output, outcome), (Some(3), Some(4), Outcome::Ok));
        let mut other = reading("audio/mpeg");
        assert_eq!(other.push(&Bytes::from_static(b"data: {}\n\n")), 0);
        assert_eq!(other.end(), (Usage::default(), Outcome::Ok));
    }

    #[test]
    fn an_event_over_the_limit_ends_the_reading_and_blames_nobody() {
        let mut reading = reading("text/event-stream");
        for _ in 0..3 {
            reading.push(&Bytes::from(vec![b'x'; LIMIT / 2]));
        }
        assert!(!reading.is_stream());
        assert_eq!(reading.end().1, Outcome::Ok);
    }
}
