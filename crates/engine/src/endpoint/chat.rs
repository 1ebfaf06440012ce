//! OpenAI chat completions, as vLLM, SGLang, llama.cpp, Dynamo, TGI and others speak it.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::body::{BodyInput, BodyWriter};
use super::conversation::{self, Dialect};
use super::reading::{Reading, Shape};
use super::usage::WireUsage;
use super::wire::{Few, Number, Text};

/// Keys in AIPerf's order: `messages`, `model`, `stream`, the limit, the user's, `stream_options`.
pub(super) fn body(input: &BodyInput<'_>) -> Vec<u8> {
    let mut body = BodyWriter::new(input, conversation::size(input));
    body.field("messages", |out| conversation::write(out, input, Dialect::Chat));
    body.model_and_stream();
    body.output_limit(if input.legacy_max_tokens { "max_tokens" } else { "max_completion_tokens" });
    body.stream_options();
    body.finish()
}

/// An event of a stream, or a whole answer: they differ in `delta` and `message`.
#[derive(Deserialize)]
struct ChatMessage<'a> {
    #[serde(borrow, default)]
    choices: Few<Choice<'a>>,
    #[serde(default)]
    usage: Option<WireUsage>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
    #[serde(borrow, default)]
    object: Text<'a>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(default)]
    index: Number,
    #[serde(borrow, default)]
    delta: Option<Content<'a>>,
    #[serde(borrow, default)]
    message: Option<Content<'a>>,
    #[serde(borrow, default)]
    finish_reason: Text<'a>,
}

#[derive(Deserialize)]
struct Content<'a> {
    #[serde(borrow, default)]
    content: Text<'a>,
    #[serde(borrow, default)]
    reasoning_content: Text<'a>,
    #[serde(borrow, default)]
    reasoning: Text<'a>,
    #[serde(borrow, default)]
    refusal: Text<'a>,
    #[serde(borrow, default)]
    tool_calls: Few<ToolCall<'a>>,
    #[serde(borrow, default)]
    function_call: Option<Function<'a>>,
}

#[derive(Deserialize)]
struct ToolCall<'a> {
    #[serde(borrow, default)]
    function: Option<Function<'a>>,
}

#[derive(Deserialize)]
struct Function<'a> {
    #[serde(borrow, default)]
    name: Text<'a>,
    #[serde(borrow, default)]
    arguments: Text<'a>,
}

pub(super) fn read(text: &str, reading: &mut Reading) -> Result<Shape, serde_json::Error> {
    let message: ChatMessage<'_> = serde_json::from_str(text)?;
    if is_error(message.error, &message.object) {
        reading.error_event(text);
        return Ok(Shape::Known);
    }
    for choice in message.choices.iter() {
        let index = choice_index(choice.index);
        for part in [&choice.delta, &choice.message].into_iter().flatten() {
            part.report(index, reading);
        }
        reading.choice(index, choice.finish_reason.get());
    }
    if let Some(usage) = &message.usage {
        reading.usage(usage);
    }
    Ok(if message.choices.present || message.usage.is_some() { Shape::Known } else { Shape::Unknown })
}

/// `{"error":{…}}`, `{"error":"…"}` or a flat `{"object":"error",…}`.
pub(super) fn is_error(error: Option<&RawValue>, object: &Text<'_>) -> bool {
    let empty = |raw: &RawValue| matches!(raw.get(), "null" | "{}" | "\"\"" | "false");
    error.is_some_and(|raw| !empty(raw)) || object.as_str() == "error"
}

/// A missing index means the first choice.
pub(super) fn choice_index(index: Number) -> usize {
    index.count().and_then(|index| usize::try_from(index).ok()).unwrap_or(0)
}

impl Content<'_> {
    fn report(&self, index: usize, reading: &mut Reading) {
        // Some servers send both names with the same text.
        let reasoning = self.reasoning_content.get().or_else(|| self.reasoning.get());
        if let Some(text) = reasoning {
            reading.reasoning(text);
        }
        reading.content(index, self.content.as_str());
        reading.content(index, self.refusal.as_str());
        let calls = self.tool_calls.iter().filter_map(|call| call.function.as_ref());
        for function in calls.chain(&self.function_call) {
            reading.tool_call(function.name.as_str());
            reading.tool_call(function.arguments.as_str());
        }
    }
}
