//! OpenAI text completions: one prompt, a batch of prompts, or token ids.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::body::{BodyInput, BodyWriter, text_size, texts, write_list, write_number, write_string};
use super::chat::{choice_index, is_error};
use super::reading::{Reading, Shape};
use super::usage::WireUsage;
use super::wire::{Few, Number, Text};
use crate::dataset::Prompt;

/// Keys in AIPerf's order: `prompt`, `model`, `stream`, `max_tokens`, the user's, `stream_options`.
/// A single prompt is a plain string: some gateways refuse a list of one.
pub(super) fn body(input: &BodyInput<'_>) -> Vec<u8> {
    let prompt = &input.turn.prompt;
    let mut body = BodyWriter::new(input, text_size(prompt));
    body.field("prompt", |out| match prompt {
        Prompt::TokenIds(ids) => write_list(out, ids.iter(), |out, id| write_number(out, *id)),
        prompt => match texts(prompt) {
            [text] => write_string(out, text),
            texts => write_list(out, texts, |out, text| write_string(out, text)),
        },
    });
    body.model_and_stream();
    body.output_limit("max_tokens");
    body.stream_options();
    body.finish()
}

/// An event of a stream and a whole answer have the same shape.
#[derive(Deserialize)]
struct Completion<'a> {
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
    text: Text<'a>,
    #[serde(borrow, default)]
    finish_reason: Text<'a>,
}

pub(super) fn read(text: &str, reading: &mut Reading) -> Result<Shape, serde_json::Error> {
    let message: Completion<'_> = serde_json::from_str(text)?;
    if is_error(message.error, &message.object) {
        reading.error_event(text);
        return Ok(Shape::Known);
    }
    for choice in message.choices.iter() {
        let index = choice_index(choice.index);
        reading.content(index, choice.text.as_str());
        reading.choice(index, choice.finish_reason.get());
    }
    if let Some(usage) = &message.usage {
        reading.usage(usage);
    }
    Ok(if message.choices.present || message.usage.is_some() { Shape::Known } else { Shape::Unknown })
}
