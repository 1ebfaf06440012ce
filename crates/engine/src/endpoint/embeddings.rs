//! OpenAI embeddings, as vLLM, SGLang, Dynamo, TEI and NIM speak them.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::body::{BodyInput, BodyWriter, text_size, texts, write_list, write_number, write_string};
use super::chat::is_error;
use super::reading::{Reading, Shape};
use super::usage::WireUsage;
use super::wire::{Few, Number, Text};
use crate::dataset::Prompt;

/// Keys in AIPerf's order: `model`, `input` (always a list), the user's.
pub(super) fn body(input: &BodyInput<'_>) -> Vec<u8> {
    let prompt = &input.turn.prompt;
    let mut body = BodyWriter::new(input, text_size(prompt));
    body.string("model", input.model());
    body.field("input", |out| match prompt {
        Prompt::TokenIds(ids) => {
            write_list(out, [ids], |out, ids| {
                write_list(out, ids.iter(), |out, id| write_number(out, *id));
            });
        }
        prompt => write_list(out, texts(prompt), |out, text| write_string(out, text)),
    });
    body.finish()
}

#[derive(Deserialize)]
struct Embeddings<'a> {
    #[serde(default)]
    data: Few<Item>,
    #[serde(default)]
    usage: Option<WireUsage>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
    #[serde(borrow, default)]
    object: Text<'a>,
}

#[derive(Deserialize)]
struct Item {
    #[serde(default)]
    embedding: Vector,
}

/// A vector that is only looked at: numbers, or base64 text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Vector {
    filled: bool,
}

impl<'de> Deserialize<'de> for Vector {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Look;
        impl<'de> Visitor<'de> for Look {
            type Value = Vector;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a vector of numbers or its base64 text")
            }

            fn visit_str<E>(self, base64: &str) -> Result<Vector, E> {
                Ok(Vector { filled: !base64.is_empty() })
            }

            fn visit_unit<E>(self) -> Result<Vector, E> {
                Ok(Vector::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut numbers: A) -> Result<Vector, A::Error> {
                let first = numbers.next_element::<Number>()?;
                while numbers.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Vector { filled: first.is_some_and(|number| number.0.is_some()) })
            }
        }
        deserializer.deserialize_any(Look)
    }
}

pub(super) fn read(text: &str, reading: &mut Reading) -> Result<Shape, serde_json::Error> {
    let answer: Embeddings<'_> = serde_json::from_str(text)?;
    if is_error(answer.error, &answer.object) {
        reading.error_event(text);
        return Ok(Shape::Known);
    }
    if let Some(usage) = &answer.usage {
        reading.usage(usage);
    }
    if !answer.data.present || !answer.data.iter().all(|item| item.embedding.filled) {
        return Ok(Shape::Unknown);
    }
    if answer.data.iter().next().is_some() {
        reading.values();
    }
    Ok(Shape::Known)
}
