//! The other APIs: Responses, Messages, vectors and rankings, raw and template.

use super::*;

#[test]
fn responses_events_of_every_kind() {
    let reply = stream(
        Responses,
        &[
            r#"{"type":"response.created","response":{"status":"in_progress","output":[],"usage":null,"error":null}}"#,
            r#"{"type":"response.reasoning_text.delta","delta":"r"}"#,
            r#"{"type":"response.reasoning_summary_text.delta","delta":"s"}"#,
            r#"{"type":"response.output_item.added","item":{"type":"message","content":[]}}"#,
            r#"{"type":"response.output_text.delta","delta":"t"}"#,
            r#"{"type":"response.output_text.delta","delta":""}"#,
            r#"{"type":"response.output_text.done","text":"t"}"#,
            r#"{"type":"response.output_item.added","item":{"type":"function_call","name":"f","arguments":""}}"#,
            r#"{"type":"response.function_call_arguments.delta","delta":"{}"}"#,
            r#"{"type":"response.output_item.done","item":{"type":"function_call","name":"f","arguments":"{}"}}"#,
            r#"{"type":"response.completed","response":{"status":"completed","output":[{"type":"message","content":[{"type":"output_text","text":"t"}]}],"usage":{"input_tokens":1,"output_tokens":2,"total_tokens":3}}}"#,
        ],
    );
    assert_eq!(kinds(&reply), [Reasoning, Reasoning, Content, ToolCall, ToolCall]);
    assert_eq!(
        (reply.content.as_str(), reply.reasoning.as_str(), reply.tool_calls.as_str()),
        ("t", "rs", "f{}")
    );
    assert_eq!((class(&reply), reply.finish_reason.as_deref()), (None, Some("completed")));
    assert_eq!(reply.usage.and_then(|usage| usage.total), Some(3));
}

