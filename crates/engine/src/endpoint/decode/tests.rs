//! Oddities one by one: small answers written for the point they make.

mod apis;

use std::sync::Arc;

use http::{HeaderMap, HeaderValue};
use proptest::prelude::*;
use tokmeter_http::exchange::StampedBody;
use tokmeter_record::{ErrorClass, MonoNs};

use super::*;
use crate::endpoint::DeltaKind::{self, Content, Reasoning, ToolCall};
use crate::endpoint::EndpointType::{self, Chat, Completions, Messages, Raw, Responses};
use crate::endpoint::Template;

/// Decodes a body that came in one read at instant 7.
fn answer(endpoint: Endpoint, content_type: &str, text: impl AsRef<[u8]>) -> Reply {
    let mut headers = HeaderMap::new();
    if !content_type.is_empty() {
        headers.insert("content-type", HeaderValue::from_str(content_type).unwrap());
    }
    let mut body = StampedBody::default();
    body.append(text.as_ref(), MonoNs(7));
    let view = ExchangeView { status: 200, headers: &headers, body: &body, streaming: true };
    Decoder::new(Arc::new(endpoint), true).decode(&view)
}

/// A stream of `data:` events.
fn stream(kind: EndpointType, events: &[&str]) -> Reply {
    let text: String = events.iter().map(|data| format!("data: {data}\n\n")).collect();
    answer(Endpoint::new(kind), "text/event-stream", text)
}

fn document(kind: EndpointType, json: &str) -> Reply {
    answer(Endpoint::new(kind), "application/json", json)
}

fn class(reply: &Reply) -> Option<ErrorClass> {
    reply.error.as_ref().map(|error| error.class)
}

fn kinds(reply: &Reply) -> Vec<DeltaKind> {
    reply.deltas.iter().map(|delta| delta.kind).collect()
}

const STOP: &str = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;

fn text(content: &str) -> String {
    format!(r#"{{"choices":[{{"index":0,"delta":{{"content":"{content}"}},"finish_reason":null}}]}}"#)
}

#[test]
fn role_usage_finish_and_empty_events_are_no_tokens() {
    let reply = stream(
        Chat,
        &[
            r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}"#,
            r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":null}}]}"#,
            r#"{"choices":[{"index":0,"delta":{"role":"assistant"}}]}"#,
            r#"{"choices":[{"index":0,"delta":null}]}"#,
            &text("a"),
            &text(""),
            STOP,
            r#"{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}"#,
            r#"{"choices":null,"usage":null}"#,
            "[DONE]",
        ],
    );
    assert_eq!((kinds(&reply), reply.events, class(&reply)), (vec![Content], 10, None));
    assert_eq!(reply.usage.and_then(|usage| usage.total), Some(2));
}

#[test]
fn reasoning_under_both_names_counts_once() {
    let reply = stream(
        Chat,
        &[
            r#"{"choices":[{"delta":{"reasoning_content":"r1"}}]}"#,
            r#"{"choices":[{"delta":{"reasoning":"r2"}}]}"#,
            r#"{"choices":[{"delta":{"reasoning":"r3","reasoning_content":"r3"}}]}"#,
            r#"{"choices":[{"delta":{"reasoning":"r4","content":"c"}}]}"#,
            &text("d"),
            STOP,
        ],
    );
    assert_eq!(kinds(&reply), [Reasoning, Reasoning, Reasoning, Reasoning, Content]);
    assert_eq!((reply.reasoning.as_str(), reply.content.as_str()), ("r1r2r3r4", "cd"));
    assert_eq!(reply.deltas[3].text_bytes, 3);
}

#[test]
fn tool_calls_are_tokens() {
    let reply = stream(
        Chat,
        &[
            r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"x","type":"function","function":{"name":"f","arguments":""}}]}}]}"#,
            r#"{"choices":[{"delta":{"content":null,"tool_calls":[{"index":0,"function":{"arguments":"{\"a\":"}}]}}]}"#,
            r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"1}"}},{"index":1,"function":{"name":"g"}}]}}]}"#,
            r#"{"choices":[{"delta":{"function_call":{"name":"old","arguments":"{}"}}}]}"#,
            r#"{"choices":[{"delta":{},"finish_reason":"tool_calls"}]}"#,
        ],
    );
    assert_eq!(kinds(&reply), [ToolCall; 4]);
    assert_eq!(reply.tool_calls, r#"f{"a":1}gold{}"#);
    assert_eq!((reply.finish_reason.as_deref(), class(&reply)), (Some("tool_calls"), None));
}

