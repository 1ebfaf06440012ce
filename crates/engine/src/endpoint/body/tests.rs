use std::sync::{Arc, LazyLock};
use std::time::Duration;

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::*;
use crate::dataset::Image;
use crate::endpoint::{Endpoint, Template};

fn turn(prompt: Prompt) -> Turn {
    Turn {
        prompt,
        input_tokens: None,
        output_tokens: None,
        delay: Duration::ZERO,
        at: None,
        model: None,
        extra: None,
    }
}

fn texts(texts: &[&str]) -> Prompt {
    Prompt::Texts { texts: texts.iter().map(|text| Arc::from(*text)).collect(), images: Vec::new() }
}

fn with_images(text: &str, urls: &[&str]) -> Prompt {
    let images = urls.iter().map(|url| Image { url: Arc::from(*url) }).collect();
    Prompt::Texts { texts: vec![Arc::from(text)], images }
}

fn ranking(query: &str, passages: &[&str]) -> Prompt {
    Prompt::Ranking { query: query.into(), passages: passages.iter().map(|text| Arc::from(*text)).collect() }
}

fn session(turns: Vec<Turn>) -> Session {
    Session { id: "session_000000".into(), system: None, context: None, self_contained: false, turns }
}

static NO_EXTRA: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);

/// A streamed request of one turn, without history and extras.
fn asked(session: &Session, index: usize) -> BodyInput<'_> {
    BodyInput {
        model: "m",
        streaming: true,
        session,
        turn: &session.turns[index],
        history: &[],
        legacy_max_tokens: false,
        extra: &NO_EXTRA,
        include_usage: true,
        continuous_usage: false,
    }
}

fn built(endpoint: &Endpoint, input: &BodyInput<'_>) -> Result<String, BodyError> {
    endpoint.body(input).map(|body| String::from_utf8(body.to_vec()).unwrap())
}

fn text_of(kind: EndpointType, prompt: Prompt) -> String {
    built(&Endpoint::new(kind), &asked(&session(vec![turn(prompt)]), 0)).unwrap()
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap()
}

#[test]
fn chat_is_written_in_aiperfs_order() {
    let mut one = turn(texts(&["say \"hi\"\n"]));
    let endpoint = Endpoint::new(EndpointType::Chat);
    let body = built(&endpoint, &asked(&session(vec![one.clone()]), 0)).unwrap();
    assert_eq!(
        body,
        r#"{"messages":[{"role":"user","content":"say \"hi\"\n"}],"model":"m","stream":true,"stream_options":{"include_usage":true}}"#
    );
    one.output_tokens = Some(24);
    let limited = session(vec![one]);
    let body = built(&endpoint, &BodyInput { streaming: false, ..asked(&limited, 0) }).unwrap();
    assert_eq!(
        body,
        r#"{"messages":[{"role":"user","content":"say \"hi\"\n"}],"model":"m","stream":false,"max_completion_tokens":24}"#
    );
    let legacy = built(&endpoint, &BodyInput { legacy_max_tokens: true, ..asked(&limited, 0) }).unwrap();
    assert!(legacy.contains(r#""stream":true,"max_tokens":24,"stream_options""#), "{legacy}");
    let continuous = built(&endpoint, &BodyInput { continuous_usage: true, ..asked(&limited, 0) }).unwrap();
    assert!(
        continuous.ends_with(r#""stream_options":{"continuous_usage_stats":true,"include_usage":true}}"#),
        "{continuous}"
    );
    let unasked = built(&endpoint, &BodyInput { include_usage: false, ..asked(&limited, 0) }).unwrap();
    assert!(!unasked.contains("stream_options"), "{unasked}");
}

/// The payloads of a real AIPerf run, rebuilt from their own texts, are the same values.
#[test]
fn chat_payloads_equal_those_of_an_aiperf_run() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/fixtures/aiperf-run-streaming/inputs.json");
    let inputs: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let sessions = inputs["data"].as_array().unwrap();
    assert!(!sessions.is_empty());
    for theirs in sessions.iter().flat_map(|session| session["payloads"].as_array().unwrap()) {
        let mut one = turn(texts(&[theirs["messages"][0]["content"].as_str().unwrap()]));
        one.model = Some(theirs["model"].as_str().unwrap().into());
        one.output_tokens = theirs["max_completion_tokens"].as_u64().map(|tokens| tokens as u32);
        let ours = built(&Endpoint::new(EndpointType::Chat), &asked(&session(vec![one]), 0)).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&ours).unwrap(), *theirs);
    }
}