#[test]
fn responses_that_fail_end_early_or_send_no_deltas() {
    let delta = r#"{"type":"response.output_text.delta","delta":"t"}"#;
    let failed = stream(
        Responses,
        &[
            delta,
            r#"{"type":"response.failed","response":{"status":"failed","error":{"code":"server_error","message":"m"}}}"#,
        ],
    );
    let error = failed.error.unwrap();
    assert_eq!((error.class, error.said.unwrap().message.as_str()), (ErrorClass::StreamError, "m"));
    assert_eq!(class(&stream(Responses, &[delta])), Some(ErrorClass::Truncated));
    assert_eq!(
        class(&stream(Responses, &[delta, r#"{"type":"error","message":"m","code":"c"}"#])),
        Some(ErrorClass::StreamError)
    );
    assert_eq!(
        class(&stream(
            Responses,
            &[delta, r#"{"type":"response.cancelled","response":{"status":"cancelled"}}"#]
        )),
        Some(ErrorClass::Aborted)
    );
    let whole = r#"{"type":"response.completed","response":{"status":"completed","output":[{"type":"reasoning","summary":[{"text":"why"}]},{"type":"message","content":[{"type":"output_text","text":"all"}]}]}}"#;
    let late = stream(Responses, &[whole]);
    assert_eq!((late.content.as_str(), late.reasoning.as_str(), class(&late)), ("all", "why", None));
}

#[test]
fn responses_documents() {
    let reply = document(
        Responses,
        r#"{"object":"response","status":"incomplete","incomplete_details":{"reason":"max_output_tokens"},
            "output":[{"type":"message","content":[{"type":"output_text","text":"hi"}]},
                {"type":"function_call","name":"f","arguments":"{}"}],
            "usage":{"input_tokens":4,"output_tokens":2,"total_tokens":6},"error":null}"#,
    );
    assert_eq!((reply.content.as_str(), reply.tool_calls.as_str(), class(&reply)), ("hi", "f{}", None));
    assert_eq!((reply.finish_reason.as_deref(), reply.deltas.len()), (Some("max_output_tokens"), 1));
    let failed =
        document(Responses, r#"{"object":"response","status":"failed","output":[],"error":{"message":"m"}}"#);
    assert_eq!(class(&failed), Some(ErrorClass::Aborted));
    assert_eq!(class(&document(Responses, r#"{"object":"list"}"#)), Some(ErrorClass::InvalidResponse));
}

const ANTHROPIC: [&str; 11] = [
    r#"{"type":"message_start","message":{"role":"assistant","content":[],"usage":{"input_tokens":10,"cache_read_input_tokens":5,"output_tokens":1}}}"#,
    r#"{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":""}}"#,
    r#"{"type": "ping"}"#,
    r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"hm"}}"#,
    r#"{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"xyz"}}"#,
    r#"{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"hi"}}"#,
    r#"{"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"t","name":"f","input":{}}}"#,
    r#"{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\"a\":1}"}}"#,
    r#"{"type":"content_block_stop","index":2}"#,
    r#"{"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":9}}"#,
    r#"{"type":"message_stop"}"#,
];

#[test]
fn messages_stream_with_usage_in_two_parts() {
    let reply = stream(Messages, &ANTHROPIC);
    assert_eq!(kinds(&reply), [Reasoning, Content, ToolCall, ToolCall]);
    assert_eq!(
        (reply.reasoning.as_str(), reply.content.as_str(), reply.tool_calls.as_str()),
        ("hm", "hi", "f{\"a\":1}")
    );
    assert_eq!(
        (class(&reply), reply.finish_reason.as_deref(), reply.finished),
        (None, Some("tool_use"), true)
    );
    let usage = reply.usage.unwrap();
    assert_eq!(
        (usage.prompt, usage.completion, usage.cache_read, usage.cache_miss),
        (Some(15), Some(9), Some(5), Some(10))
    );
}

#[test]
fn messages_errors_truncation_and_documents() {
    assert_eq!(class(&stream(Messages, &ANTHROPIC[..8])), Some(ErrorClass::Truncated));
    let text = format!(
        "data: {}\n\nevent: error\ndata: {{\"type\":\"error\",\"error\":{{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}}}\n\n",
        ANTHROPIC[0]
    );
    let error = answer(Endpoint::new(Messages), "text/event-stream", text).error.unwrap();
    assert_eq!(error.class, ErrorClass::StreamError);
    assert_eq!(error.said.unwrap().kind.as_deref(), Some("overloaded_error"));
    let reply = document(
        Messages,
        r#"{"type":"message","content":[{"type":"thinking","thinking":"hm"},{"type":"text","text":"hi"},
            {"type":"tool_use","name":"f","input":{"a":1}}],"stop_reason":"end_turn","usage":{"input_tokens":3,"output_tokens":4}}"#,
    );
    assert_eq!(
        (reply.reasoning.as_str(), reply.content.as_str(), reply.tool_calls.as_str()),
        ("hm", "hi", "f{\"a\":1}")
    );
    assert_eq!((class(&reply), reply.usage.and_then(|usage| usage.prompt)), (None, Some(3)));
}

#[test]
fn vectors_and_rankings_are_judged_by_their_shape() {
    use EndpointType::{CohereRankings, Embeddings, HfTeiRankings, NimRankings};
    let (ok, invalid, empty) = (None, Some(ErrorClass::InvalidResponse), Some(ErrorClass::EmptyResponse));
    for (kind, json, want) in [
        (
            Embeddings,
            r#"{"data":[{"object":"embedding","embedding":[0.1,-2e-3],"index":0}],"usage":{"prompt_tokens":3,"total_tokens":3}}"#,
            ok,
        ),
        (Embeddings, r#"{"data":[{"embedding":"AACAPw=="}]}"#, ok),
        (Embeddings, r#"{"data":[{"embedding":[0.1]},{"embedding":[]}]}"#, invalid),
        (Embeddings, r#"{"data":[{"embedding":["x"]}]}"#, invalid),
        (Embeddings, r#"{"data":[]}"#, empty),
        (Embeddings, r#"{"choices":[]}"#, invalid),
        (
            CohereRankings,
            r#"{"results":[{"index":1,"relevance_score":0.9,"document":{"text":"x"}},{"index":0,"relevance_score":1}]}"#,
            ok,
        ),
        (CohereRankings, r#"{"results":[{"index":1,"score":0.9}]}"#, invalid),
        (CohereRankings, r#"{"results":[]}"#, empty),
        (HfTeiRankings, r#"[{"index":0,"score":0.9}]"#, ok),
        (HfTeiRankings, r#"{"results":[{"index":0,"score":0.9}]}"#, ok),
        (HfTeiRankings, r#"[{"score":0.9}]"#, invalid),
        (NimRankings, r#"{"rankings":[{"index":0,"logit":-3.5}]}"#, ok),
        (NimRankings, r#"{"rankings":[{"index":0}]}"#, invalid),
        (NimRankings, r#"{"error":"x"}"#, invalid),
    ] {
        let reply = document(kind, json);
        assert_eq!(class(&reply), want, "{kind}: {json}");
        let deltas: Vec<_> = reply.deltas.iter().map(|delta| (delta.at, delta.text_bytes)).collect();
        assert_eq!(deltas, if want == ok { vec![(MonoNs(7), 0)] } else { vec![] }, "{kind}: {json}");
    }
}

#[test]
fn raw_finds_text_where_servers_put_it() {
    for (body, want) in [
        (r#"{"text":"a"}"#, "a"),
        (r#"{"text":["a","b"]}"#, "ab"),
        (r#"{"generated_text":"a"}"#, "a"),
        (r#"[{"generated_text":"a"}]"#, "a"),
        (r#"{"text_output":"a","model_name":"m"}"#, "a"),
        (r#"{"response":"a","done":true}"#, "a"),
        (r#"{"choices":[{"text":"a"}]}"#, "a"),
        (r#"{"choices":[{"message":{"content":"a"}}]}"#, "a"),
        (r#"{"type":"message","content":[{"type":"text","text":"a"}],"stop_reason":"end_turn"}"#, "a"),
        (
            r#"{"object":"response","status":"completed","output":[{"type":"message","content":[{"text":"a"}]}]}"#,
            "a",
        ),
        (r#""a""#, "a"),
        ("plain text", "plain text"),
        (r#"{"embedding":[1,2]}"#, ""),
        (r#"[[1.0,2.0]]"#, ""),
        (r#"{"results":[{"index":0,"score":1}]}"#, ""),
    ] {
        let reply = answer(Endpoint::new(Raw), "", body);
        assert_eq!((class(&reply), reply.content.as_str(), reply.deltas.len()), (None, want, 1), "{body}");
    }
    for (body, want) in [
        (r#"{"a":1}"#, ErrorClass::InvalidResponse),
        (r#"{"text":"#, ErrorClass::InvalidResponse),
        (r#"{"error":"m"}"#, ErrorClass::InvalidResponse),
    ] {
        assert_eq!(class(&answer(Endpoint::new(Raw), "", body)), Some(want), "{body}");
    }
}

#[test]
fn raw_streams_may_just_stop() {
    let tgi = stream(
        Raw,
        &[
            r#"{"token":{"text":"a"}}"#,
            r#"{"token":{"text":"b"},"generated_text":"ab","details":{"finish_reason":"length"}}"#,
        ],
    );
    assert_eq!(
        (tgi.content.as_str(), tgi.finish_reason.as_deref(), class(&tgi)),
        ("ab", Some("length"), None)
    );
    let triton = stream(Raw, &[r#"{"text_output":"a"}"#, r#"{"text_output":"b"}"#]);
    assert_eq!((triton.content.as_str(), triton.deltas.len(), class(&triton)), ("ab", 2, None));
    let cut = answer(Endpoint::new(Raw), "text/event-stream", "data: {\"text\":\"a\"}\n\ndata: {\"te");
    assert_eq!(class(&cut), Some(ErrorClass::Truncated));
}

#[test]
fn a_path_leads_to_the_text_and_to_nothing_else() {
    let at = |path: &str| Endpoint::new(Raw).with_text_path(path.parse().unwrap());
    let body = r#"{"text":"no","out":{"parts":[{"t":"a"},{"t":"b"}]},"usage":{"completion_tokens":2}}"#;
    let reply = answer(at("$.out.parts[*].t"), "application/json", body);
    assert_eq!((reply.content.as_str(), class(&reply)), ("ab", None));
    assert_eq!(reply.usage.and_then(|usage| usage.completion), Some(2));
    let error = answer(at("$.none"), "application/json", body).error.unwrap();
    assert_eq!(error.class, ErrorClass::InvalidResponse);
    assert!(error.message.contains("$.none"), "{}", error.message);
    let events = "data: {\"o\":\"a\"}\n\ndata: {\"meta\":1}\n\ndata: {\"o\":\"b\"}\n\n";
    let template: Template = r#"{"p": {{ text }}}"#.parse().unwrap();
    let endpoint =
        Endpoint::new(EndpointType::Template).with_template(template).with_text_path("o".parse().unwrap());
    let reply = answer(endpoint, "text/event-stream", events);
    assert_eq!((reply.content.as_str(), reply.events, class(&reply)), ("ab", 3, None));
}