#[test]
fn documents_bring_one_delta_at_the_last_byte() {
    let reply = document(
        Chat,
        r#"{"object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"hi",
            "reasoning_content":"hm","tool_calls":[{"function":{"name":"f","arguments":"{}"}}]},"finish_reason":"stop"}],
            "usage":{"prompt_tokens":1,"completion_tokens":3,"total_tokens":4}}"#,
    );
    assert_eq!(
        (reply.content.as_str(), reply.reasoning.as_str(), reply.tool_calls.as_str()),
        ("hi", "hm", "f{}")
    );
    assert_eq!(
        (kinds(&reply), reply.deltas[0].at, reply.deltas[0].text_bytes),
        (vec![Reasoning], MonoNs(7), 7)
    );
    assert!(!reply.streamed && reply.finished && reply.ended && reply.events == 1);
    let parts = document(
        Chat,
        r#"{"choices":[{"message":{"content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}}]}"#,
    );
    assert_eq!((parts.content.as_str(), class(&parts)), ("ab", None));
    let text = document(Completions, r#"{"choices":[{"index":0,"text":"t","finish_reason":"length"}]}"#);
    assert_eq!((text.content.as_str(), text.finish_reason.as_deref()), ("t", Some("length")));
}

#[test]
fn what_the_answer_is_decides_how_it_is_read() {
    let events = format!("data: {}\n\ndata: {STOP}\n\n", text("a"));
    let json = r#"{"choices":[{"message":{"content":"a"},"finish_reason":"stop"}]}"#;
    for content_type in ["text/event-stream", "Text/Event-Stream; charset=utf-8", "", "text/plain"] {
        let reply = answer(Endpoint::new(Chat), content_type, &events);
        assert!(reply.streamed && reply.error.is_none() && reply.content == "a", "'{content_type}'");
    }
    let marked = answer(Endpoint::new(Chat), "", format!("\u{FEFF}{events}"));
    assert!(marked.streamed && marked.content == "a", "byte-order mark before an unnamed stream");
    for content_type in ["application/json", "application/json; charset=utf-8", "", "text/plain"] {
        let reply = answer(Endpoint::new(Chat), content_type, json);
        assert!(!reply.streamed && reply.error.is_none() && reply.content == "a", "'{content_type}'");
    }
}

#[test]
fn ends_of_streams() {
    let (a, done) = (text("a"), "[DONE]");
    let verdict = |events: &[&str]| {
        let reply = stream(Chat, events);
        (class(&reply), reply.finished, reply.ended, reply.ended_by_marker_only())
    };
    assert_eq!(verdict(&[&a, STOP, done]), (None, true, true, false));
    assert_eq!(verdict(&[&a, STOP]), (None, true, true, false));
    assert_eq!(verdict(&[&a, done]), (None, false, true, true));
    assert_eq!(verdict(&[&a]), (Some(ErrorClass::Truncated), false, false, false));
    assert_eq!(verdict(&[]), (Some(ErrorClass::EmptyResponse), false, false, false));
    assert_eq!(verdict(&[done]), (Some(ErrorClass::EmptyResponse), false, true, true));
    assert_eq!(verdict(&[STOP, done]), (Some(ErrorClass::EmptyResponse), true, true, false));
    for reason in ["abort", "error"] {
        let given_up = STOP.replace("stop", reason);
        assert_eq!(
            verdict(&[&a, &given_up, done]),
            (Some(ErrorClass::Aborted), true, true, false),
            "{reason}"
        );
    }
    // A second choice that never finished.
    let second = r#"{"choices":[{"index":1,"delta":{"content":"b"}}]}"#;
    assert_eq!(verdict(&[&a, second, STOP]).0, Some(ErrorClass::Truncated));
    assert_eq!(verdict(&[&a, second, STOP, done]), (None, false, true, true));
}

