//! Cost of decoding an answer and of building a body. `cargo bench -p tokmeter-engine --bench decode`
//!
//! Goal: about 10 us for a chat stream of 16 tokens, every event in a read of its own.

#![allow(clippy::print_stdout, reason = "a bench prints its table")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderValue};
use tokmeter_engine::dataset::{Prompt, Session, Turn};
use tokmeter_engine::endpoint::{BodyInput, Decoder, Endpoint, EndpointType, ExchangeView};
use tokmeter_http::exchange::StampedBody;
use tokmeter_record::MonoNs;

const ROUNDS: usize = 20_000;

fn main() {
    println!("{:<52} {:>10} {:>10} {:>12}", "", "median us", "best us", "ns an event");
    for (name, usage) in
        [("chat stream, 16 tokens", false), ("chat stream, 16 tokens, usage in each event", true)]
    {
        let (body, events) = chat_stream(16, usage);
        for keep_text in [true, false] {
            let decoder = Decoder::new(Arc::new(Endpoint::new(EndpointType::Chat)), keep_text);
            let mut headers = HeaderMap::new();
            headers.insert("content-type", HeaderValue::from_static("text/event-stream"));
            let view = ExchangeView { status: 200, headers: &headers, body: &body, streaming: true };
            let reply = decoder.decode(&view);
            assert!(reply.error.is_none() && reply.deltas.len() == 16);
            let text = if keep_text { "text kept" } else { "no text" };
            report(&format!("{name}, {text}"), events, || {
                black_box(decoder.decode(black_box(&view))).deltas.len()
            });
        }
    }
    let prompt = "To be, or not to be, that is the question. ".repeat(100);
    let turn = Turn {
        prompt: Prompt::Texts { texts: vec![prompt.into()], images: Vec::new() },
        input_tokens: None,
        output_tokens: Some(16),
        delay: Duration::ZERO,
        at: None,
        model: None,
        extra: None,
    };
    let session =
        Session { id: "s".into(), system: None, context: None, turns: vec![turn], self_contained: false };
    let (endpoint, extra) = (Endpoint::new(EndpointType::Chat), serde_json::Map::new());
    let input = BodyInput {
        model: "model",
        streaming: true,
        session: &session,
        turn: &session.turns[0],
        history: &[],
        legacy_max_tokens: false,
        extra: &extra,
        include_usage: true,
        continuous_usage: false,
    };
    report("chat body, prompt of 4,300 bytes", 1, || {
        endpoint.body(black_box(&input)).map(|body| black_box(body).len()).unwrap_or_default()
    });
}

/// Role, tokens, finish, usage, `[DONE]`, as vLLM writes them; one read for each event.
fn chat_stream(tokens: usize, usage_in_each: bool) -> (StampedBody, usize) {
    let mut body = StampedBody::default();
    let mut events = 0;
    let mut push = |data: &str| {
        body.append(format!("data: {data}\n\n").as_bytes(), MonoNs(events as u64));
        events += 1;
    };
    let event = |delta: &str, finish: &str, usage: &str| {
        format!(
            r#"{{"id":"chatcmpl-95bfa22b6a5dd372","object":"chat.completion.chunk","created":1795324761,"model":"tiny-llama","choices":[{{"index":0,"delta":{delta},"logprobs":null,"finish_reason":{finish},"token_ids":null}}]{usage}}}"#
        )
    };
    push(&event(r#"{"role":"assistant","content":""}"#, "null", ""));
    for token in 0..tokens {
        let usage = format!(
            r#","usage":{{"prompt_tokens":39,"total_tokens":{},"completion_tokens":{token}}}"#,
            39 + token
        );
        push(&event(r#"{"content":" token"}"#, "null", if usage_in_each { &usage } else { "" }));
    }
    push(&event("{}", "\"length\"", ""));
    push(
        r#"{"id":"chatcmpl-95bfa22b6a5dd372","object":"chat.completion.chunk","created":1795324761,"model":"tiny-llama","choices":[],"usage":{"prompt_tokens":39,"total_tokens":55,"completion_tokens":16}}"#,
    );
    push("[DONE]");
    (body, events)
}

fn report(name: &str, events: usize, work: impl Fn() -> usize) {
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            black_box(work());
            start.elapsed().as_nanos() as f64 / 1e3
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    let median = rounds[ROUNDS / 2];
    println!("{name:<52} {median:>10.2} {:>10.2} {:>12.0}", rounds[0], median * 1e3 / events as f64);
}
