//! The answers of every API, streamed and whole: text, counts, ends.

use serde_json::{Value, json};
use tokmeter_sim::{Distribution, OutputTokens, UsageReport};

use crate::client::{Client, Response, chat, start};

fn words(text: &str) -> usize {
    text.split_whitespace().count()
}

fn post(change: impl FnOnce(&mut tokmeter_sim::SimConfig), path: &str, body: &Value) -> Response {
    let sim = start(change);
    let response = Client::connect(&sim).post(path, "X-Request-ID: same\r\n", body);
    assert!(response.complete, "{response:?}");
    response
}

fn mixed(config: &mut tokmeter_sim::SimConfig) {
    config.output.reasoning_tokens = 3;
    config.output.tool_call_tokens = 4;
    config.output.tokens_per_event = 2;
}

fn whole(mut body: Value) -> Value {
    body["stream"] = false.into();
    body
}

#[test]
fn chat_reasoning_text_and_tool_call_agree_streamed_and_whole() {
    let streamed = post(mixed, "/v1/chat/completions", &chat(12));
    let delta = |field: &str| -> String {
        streamed.events().iter().filter_map(|e| e["choices"][0]["delta"][field].as_str()).collect()
    };
    let arguments: String = streamed
        .events()
        .iter()
        .filter_map(|e| e["choices"][0]["delta"]["tool_calls"][0]["function"]["arguments"].as_str())
        .collect();
    let parsed: Value = serde_json::from_str(&arguments).expect("arguments are JSON");
    assert_eq!(words(parsed["query"].as_str().expect("text")), 4);
    assert_eq!((words(&delta("reasoning_content")), words(&delta("content"))), (3, 5));
    let usage = streamed.events().last().expect("events")["usage"].clone();
    assert_eq!(usage["completion_tokens_details"]["reasoning_tokens"], 3);
    assert!(streamed.events().iter().any(|e| e["choices"][0]["finish_reason"] == "tool_calls"));

    let json = post(mixed, "/v1/chat/completions", &whole(chat(12))).json();
    let message = &json["choices"][0]["message"];
    assert_eq!(message["content"], delta("content"));
    assert_eq!(message["reasoning_content"], delta("reasoning_content"));
    assert_eq!(message["tool_calls"][0]["function"]["arguments"], arguments);
    assert_eq!(json["usage"], usage);
}

#[test]
fn completions_stream_and_body_agree() {
    let body = json!({"model": "m", "prompt": "a b", "max_tokens": 6, "stream": true, "stream_options": {"include_usage": true}});
    let streamed = post(|_| {}, "/v1/completions", &body);
    let text: String = streamed.events().iter().filter_map(|e| e["choices"][0]["text"].as_str()).collect();
    assert_eq!(words(&text), 6);
    assert_eq!(streamed.payloads().last().map(String::as_str), Some("[DONE]"));
    let json = post(|_| {}, "/v1/completions", &whole(body)).json();
    assert_eq!(json["choices"][0]["text"], text);
    assert_eq!(json["usage"], streamed.events().last().expect("events")["usage"]);
}

#[test]
fn responses_events_are_named_numbered_and_agree_with_the_body() {
    let body = json!({"model": "m", "input": "a b c", "max_output_tokens": 12, "stream": true});
    let streamed = post(mixed, "/v1/responses", &body);
    let events = streamed.events();
    for (place, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], place);
        let line = format!("event: {}\n", event["type"].as_str().expect("a type"));
        assert!(streamed.text().contains(&line), "{line}");
    }
    let text: String = events
        .iter()
        .filter(|e| e["type"] == "response.output_text.delta")
        .filter_map(|e| e["delta"].as_str())
        .collect();
    assert_eq!(words(&text), 5);
    let last = events.last().expect("events");
    assert_eq!(last["type"], "response.completed");
    assert_eq!(last["response"]["usage"]["output_tokens"], 12);
    assert!(!streamed.text().contains("[DONE]"));
    let mut json = post(mixed, "/v1/responses", &whole(body)).json();
    json["created_at"] = last["response"]["created_at"].clone();
    assert_eq!(json, last["response"]);
    assert_eq!(json["output"][1]["content"][0]["text"], text);
}

#[test]
fn messages_blocks_open_and_close_and_agree_with_the_body() {
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "a b c"}], "max_tokens": 12, "stream": true});
    let streamed = post(mixed, "/v1/messages", &body);
    let events = streamed.events();
    let types: Vec<&str> = events.iter().filter_map(|e| e["type"].as_str()).collect();
    assert_eq!(types.iter().filter(|t| **t == "content_block_start").count(), 3);
    assert_eq!(types.iter().filter(|t| **t == "content_block_stop").count(), 3);
    assert_eq!((types[0], types.last()), ("message_start", Some(&"message_stop")));
    let text: String = events.iter().filter_map(|e| e["delta"]["text"].as_str()).collect();
    let input: String = events.iter().filter_map(|e| e["delta"]["partial_json"].as_str()).collect();
    let json = post(mixed, "/v1/messages", &whole(body)).json();
    assert_eq!(json["content"][1]["text"], text);
    assert_eq!(json["content"][2]["input"], serde_json::from_str::<Value>(&input).expect("JSON"));
    assert_eq!(json["usage"]["output_tokens"], 12);
    assert_eq!(json["usage"]["input_tokens"], 3);
}