#[test]
fn the_last_blank_line_may_be_missing_but_no_part_of_an_event() {
    let whole = format!("data: {}\n\ndata: {STOP}", text("a"));
    let reply = answer(Endpoint::new(Chat), "text/event-stream", &whole);
    assert_eq!((class(&reply), reply.finished, reply.events), (None, true, 2));
    let reply = answer(Endpoint::new(Chat), "text/event-stream", format!("{whole}\n\ndata: [DONE]"));
    assert_eq!((class(&reply), reply.done_marker), (None, true));
    // Cut inside the usage event: everything before it was fine, the answer is not whole.
    let reply =
        answer(Endpoint::new(Chat), "text/event-stream", format!("{whole}\n\ndata: {{\"choices\":[],\"us"));
    assert_eq!((class(&reply), reply.content.as_str(), reply.events), (Some(ErrorClass::Truncated), "a", 2));
    let reply = answer(Endpoint::new(Chat), "text/event-stream", format!("{whole}\n\ndata: [DO"));
    assert_eq!(class(&reply), Some(ErrorClass::Truncated));
}

#[test]
fn errors_inside_a_stream_in_every_form() {
    let a = text("a");
    for (error, message, code) in [
        (r#"data: {"error":{"message":"m","type":"t","code":503}}"#, "m", "503"),
        (r#"data: {"error": "m"}"#, "m", ""),
        (r#"data: {"object":"error","message":"m","type":"t","code":400}"#, "m", "400"),
        (r#"data: {"message":"m","code":"busy"}"#, "m", "busy"),
        ("event: error\ndata: {\"message\":\"m\"}", "m", ""),
        ("event: error\ndata: m", "m", ""),
        ("event: error\ndata: {\"error\":{\"message\":\"m\",\"code\":1}}", "m", "1"),
    ] {
        let text = format!("data: {a}\n\n{error}\n\ndata: {a}\n\ndata: [DONE]\n\n");
        let reply = answer(Endpoint::new(Chat), "text/event-stream", text);
        let failed = reply.error.unwrap();
        assert_eq!((failed.class, failed.code), (ErrorClass::StreamError, Some(502)), "{error}");
        assert_eq!(failed.kind.as_deref(), Some("SSEResponseError"));
        let said = failed.said.unwrap();
        assert_eq!(
            (said.message.as_str(), said.code.as_deref().unwrap_or_default()),
            (message, code),
            "{error}"
        );
        assert_eq!(reply.content, "aa", "events after the error are still read");
    }
    let none = stream(Chat, &[r#"{"choices":[{"delta":{"content":"a"}}],"error":null}"#, STOP]);
    assert_eq!(class(&none), None, "error: null is no error");
    let overflow = stream(Chat, &[r#"{"error":{"message":"maximum context length is 8","code":400}}"#]);
    assert!(overflow.error.unwrap().context_overflow);
}

#[test]
fn one_bad_event_fails_the_answer_but_the_rest_is_read() {
    let (a, b) = (text("a"), text("b"));
    for bad in ["{\"choices\":[{", "no json", "5", "\"text\"", "[1]", r#"{"choices":{"a":1}}"#] {
        let reply = stream(Chat, &[&a, bad, &b, STOP, "[DONE]"]);
        assert_eq!(
            (class(&reply), reply.content.as_str()),
            (Some(ErrorClass::InvalidResponse), "ab"),
            "{bad}"
        );
        assert_eq!(reply.error.unwrap().kind.as_deref(), Some("InvalidInferenceResultError"));
    }
    // An error event is the better explanation.
    let reply = stream(Chat, &[&a, "no json", r#"{"error":"gone"}"#]);
    assert_eq!(class(&reply), Some(ErrorClass::StreamError));
    // Events of a server's own, keep-alives with data, and `null` are harmless.
    let reply = stream(Chat, &["null", &a, r#"{"type":"progress","done":3}"#, "", STOP]);
    assert_eq!((class(&reply), reply.events), (None, 5));
}

#[test]
fn documents_that_are_no_answer() {
    for (body, want) in [
        ("", ErrorClass::EmptyResponse),
        ("<html><title>Login</title></html>", ErrorClass::InvalidResponse),
        ("{}", ErrorClass::InvalidResponse),
        (r#"{"status":"ok"}"#, ErrorClass::InvalidResponse),
        (r#"{"error":{"message":"m"}}"#, ErrorClass::InvalidResponse),
        (r#"{"choices":[]}"#, ErrorClass::EmptyResponse),
        (r#"{"choices":[{"message":{"content":""},"finish_reason":"stop"}]}"#, ErrorClass::EmptyResponse),
        (r#"{"choices":[{"message":{"content":"a"},"finish_reason":"abort"}]}"#, ErrorClass::Aborted),
        (r#"{"choices":[{"message":{"content":"a""#, ErrorClass::InvalidResponse),
    ] {
        assert_eq!(class(&document(Chat, body)), Some(want), "{body}");
    }
    let reply = document(Chat, r#"{"error":{"message":"m","code":"c"}}"#);
    assert_eq!(reply.error.unwrap().said.unwrap().code.as_deref(), Some("c"));
}

#[test]
fn bytes_and_escapes_that_are_no_unicode_are_replaced() {
    let event =
        [&b"data: {\"choices\":[{\"delta\":{\"content\":\"a\xff\xf0\x9f\"}}]}\n\n"[..], b"data: [DONE]\n\n"]
            .concat();
    let reply = answer(Endpoint::new(Chat), "text/event-stream", event);
    assert_eq!((class(&reply), reply.content.as_str()), (None, "a\u{FFFD}\u{FFFD}"));
    for (escaped, want) in [
        (r"\ud83d\ude00", "😀"),
        (r"x\ud83dy", "x\u{FFFD}y"),
        (r"\ud83d\ud83d\ude00\ude00", "\u{FFFD}😀\u{FFFD}"),
        (r"\\ud83d\udc00", "\\ud83d\u{FFFD}"),
        (r"\udc00\n\u00e4", "\u{FFFD}\nä"),
    ] {
        let reply = stream(Chat, &[&text(escaped), STOP]);
        assert_eq!((class(&reply), reply.content.as_str()), (None, want), "{escaped}");
    }
}

#[test]
fn the_last_usage_wins_wherever_it_stands() {
    let usage = |n: u32| format!(r#""usage":{{"prompt_tokens":9,"completion_tokens":{n}}}"#);
    let in_finish = format!(r#"{{"choices":[{{"delta":{{}},"finish_reason":"stop"}}],{}}}"#, usage(1));
    let alone = format!(r#"{{"choices":[],{}}}"#, usage(2));
    let completion = |events: &[&str]| stream(Chat, events).usage.and_then(|usage| usage.completion);
    let a = text("a");
    assert_eq!(completion(&[&a, &in_finish]), Some(1));
    assert_eq!(completion(&[&a, &in_finish, &alone]), Some(2));
    assert_eq!(completion(&[&a, &alone, &in_finish]), Some(1));
    assert_eq!(completion(&[&a, STOP]), None);
}

#[test]
fn choices_are_kept_apart_and_their_number_is_bounded() {
    let event = |index: &str, content: &str| {
        format!(r#"{{"choices":[{{"index":{index},"text":"{content}","finish_reason":"stop"}}]}}"#)
    };
    let events = [event("2", "c"), event("0", "a"), event("null", "A"), event("1", "b")];
    let reply = stream(Completions, &events.each_ref().map(String::as_str));
    assert_eq!(
        (reply.content.as_str(), reply.more_choices.as_slice()),
        ("aA", &["b".to_owned(), "c".to_owned()][..])
    );
    assert_eq!(reply.deltas.len(), 4);
    let reply = stream(Completions, &[&event("0", "a"), &event("99999999999", "z"), "[DONE]"]);
    assert_eq!(reply.more_choices.len(), 127);
    let both = r#"{"choices":[{"index":0,"text":"a","finish_reason":"stop"},{"index":1,"text":"b","finish_reason":"length"}]}"#;
    let reply = document(Completions, both);
    assert_eq!(
        (reply.content.as_str(), reply.more_choices.concat(), reply.deltas.len()),
        ("a", "b".to_owned(), 1)
    );
    assert_eq!(reply.finish_reason.as_deref(), Some("stop"));
}

#[test]
fn statuses_outside_2xx_are_errors_whatever_the_body() {
    let mut body = StampedBody::default();
    body.append(format!("data: {}\n\ndata: {STOP}\n\n", text("a")).as_bytes(), MonoNs(3));
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("text/event-stream"));
    for status in [301, 404, 429, 500, 599] {
        let view = ExchangeView { status, headers: &headers, body: &body, streaming: true };
        let reply = Decoder::new(Arc::new(Endpoint::new(Chat)), true).decode(&view);
        let error = reply.error.unwrap();
        assert_eq!((error.class, error.code), (ErrorClass::HttpStatus, Some(i64::from(status))));
        assert_eq!((reply.deltas.len(), reply.last_event_at), (0, Some(MonoNs(3))));
    }
}

proptest! {
    /// Nothing a server sends makes a decoder panic, and a reply always has content or an error.
    #[test]
    fn any_bytes_are_decoded(
        parts in prop::collection::vec(prop::sample::select(PARTS), 0..24),
        streamed in any::<bool>(),
    ) {
        let bytes = parts.concat();
        for kind in EndpointType::ALL {
            let content_type = if streamed { "text/event-stream" } else { "" };
            let reply = answer(Endpoint::new(kind), content_type, &bytes);
            prop_assert!(reply.error.is_some() || !reply.deltas.is_empty());
            let kept = reply.content.len() + reply.more_choices.concat().len() + reply.reasoning.len() + reply.tool_calls.len();
            let told: usize = reply.deltas.iter().map(|delta| delta.text_bytes as usize).sum();
            prop_assert_eq!(kept, told);
        }
    }
}

proptest! {
    /// Streams of events that nearly look alike are read the same with and without the shortcut.
    #[test]
    fn the_shortcut_reads_what_the_parser_reads(
        events in prop::collection::vec((prop::sample::select(PATTERNS), prop::sample::select(TEXTS)), 0..24),
    ) {
        let text: String =
            events.iter().map(|(pattern, text)| format!("data: {}\n\n", pattern.replace('$', text))).collect();
        let mut body = StampedBody::default();
        body.append(text.as_bytes(), MonoNs(1));
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("text/event-stream"));
        let view = ExchangeView { status: 200, headers: &headers, body: &body, streaming: true };
        for kind in EndpointType::ALL {
            let short = Decoder::new(Arc::new(Endpoint::new(kind)), true);
            let long = Decoder { shortcuts: false, ..short.clone() };
            prop_assert_eq!(short.decode(&view), long.decode(&view), "{}", kind);
        }
    }
}

/// Events of all APIs with a place for text, some of them traps.
const PATTERNS: &[&str] = &[
    r#"{"choices":[{"delta":{"content":"$"}}]}"#,
    r#"{"choices":[{"delta":{"content":"$"},"finish_reason":null}],"usage":null}"#,
    r#"{"choices":[{"delta":{"content":"$"},"finish_reason":"$"}]}"#,
    r#"{"choices":[{"delta":{"content":"$"}}],"usage":{"completion_tokens":3}}"#,
    r#"{"choices":[{"delta":{"reasoning_content":"$","reasoning":"x"}}]}"#,
    r#"{"choices":[{"delta":{"reasoning":"$"}}]}"#,
    r#"{"choices":[{"delta":{"tool_calls":[{"function":{"arguments":"$"}}]}}]}"#,
    r#"{"choices":[{"delta":{"content":["$"]}}]}"#,
    r#"{"choices":[{"index":1,"delta":{"content":"$"}}]}"#,
    r#"{"choices":[{"text":"$"}]}"#,
    r#"{"choices":[{"text":"$"},{"index":1,"text":"$"}]}"#,
    r#"{"choices":[{"text":"$"}],"object":"$"}"#,
    r#"{"choices":[{"text":"$"}],"error":"$"}"#,
    r#"{"type":"response.output_text.delta","delta":"$"}"#,
    r#"{"type":"content_block_delta","delta":{"type":"text_delta","text":"$"}}"#,
    r#"{"type":"message","content":[{"type":"tool_use","name":"f","input":"$"}]}"#,
    r#"{"text":"$"}"#,
    r#"{"text":"$","content":"c"}"#,
    r#""$""#,
    "$",
];

const TEXTS: &[&str] = &[
    "a",
    " b",
    "",
    "ä",
    "\\n",
    "\\\"",
    "\\u00e4",
    "x\",\"y\":\"z",
    "error",
    "stop",
    "abort",
    "null",
    "\u{1}",
];

/// Pieces of answers of all APIs, and what breaks them.
const PARTS: &[&[u8]] = &[
    b"data: ",
    b"\n\n",
    b"\n",
    b"event: error\n",
    b"[DONE]",
    b"null",
    b"{\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}]}",
    b"{\"choices\":[{\"index\":3,\"text\":\"b\"}],\"usage\":{\"completion_tokens\":-1}}",
    b"{\"type\":\"response.output_text.delta\",\"delta\":\"c\"}",
    b"{\"type\":\"content_block_delta\",\"delta\":{\"text\":\"d\"}}",
    b"{\"type\":\"message_stop\"}",
    b"{\"data\":[{\"embedding\":[1]}]}",
    b"{\"error\":\"x\"}",
    b"[{\"index\":0,\"score\":1}]",
    b"{\"choices\":",
    b"\\ud83d",
    b"\xff",
    b"}",
    b"]",
    b"\"",
    b"[[[[[[[[",
];
