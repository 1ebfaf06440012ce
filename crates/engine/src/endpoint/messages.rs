//! Anthropic Messages: content blocks that start, grow and stop; token counts in two parts.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::body::{BodyInput, BodyWriter, write_number, write_string};
use super::conversation::{self, Dialect};
use super::reading::{Reading, Shape};
use super::usage::WireUsage;
use super::wire::{Few, Text};

/// The API demands a limit; AIPerf sends this one when the turn has none.
const DEFAULT_MAX_TOKENS: u32 = 1024;

/// Keys in AIPerf's order: `model`, `messages`, `max_tokens`, `stream` (only when true), `system`, the user's.
pub(super) fn body(input: &BodyInput<'_>) -> Vec<u8> {
    let mut body = BodyWriter::new(input, conversation::size(input));
    body.string("model", input.model());
    body.field("messages", |out| conversation::write(out, input, Dialect::Messages));
    let limit = input.turn.output_tokens.unwrap_or(DEFAULT_MAX_TOKENS);
    body.field("max_tokens", |out| write_number(out, limit));
    if input.streaming {
        body.field("stream", |out| out.extend_from_slice(b"true"));
    }
    if let Some(system) = &input.session.system {
        body.field("system", |out| write_string(out, system));
    }
    body.finish()
}

/// An event of a stream, or a whole answer (`"type":"message"`).
#[derive(Deserialize)]
struct Message<'a> {
    #[serde(rename = "type", borrow, default)]
    kind: Text<'a>,
    #[serde(default)]
    message: Option<Start>,
    #[serde(borrow, default)]
    content_block: Option<Block<'a>>,
    #[serde(borrow, default)]
    delta: Option<Delta<'a>>,
    #[serde(default)]
    usage: Option<WireUsage>,
    #[serde(borrow, default)]
    content: Few<Block<'a>>,
    #[serde(borrow, default)]
    stop_reason: Text<'a>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Start {
    #[serde(default)]
    usage: Option<WireUsage>,
}

#[derive(Deserialize)]
struct Block<'a> {
    #[serde(rename = "type", borrow, default)]
    kind: Text<'a>,
    #[serde(borrow, default)]
    text: Text<'a>,
    #[serde(borrow, default)]
    thinking: Text<'a>,
    #[serde(borrow, default)]
    name: Text<'a>,
    #[serde(borrow, default)]
    input: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(borrow, default)]
    text: Text<'a>,
    #[serde(borrow, default)]
    thinking: Text<'a>,
    #[serde(borrow, default)]
    partial_json: Text<'a>,
    #[serde(borrow, default)]
    stop_reason: Text<'a>,
}

pub(super) fn read(text: &str, reading: &mut Reading) -> Result<Shape, serde_json::Error> {
    let message: Message<'_> = serde_json::from_str(text)?;
    match message.kind.as_str() {
        "message_start" => {
            reading.choice(0, None);
            if let Some(usage) = message.message.and_then(|start| start.usage) {
                reading.usage_update(&usage);
            }
        }
        "content_block_start" => {
            if let Some(block) = &message.content_block {
                block.report(reading);
            }
        }
        "content_block_delta" => {
            if let Some(delta) = &message.delta {
                reading.reasoning(delta.thinking.as_str());
                reading.content(0, delta.text.as_str());
                reading.tool_call(delta.partial_json.as_str());
            }
        }
        "message_delta" => {
            reading.choice(0, message.delta.as_ref().and_then(|delta| delta.stop_reason.get()));
            if let Some(usage) = &message.usage {
                reading.usage_update(usage);
            }
        }
        "message_stop" => reading.end(),
        "message" => {
            for block in message.content.iter() {
                block.report(reading);
                if let Some(input) = block.input {
                    reading.tool_call(input.get());
                }
            }
            reading.choice(0, message.stop_reason.get());
            if let Some(usage) = &message.usage {
                reading.usage_update(usage);
            }
        }
        "error" => reading.error_event(text),
        "ping" | "content_block_stop" => {}
        _ if message.error.is_some() => reading.error_event(text),
        _ => return Ok(Shape::Unknown),
    }
    Ok(Shape::Known)
}

impl Block<'_> {
    /// Text, thinking, or the name of a tool; signatures and results of server tools are not generated text.
    fn report(&self, reading: &mut Reading) {
        match self.kind.as_str() {
            "tool_use" | "server_tool_use" => reading.tool_call(self.name.as_str()),
            _ => {
                reading.reasoning(self.thinking.as_str());
                reading.content(0, self.text.as_str());
            }
        }
    }
}
