//! OpenAI Responses: typed events that end with `response.completed`, `.incomplete` or `.failed`.
//!
//! The type is read from the data, because not every server writes `event:` lines. `[DONE]` may follow or not.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::body::{BodyInput, BodyWriter, write_string};
use super::chat::is_error;
use super::conversation::{self, Dialect};
use super::reading::{Reading, Shape};
use super::usage::WireUsage;
use super::wire::{Few, Text};

/// Keys in AIPerf's order: `input`, `model`, `stream`, `instructions`, `max_output_tokens`, the user's.
/// Usage needs no asking: it is part of the final event.
pub(super) fn body(input: &BodyInput<'_>) -> Vec<u8> {
    let mut body = BodyWriter::new(input, conversation::size(input));
    body.field("input", |out| conversation::write(out, input, Dialect::Responses));
    body.model_and_stream();
    if let Some(system) = &input.session.system {
        body.field("instructions", |out| write_string(out, system));
    }
    body.output_limit("max_output_tokens");
    body.finish()
}

/// An event of a stream, or a whole answer (which has the fields of `response` at the top).
#[derive(Deserialize)]
struct Message<'a> {
    #[serde(rename = "type", borrow, default)]
    kind: Text<'a>,
    #[serde(borrow, default)]
    delta: Text<'a>,
    #[serde(borrow, default)]
    item: Option<Item<'a>>,
    #[serde(borrow, default)]
    response: Option<Answer<'a>>,
    #[serde(borrow, default)]
    object: Text<'a>,
    #[serde(borrow, default)]
    output: Few<Item<'a>>,
    #[serde(borrow, default)]
    status: Text<'a>,
    #[serde(borrow, default)]
    incomplete_details: Option<Incomplete<'a>>,
    #[serde(default)]
    usage: Option<WireUsage>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow, default)]
    output: Few<Item<'a>>,
    #[serde(borrow, default)]
    status: Text<'a>,
    #[serde(borrow, default)]
    incomplete_details: Option<Incomplete<'a>>,
    #[serde(default)]
    usage: Option<WireUsage>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Incomplete<'a> {
    #[serde(borrow, default)]
    reason: Text<'a>,
}

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(rename = "type", borrow, default)]
    kind: Text<'a>,
    #[serde(borrow, default)]
    content: Text<'a>,
    #[serde(borrow, default)]
    summary: Text<'a>,
    #[serde(borrow, default)]
    name: Text<'a>,
    #[serde(borrow, default)]
    arguments: Text<'a>,
    #[serde(borrow, default)]
    input: Text<'a>,
}

pub(super) fn read(text: &str, reading: &mut Reading) -> Result<Shape, serde_json::Error> {
    let message: Message<'_> = serde_json::from_str(text)?;
    let delta = message.delta.as_str();
    match message.kind.as_str() {
        "response.output_text.delta" | "response.refusal.delta" => {
            reading.choice(0, None);
            reading.content(0, delta);
        }
        "response.reasoning_text.delta"
        | "response.reasoning_summary_text.delta"
        | "response.reasoning_summary.delta"
        | "response.reasoning.delta" => reading.reasoning(delta),
        "response.function_call_arguments.delta"
        | "response.custom_tool_call_input.delta"
        | "response.mcp_call_arguments.delta"
        | "response.code_interpreter_call_code.delta" => reading.tool_call(delta),
        // The name of a call comes here; texts and arguments follow as deltas.
        "response.output_item.added" => {
            if let Some(item) = message.item.filter(|item| item.kind.as_str().ends_with("_call")) {
                reading.tool_call(item.name.as_str());
            }
        }
        "response.completed" | "response.incomplete" | "response.failed" | "response.cancelled" => {
            let kind = message.kind.as_str().trim_start_matches("response.");
            match &message.response {
                Some(answer) => answer.conclude(kind, text, reading),
                None => reading.choice(0, Some(kind)),
            }
            reading.end();
        }
        "error" => reading.error_event(text),
        "" if message.output.present || message.object.as_str() == "response" => {
            let status = message.status.as_str().to_owned();
            message.into_answer().conclude(&status, text, reading);
        }
        kind if kind.starts_with("response.") => {}
        _ if is_error(message.error, &message.object) => reading.error_event(text),
        _ => return Ok(Shape::Unknown),
    }
    Ok(Shape::Known)
}

impl<'a> Message<'a> {
    fn into_answer(self) -> Answer<'a> {
        Answer {
            output: self.output,
            status: self.status,
            incomplete_details: self.incomplete_details,
            usage: self.usage,
            error: self.error,
        }
    }
}

impl Answer<'_> {
    /// `kind` is how the event (or the status of a whole answer) names the end.
    fn conclude(&self, kind: &str, text: &str, reading: &mut Reading) {
        if let Some(usage) = &self.usage {
            reading.usage(usage);
        }
        // A whole answer, or a stream whose server sends no deltas.
        if !reading.has_content() {
            self.output.iter().for_each(|item| item.report(reading));
        }
        if is_error(self.error, &Text::default()) {
            reading.error_event(text);
        }
        let reason = self.incomplete_details.as_ref().and_then(|details| details.reason.get());
        let ended = matches!(kind, "completed" | "incomplete" | "failed" | "cancelled");
        if ended {
            // vLLM calls an answer cut by its limit completed, and says so in the status only.
            reading.choice(0, reason.or_else(|| self.status.get()).or(Some(kind)));
        }
    }
}

impl Item<'_> {
    fn report(&self, reading: &mut Reading) {
        match self.kind.as_str() {
            "reasoning" => {
                reading.reasoning(self.content.get().unwrap_or_else(|| self.summary.as_str()));
            }
            kind if kind.ends_with("_call") => {
                reading.tool_call(self.name.as_str());
                reading.tool_call(self.arguments.as_str());
                reading.tool_call(self.input.as_str());
            }
            _ => reading.content(0, self.content.as_str()),
        }
    }
}
