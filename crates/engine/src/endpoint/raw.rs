//! Answers of an API we were not told: the known APIs are recognized, others are searched for text.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use tokmeter_record::ErrorClass;

use super::errors::unusable;
use super::json_path::JsonPath;
use super::reading::{Reading, Shape};
use super::usage::WireUsage;
use super::wire::{Few, Text};
use super::{chat, completions, messages, responses};

/// Keys under which servers put their text, in the order they are tried.
const TEXT_KEYS: [&str; 7] =
    ["text", "content", "response", "output", "result", "generated_text", "text_output"];

/// Just enough to tell the known APIs apart.
#[derive(Deserialize)]
struct Probe<'a> {
    #[serde(rename = "type", borrow, default)]
    kind: Text<'a>,
    #[serde(borrow, default)]
    object: Text<'a>,
    #[serde(default)]
    choices: Few<ProbeChoice>,
}

#[derive(Deserialize)]
struct ProbeChoice {
    #[serde(default)]
    text: Option<IgnoredAny>,
}

/// Reads a message; with a path, the text is what the path leads to and nothing else.
pub(super) fn read(
    text: &str,
    path: Option<&JsonPath>,
    reading: &mut Reading,
) -> Result<Shape, serde_json::Error> {
    if path.is_none()
        && let Ok(probe) = serde_json::from_str::<Probe<'_>>(text)
    {
        let kind = probe.kind.as_str();
        if probe.choices.present {
            let texts = probe.choices.iter().any(|choice| choice.text.is_some());
            return if texts { completions::read(text, reading) } else { chat::read(text, reading) };
        }
        if kind.starts_with("response.") || probe.object.as_str() == "response" {
            return responses::read(text, reading);
        }
        if kind.starts_with("message") || kind.starts_with("content_block_") || kind == "ping" {
            return messages::read(text, reading);
        }
    }
    let value: Value = match serde_json::from_str(text) {
        Ok(value) => value,
        // No JSON was promised: text is as good an answer.
        Err(error) if text.starts_with(['{', '[']) => return Err(error),
        Err(_) => {
            reading.content(0, text);
            return Ok(Shape::Known);
        }
    };
    Ok(read_value(text, &value, path, reading))
}

fn read_value(text: &str, value: &Value, path: Option<&JsonPath>, reading: &mut Reading) -> Shape {
    let given = |key: &str| value.get(key).is_some_and(|error| !error.is_null());
    if given("error") || value.get("object").and_then(Value::as_str) == Some("error") {
        reading.error_event(text);
        return Shape::Known;
    }
    if let Some(usage) = value.get("usage").and_then(|usage| WireUsage::deserialize(usage).ok()) {
        reading.usage(&usage);
    }
    let found = match path {
        Some(path) => {
            let found = path.find(value);
            let any = found.into_iter().fold(false, |any, value| report(value, reading) | any);
            if !any {
                reading.missing(path);
                return Shape::Known;
            }
            any
        }
        None => detect(value, reading),
    };
    if let Some(reason) = finish_reason(value) {
        reading.choice(0, Some(&reason));
        return Shape::Known;
    }
    if found { Shape::Known } else { Shape::Unknown }
}

/// Vectors and rankings first, because their objects may hold texts too.
fn detect(value: &Value, reading: &mut Reading) -> bool {
    let object = match value {
        Value::Object(object) => object,
        // `[{"generated_text":…}]`; a list of other objects is a ranking.
        Value::Array(items) if items.iter().any(Value::is_object) => {
            let found = items.iter().fold(false, |found, item| detect(item, reading) | found);
            return found || report(value, reading);
        }
        _ => return report(value, reading),
    };
    let list =
        |key: &str| object.get(key).filter(|value| value.as_array().is_some_and(|list| !list.is_empty()));
    let vectors = list("data").filter(|data| data[0].get("embedding").is_some());
    let lists = ["embeddings", "embedding", "rankings"].into_iter().find_map(list);
    let results = list("results").filter(|results| results[0].is_object());
    if vectors.or(lists).or(results).is_some() {
        reading.values();
        return true;
    }
    // Text-generation-inference streams `{"token":{"text":…}}`.
    let token = object.get("token").and_then(|token| token.get("text"));
    let texts = token.into_iter().chain(TEXT_KEYS.iter().filter_map(|key| object.get(*key)));
    texts.into_iter().any(|text| report(text, reading))
}

/// A value as content: texts (joined), or numbers and objects, which have no text. False for nothing.
fn report(value: &Value, reading: &mut Reading) -> bool {
    match value {
        Value::String(text) => {
            reading.content(0, text);
            !text.is_empty()
        }
        Value::Array(items) if items.iter().all(Value::is_string) => {
            items.iter().fold(false, |any, item| report(item, reading) | any)
        }
        Value::Array(_) | Value::Number(_) => {
            reading.values();
            true
        }
        Value::Object(_) | Value::Bool(_) | Value::Null => false,
    }
}

/// Ends of streams: TGI's `details.finish_reason`, llama.cpp's `stop`, Ollama's `done`.
fn finish_reason(value: &Value) -> Option<String> {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let flag = |key: &str| value.get(key) == Some(&Value::Bool(true));
    text(value.get("finish_reason"))
        .or_else(|| text(value.get("details").and_then(|details| details.get("finish_reason"))))
        .or_else(|| (flag("stop") || flag("done")).then(|| "stop".to_owned()))
}

impl Reading {
    /// A document without anything at the user's path cannot be used; an event of a stream may lack it.
    fn missing(&mut self, path: &JsonPath) {
        if !self.is_stream() {
            self.fail(unusable(ErrorClass::InvalidResponse, format!("the answer has no text at {path}")));
        }
    }
}