#[test]
fn embeddings_and_rankings_have_one_entry_per_input() {
    let json = post(|_| {}, "/v1/embeddings", &json!({"model": "m", "input": ["a b", "c"]})).json();
    assert_eq!(json["data"].as_array().map(Vec::len), Some(2));
    let vector: Vec<f64> =
        json["data"][1]["embedding"].as_array().expect("vector").iter().filter_map(Value::as_f64).collect();
    assert_eq!(vector.len(), 8);
    assert!((vector.iter().map(|v| v * v).sum::<f64>() - 1.0).abs() < 1e-4);
    assert_eq!(json["usage"]["prompt_tokens"], 3);
    let documents = json!({"model": "m", "query": "q", "documents": ["a", "b", "c"]});
    for path in ["/rerank", "/v2/rerank"] {
        let json = post(|_| {}, path, &documents).json();
        let scores: Vec<f64> = json["results"]
            .as_array()
            .expect("results")
            .iter()
            .filter_map(|r| r["relevance_score"].as_f64())
            .collect();
        assert!(scores.len() == 3 && scores.is_sorted_by(|a, b| a >= b), "{scores:?}");
    }
    let passages = json!({"model": "m", "query": {"text": "q"}, "passages": [{"text": "a"}, {"text": "b"}]});
    let json = post(|_| {}, "/v1/ranking", &passages).json();
    assert_eq!(json["rankings"].as_array().map(Vec::len), Some(2));
}

#[test]
fn usage_is_reported_as_configured() {
    let usages = |report, body: &Value| {
        let response = post(|config| config.output.usage = report, "/v1/chat/completions", body);
        response.events().iter().filter(|e| e["usage"].is_object()).count()
    };
    let mut unasked = chat(3);
    unasked["stream_options"] = Value::Null;
    assert_eq!(usages(UsageReport::OnRequest, &chat(3)), 1);
    assert_eq!(usages(UsageReport::OnRequest, &unasked), 0);
    assert_eq!(usages(UsageReport::Always, &unasked), 1);
    assert_eq!(usages(UsageReport::WithFinish, &unasked), 1);
    assert_eq!(usages(UsageReport::Never, &chat(3)), 0);
    let mut continuous = chat(3);
    continuous["stream_options"]["continuous_usage_stats"] = true.into();
    let response = post(|_| {}, "/v1/chat/completions", &continuous);
    let counts: Vec<u64> =
        response.events().iter().filter_map(|e| e["usage"]["completion_tokens"].as_u64()).collect();
    assert_eq!(counts, [0, 1, 2, 3, 3, 3]);
}

#[test]
fn the_number_of_tokens_follows_request_configuration_or_neither() {
    let tokens = |change: fn(&mut tokmeter_sim::SimConfig), body: &Value| {
        let response = post(change, "/v1/chat/completions", body);
        let finish = response
            .events()
            .iter()
            .find_map(|e| e["choices"][0]["finish_reason"].as_str().map(str::to_owned));
        (words(&response.content()), finish.expect("a finish reason"))
    };
    let drawn = |config: &mut tokmeter_sim::SimConfig| {
        config.output.tokens = OutputTokens::Drawn(Distribution::constant(7.0))
    };
    let deaf = |config: &mut tokmeter_sim::SimConfig| config.output.honour_max_tokens = false;
    let mut unlimited = chat(1);
    unlimited["max_completion_tokens"] = Value::Null;
    assert_eq!(tokens(|_| {}, &chat(5)), (5, "length".to_owned()));
    assert_eq!(tokens(|_| {}, &unlimited), (16, "stop".to_owned()));
    assert_eq!(tokens(drawn, &chat(9)), (7, "stop".to_owned()));
    assert_eq!(tokens(drawn, &chat(3)), (3, "length".to_owned()));
    assert_eq!(tokens(deaf, &chat(3)), (16, "stop".to_owned()));
}

#[test]
fn an_answer_has_a_longest_length() {
    let mut body = chat(4_000_000_000);
    body["stream"] = false.into();
    let response = post(|config| config.output.most_tokens = 50, "/v1/chat/completions", &body);
    assert_eq!(response.json()["usage"]["completion_tokens"], 50);
    assert_eq!(response.json()["choices"][0]["finish_reason"], "stop");
}

#[test]
fn event_lines_can_be_left_out() {
    let body = json!({"model": "m", "input": "a", "max_output_tokens": 2, "stream": true});
    let named = post(|_| {}, "/v1/responses", &body);
    let unnamed = post(|config| config.wire.no_event_lines = true, "/v1/responses", &body);
    assert!(named.text().contains("event: response.created\n") && !unnamed.text().contains("event:"));
    assert_eq!(named.events().len(), unnamed.events().len());
}

#[test]
fn the_finish_reason_can_come_with_the_last_token() {
    let response =
        post(|config| config.output.finish_with_last_token = true, "/v1/chat/completions", &chat(3));
    let events = response.events();
    assert_eq!(events.len(), 1 + 3 + 1);
    assert_eq!(events[3]["choices"][0]["finish_reason"], "length");
    assert!(events[3]["choices"][0]["delta"]["content"].is_string());
}

#[test]
fn models_health_and_the_rest_answer() {
    let sim = start(|config| config.models = vec!["one".to_owned(), "two \"quoted\"".to_owned()]);
    let mut client = Client::connect(&sim);
    assert_eq!(client.get("/health").status, 200);
    assert_eq!(client.get("/v1/models?limit=2").json()["data"][1]["id"], "two \"quoted\"");
    assert_eq!(client.get("/nowhere").status, 404);
    assert_eq!(client.post("/v1/nope", "", &json!({})).status, 404);
    assert_eq!(client.get("/v1/chat/completions").status, 404);
    let mut unnamed = chat(1);
    unnamed["model"] = Value::Null;
    assert_eq!(client.post("/v1/chat/completions", "", &unnamed).events()[0]["model"], "one");
    assert!(
        sim.wait_for_log(1, crate::client::PATIENCE).expect("logged").len() == 1,
        "only inference is logged"
    );
}