#[test]
fn conversations_hold_system_context_history_and_the_turn() {
    let mut talk = session(vec![turn(texts(&["q1"])), turn(texts(&["q2"]))]);
    talk.system = Some("sys".into());
    talk.context = Some("ctx".into());
    let history =
        [Message::User { turn: 0 }, Message::Assistant { content: "a1".into() }, Message::User { turn: 9 }];
    let value = |kind, history: &[Message]| -> Value {
        let input = BodyInput { history, ..asked(&talk, 1) };
        let body = built(&Endpoint::new(kind), &input).unwrap();
        serde_json::from_str(&body).unwrap()
    };
    let message = |role: &str, content: &str| json!({"role": role, "content": content});
    assert_eq!(
        value(EndpointType::Chat, &history)["messages"],
        json!([
            message("system", "sys"),
            message("user", "ctx"),
            message("user", "q1"),
            message("assistant", "a1"),
            message("user", "q2")
        ])
    );
    assert_eq!(
        value(EndpointType::Chat, &[])["messages"],
        json!([message("system", "sys"), message("user", "ctx"), message("user", "q2")]),
        "inputs.json: only the turn's own message"
    );
    let anthropic = value(EndpointType::Messages, &history);
    assert_eq!(anthropic["system"], "sys");
    assert_eq!(
        anthropic["messages"],
        json!([
            message("user", "ctx"),
            message("user", "q1"),
            message("assistant", "a1"),
            message("user", "q2")
        ])
    );
    let responses = value(EndpointType::Responses, &history);
    assert_eq!(responses["instructions"], "sys");
    let item = |role: &str, content: &str| json!({"role": role, "content": content, "type": "message"});
    assert_eq!(
        responses["input"],
        json!([item("user", "ctx"), item("user", "q1"), item("assistant", "a1"), item("user", "q2")])
    );
}

#[test]
fn images_and_several_texts_are_parts() {
    let prompt = || with_images("see", &["data:image/jpeg;base64,QUJD", "https://x/y.png"]);
    let parts = |kind: EndpointType, key: &str| -> Value {
        let body: Value = serde_json::from_str(&text_of(kind, prompt())).unwrap();
        body[key][0]["content"].clone()
    };
    assert_eq!(
        parts(EndpointType::Chat, "messages"),
        json!([{"type": "text", "text": "see"}, {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,QUJD"}},
            {"type": "image_url", "image_url": {"url": "https://x/y.png"}}])
    );
    assert_eq!(
        parts(EndpointType::Responses, "input"),
        json!([{"type": "input_text", "text": "see"}, {"type": "input_image", "image_url": "data:image/jpeg;base64,QUJD"},
            {"type": "input_image", "image_url": "https://x/y.png"}])
    );
    assert_eq!(
        parts(EndpointType::Messages, "messages"),
        json!([{"type": "text", "text": "see"},
            {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "QUJD"}},
            {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}}])
    );
    let two: Value = serde_json::from_str(&text_of(EndpointType::Chat, texts(&["a", "b"]))).unwrap();
    assert_eq!(
        two["messages"][0]["content"],
        json!([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}])
    );
    let none: Value = serde_json::from_str(&text_of(EndpointType::Chat, texts(&[]))).unwrap();
    assert_eq!(none["messages"][0]["content"], "");
}

