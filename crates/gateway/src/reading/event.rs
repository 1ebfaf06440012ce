//! What one event of any OpenAI- or Anthropic-style API says. Fields are taken as raw JSON, so that a server with an
//! odd shape in one of them still has the others read.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::tracker::Usage;

/// What matters of an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// It carries content, reasoning or a tool call.
    pub token: bool,
    /// It says that the answer failed.
    pub error: bool,
    /// It ends the answer: a finish reason, the API's end event or `[DONE]`.
    pub end: bool,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    choices: Option<Vec<Choice<'a>>>,
    #[serde(borrow, default)]
    delta: Option<&'a RawValue>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
    #[serde(borrow, default)]
    message: Option<&'a RawValue>,
    #[serde(borrow, default)]
    response: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow, default)]
    delta: Option<Delta<'a>>,
    #[serde(borrow, default)]
    text: Option<&'a RawValue>,
    #[serde(borrow, default)]
    finish_reason: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    reasoning_content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    reasoning: Option<&'a RawValue>,
    #[serde(borrow, default)]
    refusal: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tool_calls: Option<&'a RawValue>,
    #[serde(borrow, default)]
    function_call: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Inner<'a> {
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
}

impl Facts {
    /// Reads an event of a stream or a whole document. What is no JSON object says nothing.
    pub fn of_event(name: &[u8], data: &[u8], usage: &mut Usage) -> Self {
        let mut facts = Facts { error: name == b"error", ..Facts::default() };
        if data == b"[DONE]" {
            facts.end = true;
            return facts;
        }
        let Ok(message) = serde_json::from_slice::<Message<'_>>(data) else { return facts };
        facts.error |= is_given(message.error);
        for choice in message.choices.iter().flatten() {
            let delta = choice.delta.iter().flat_map(|delta| {
                [
                    delta.content,
                    delta.reasoning_content,
                    delta.reasoning,
                    delta.refusal,
                    delta.tool_calls,
                    delta.function_call,
                ]
            });
            facts.token |= delta.chain([choice.text]).any(is_given);
            if is_given(choice.finish_reason) {
                facts.end = true;
                let reason = choice.finish_reason.map_or("", RawValue::get);
                facts.error |= matches!(reason, "\"abort\"" | "\"error\"");
            }
        }
        if let Some(kind) = message.kind.as_deref() {
            facts.of_type(kind, message.delta);
        }
        for part in [message.message, message.response].into_iter().flatten() {
            if let Ok(Inner { usage: Some(inner) }) = serde_json::from_str(part.get()) {
                take_usage(inner, usage);
            }
        }
        if let Some(own) = message.usage {
            take_usage(own, usage);
        }
        facts
    }

    /// Messages and Responses name what an event is.
    fn of_type(&mut self, kind: &str, delta: Option<&RawValue>) {
        match kind {
            "message_stop" | "response.completed" | "response.incomplete" => self.end = true,
            "error" | "response.failed" | "response.error" => self.error = true,
            "content_block_delta" => self.token = true,
            _ if kind.starts_with("response.") && kind.ends_with(".delta") => self.token |= is_given(delta),
            _ => {}
        }
    }
}

/// Whether a value is there and not empty.
fn is_given(value: Option<&RawValue>) -> bool {
    value.is_some_and(|value| !matches!(value.get(), "null" | "\"\"" | "[]" | "{}" | "false"))
}

/// Takes the counts that are there; those of earlier events stay otherwise.
fn take_usage(raw: &RawValue, usage: &mut Usage) {
    let Ok(value) = serde_json::from_str::<serde_json::Value>(raw.get()) else { return };
    let count = |name: &str| value.get(name).and_then(serde_json::Value::as_u64);
    let detail = |of: &str, name: &str| value.get(of)?.get(name)?.as_u64();
    // Anthropic counts cached tokens beside the input, OpenAI within it; OTel's input is all of them.
    let read = count("cache_read_input_tokens");
    let beside = read.unwrap_or(0).saturating_add(count("cache_creation_input_tokens").unwrap_or(0));
    let input =
        count("prompt_tokens").or_else(|| count("input_tokens").map(|input| input.saturating_add(beside)));
    let set = |place: &mut Option<u64>, found: Option<u64>| *place = found.or(*place);
    set(&mut usage.input, input);
    set(&mut usage.output, count("completion_tokens").or_else(|| count("output_tokens")));
    let cached = detail("prompt_tokens_details", "cached_tokens")
        .or_else(|| detail("input_tokens_details", "cached_tokens"));
    set(&mut usage.cached_input, read.or(cached));
    let reasoning = detail("completion_tokens_details", "reasoning_tokens")
        .or_else(|| detail("output_tokens_details", "reasoning_tokens"));
    set(&mut usage.reasoning, reasoning);
}
