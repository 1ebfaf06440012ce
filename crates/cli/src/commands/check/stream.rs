//! One short answer: does it stream, with what line ends, how many tokens an event, is there a usage object.

use serde::Serialize;
use tokmeter_engine::endpoint::{DeltaKind, Reply};

use super::probe::{Answer, Probe};

const PROMPT: &str = "Count from one to thirty in words.";
/// Enough for events to tell from tokens, little enough to be cheap.
const OUTPUT_TOKENS: u32 = 32;

/// How the server answers.
#[derive(Debug, Default, Serialize)]
pub struct Stream {
    /// Status of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The answer came as a stream of events.
    pub streams: bool,
    /// Its media type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// The server refuses `max_completion_tokens` and takes `max_tokens`.
    pub legacy_max_tokens: bool,
    /// From the first byte sent to the first token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_token_ms: Option<f64>,
    /// Events of any kind.
    pub events: u32,
    /// Events with text.
    pub content_events: usize,
    /// Events that came in one read with an earlier one.
    pub coalesced_events: u32,
    /// Comment lines (keep-alive pings).
    pub comments: u32,
    /// Line ends that occur: `LF`, `CRLF`, `CR`.
    pub line_ends: Vec<&'static str>,
    /// The answer has a usage object.
    pub usage: bool,
    /// Prompt and completion tokens of the usage object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_tokens: Option<i64>,
    /// See `prompt_tokens`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completion_tokens: Option<i64>,
    /// Completion tokens of the usage object over events with text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_event: Option<f64>,
    /// Reasoning text came.
    pub reasoning: bool,
    /// Finish reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finish_reason: Option<String>,
    /// `[DONE]` ended the stream.
    pub done_marker: bool,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// Asks for a stream; when the server finds fault with the request, for the older field, then for a whole answer.
pub fn look(probe: &mut Probe) -> Stream {
    let first = probe.ask(PROMPT, OUTPUT_TOKENS, true);
    if !is_bad_request(&first) {
        return read(&first, false);
    }
    probe.legacy_max_tokens = true;
    let second = probe.ask(PROMPT, OUTPUT_TOKENS, true);
    if second.problem().is_none() {
        return read(&second, true);
    }
    probe.legacy_max_tokens = false;
    let whole = probe.ask(PROMPT, OUTPUT_TOKENS, false);
    read(if whole.problem().is_none() { &whole } else { &first }, false)
}

fn is_bad_request(answer: &Answer) -> bool {
    let head = answer.exchange.head.as_ref();
    answer.exchange.error.is_none() && head.is_some_and(|head| matches!(head.status.as_u16(), 400 | 422))
}

fn read(answer: &Answer, legacy_max_tokens: bool) -> Stream {
    let head = answer.exchange.head.as_ref();
    let media = head.and_then(|head| head.headers.get(http::header::CONTENT_TYPE)?.to_str().ok());
    let default = Reply::default();
    let reply = answer.reply.as_ref().unwrap_or(&default);
    let usage = reply.usage.as_ref();
    let completion_tokens = usage.and_then(|usage| usage.completion).filter(|tokens| *tokens >= 0);
    let per_event = |tokens: i64| tokens as f64 / reply.deltas.len() as f64;
    Stream {
        status: head.map(|head| head.status.as_u16()),
        streams: reply.streamed,
        content_type: media.map(str::to_owned),
        legacy_max_tokens,
        first_token_ms: answer.first_token_ms(),
        events: reply.events,
        content_events: reply.deltas.len(),
        coalesced_events: reply.coalesced_events,
        comments: reply.comments,
        line_ends: if reply.streamed { line_ends(&answer.exchange.body.bytes) } else { Vec::new() },
        usage: usage.is_some(),
        prompt_tokens: usage.and_then(|usage| usage.prompt),
        completion_tokens,
        tokens_per_event: completion_tokens
            .filter(|_| reply.streamed && !reply.deltas.is_empty())
            .map(per_event),
        reasoning: reply.deltas.iter().any(|delta| delta.kind == DeltaKind::Reasoning),
        finish_reason: reply.finish_reason.clone(),
        done_marker: reply.done_marker,
        problem: answer.problem(),
    }
}

/// The line ends of a stream; the payload, JSON, holds none.
fn line_ends(body: &[u8]) -> Vec<&'static str> {
    let (mut lf, mut crlf, mut cr) = (false, false, false);
    for (at, byte) in body.iter().enumerate() {
        match byte {
            b'\r' if body.get(at + 1) == Some(&b'\n') => crlf = true,
            b'\r' => cr = true,
            b'\n' if at == 0 || body[at - 1] != b'\r' => lf = true,
            _ => {}
        }
    }
    [(lf, "LF"), (crlf, "CRLF"), (cr, "CR")]
        .into_iter()
        .filter(|(seen, _)| *seen)
        .map(|(_, name)| name)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::line_ends;

    #[test]
    fn line_ends_are_told_apart() {
        assert_eq!(line_ends(b"data: a\n\n"), ["LF"]);
        assert_eq!(line_ends(b"data: a\r\n\r\n"), ["CRLF"]);
        assert_eq!(line_ends(b"data: a\r\r"), ["CR"]);
        assert_eq!(line_ends(b"data: a\r\n\ndata: b\r\r"), ["LF", "CRLF", "CR"]);
        assert!(line_ends(b"data").is_empty());
    }
}