#[test]
fn the_other_apis_in_aiperfs_order() {
    use EndpointType as E;
    for (kind, prompt, want) in [
        (
            E::Completions,
            texts(&["a"]),
            r#"{"prompt":"a","model":"m","stream":true,"stream_options":{"include_usage":true}}"#,
        ),
        (
            E::Completions,
            texts(&["a", "b"]),
            r#"{"prompt":["a","b"],"model":"m","stream":true,"stream_options":{"include_usage":true}}"#,
        ),
        (
            E::Completions,
            Prompt::TokenIds([1, 22].into()),
            r#"{"prompt":[1,22],"model":"m","stream":true,"stream_options":{"include_usage":true}}"#,
        ),
        (E::Embeddings, texts(&["a"]), r#"{"model":"m","input":["a"]}"#),
        (E::Embeddings, Prompt::TokenIds([1, 22].into()), r#"{"model":"m","input":[[1,22]]}"#),
        (E::CohereRankings, ranking("q", &["a", "b"]), r#"{"model":"m","query":"q","documents":["a","b"]}"#),
        (E::HfTeiRankings, ranking("q", &["a"]), r#"{"query":"q","texts":["a"]}"#),
        (
            E::NimRankings,
            ranking("q", &["a"]),
            r#"{"model":"m","query":{"text":"q"},"passages":[{"text":"a"}]}"#,
        ),
        (
            E::Responses,
            texts(&["a"]),
            r#"{"input":[{"role":"user","content":"a","type":"message"}],"model":"m","stream":true}"#,
        ),
        (
            E::Messages,
            texts(&["a"]),
            r#"{"model":"m","messages":[{"role":"user","content":"a"}],"max_tokens":1024,"stream":true}"#,
        ),
    ] {
        assert_eq!(text_of(kind, prompt), want);
    }
    let mut limited = turn(texts(&["a"]));
    limited.output_tokens = Some(7);
    let limited = session(vec![limited]);
    for (kind, field) in
        [(E::Completions, "max_tokens"), (E::Responses, "max_output_tokens"), (E::Messages, "max_tokens")]
    {
        let body =
            built(&Endpoint::new(kind), &BodyInput { streaming: false, ..asked(&limited, 0) }).unwrap();
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body[field], 7, "{kind}");
        assert_eq!(body.get("stream").cloned(), (kind != E::Messages).then_some(json!(false)), "{kind}");
    }
}

#[test]
fn the_users_fields_win_in_place_and_the_turns_over_the_runs() {
    let run = object(json!({"model": "other", "temperature": 0.5, "seed": 1, "max_completion_tokens": null}));
    let mut one = turn(texts(&["a"]));
    one.output_tokens = Some(9);
    one.extra = Some(Arc::new(object(json!({"seed": 2, "top_k": [1]}))));
    let talk = session(vec![one]);
    let input = BodyInput { extra: &run, ..asked(&talk, 0) };
    let body = built(&Endpoint::new(EndpointType::Chat), &input).unwrap();
    assert_eq!(
        body,
        r#"{"messages":[{"role":"user","content":"a"}],"model":"other","stream":true,"max_completion_tokens":null,"stream_options":{"include_usage":true},"temperature":0.5,"seed":2,"top_k":[1]}"#
    );
}

#[test]
fn stream_options_follow_the_stream_field_as_sent() {
    let talk = session(vec![turn(texts(&["a"]))]);
    let options = |extra: Value, streaming: bool| -> Option<Value> {
        let extra = object(extra);
        let input = BodyInput { extra: &extra, streaming, ..asked(&talk, 0) };
        let body = built(&Endpoint::new(EndpointType::Chat), &input);
        serde_json::from_str::<Value>(&body.unwrap()).unwrap().get("stream_options").cloned()
    };
    assert_eq!(options(json!({}), true), Some(json!({"include_usage": true})));
    assert_eq!(options(json!({"stream": false}), true), None);
    assert_eq!(options(json!({"stream": true}), false), Some(json!({"include_usage": true})));
    assert_eq!(
        options(json!({"stream_options": {"include_usage": false, "x": 1}}), true),
        Some(json!({"include_usage": false, "x": 1}))
    );
    assert_eq!(options(json!({"stream_options": null}), true), Some(json!({"include_usage": true})));
    assert_eq!(options(json!({"stream_options": "odd"}), true), Some(json!("odd")));
}

#[test]
fn complete_bodies_go_out_as_they_are_and_misfits_are_named() {
    let raw = r#"{ "odd":  [1, 2] }"#;
    let body = || Prompt::Body(Arc::from(RawValue::from_string(raw.to_owned()).unwrap()));
    for kind in EndpointType::ALL {
        assert_eq!(text_of(kind, body()), raw, "{kind}");
    }
    let refused = |kind, prompt| {
        built(&Endpoint::new(kind), &asked(&session(vec![turn(prompt)]), 0)).unwrap_err().to_string()
    };
    assert_eq!(
        refused(EndpointType::Completions, with_images("a", &["x"])),
        "endpoint type 'completions' cannot send images"
    );
    assert_eq!(
        refused(EndpointType::Chat, ranking("q", &[])),
        "endpoint type 'chat' cannot send a query with passages"
    );
    assert_eq!(
        refused(EndpointType::Messages, Prompt::TokenIds([1].into())),
        "endpoint type 'messages' cannot send token ids"
    );
    assert_eq!(
        refused(EndpointType::NimRankings, texts(&["a"])),
        "endpoint type 'nim_rankings' cannot send plain texts"
    );
    assert_eq!(refused(EndpointType::Raw, texts(&["a"])), "endpoint type 'raw' cannot send plain texts");
    assert_eq!(refused(EndpointType::Template, texts(&["a"])), "template: no template is given");
}

fn templated(source: &str, prompt: Prompt, extra: Value) -> String {
    let endpoint = Endpoint::new(EndpointType::Template).with_template(source.parse::<Template>().unwrap());
    let mut one = turn(prompt);
    one.output_tokens = Some(5);
    let extra = object(extra);
    built(&endpoint, &BodyInput { extra: &extra, ..asked(&session(vec![one]), 0) }).unwrap()
}

#[test]
fn templates_are_filled_with_escaped_values() {
    let odd = texts(&["a \"b\"\n", "c"]);
    for (source, want) in [
        (r#"{"p": {{ text }}, "n": {{max_tokens}}}"#, r#"{"p": "a \"b\"\n", "n": 5}"#),
        (r#"{"p": "Q: {{ text }} ({{ model }}, {{ max_tokens }})"}"#, r#"{"p": "Q: a \"b\"\n (m, 5)"}"#),
        (r#"{"p": {{ texts|tojson }}, "s": {{ stream }}}"#, r#"{"p": ["a \"b\"\n","c"], "s": true}"#),
        (
            r#"{"p": {{ texts | tojson }}, "q": "\"{{ image }}", "y": {{ system }}}"#,
            r#"{"p": ["a \"b\"\n","c"], "q": "\"", "y": null}"#,
        ),
        ("nv-embedqa", r#"{"text": ["a \"b\"\n","c"]}"#),
    ] {
        assert_eq!(templated(source, odd.clone(), json!({})), want);
    }
    let query = templated(r#"{"q": {{ query }}, "d": {{ passages }}}"#, ranking("q", &["a", "b"]), json!({}));
    assert_eq!(query, r#"{"q": "q", "d": ["a","b"]}"#);
    let merged = templated(r#"{"p": {{ text }}, "n": 1}"#, texts(&["a"]), json!({"n": 2, "z": true}));
    assert_eq!(serde_json::from_str::<Value>(&merged).unwrap(), json!({"p": "a", "n": 2, "z": true}));
}

#[test]
fn templates_that_cannot_work_are_refused_with_their_line() {
    let refused = |source: &str| source.parse::<Template>().unwrap_err().to_string();
    assert!(
        refused("{\n\"p\": {{ txet }}}").starts_with("line 2: unknown placeholder 'txet'; known are text,")
    );
    assert_eq!(refused("{\"p\": {{ text }"), "line 1: placeholder is not closed");
    assert_eq!(
        refused("{\"p\":\n \"{{ texts }}\"}"),
        "line 2: 'texts' is a list and cannot stand inside quotes"
    );
    assert_eq!(
        refused("{% if x %}{}{% endif %}"),
        "line 1: statements ({% ... %}) are not supported, only placeholders"
    );
    assert_eq!(
        refused("{\"p\": {{ text }}\n\n{% for %}"),
        "line 3: statements ({% ... %}) are not supported, only placeholders"
    );
    assert!(refused("{\"p\": {{ text }}").starts_with("filled with sample values it is not valid JSON:"));
}
