//! What a request body is made from, and the JSON writer that all endpoints share.
//!
//! A body is written straight into a byte buffer: no tree is built, because a body is made for every request
//! of a run and prompts are long. Keys come in the order AIPerf writes them, so that `inputs.json` of both
//! tools can be compared line by line.

use std::borrow::Cow;
use std::io::Write;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::EndpointType;
use crate::dataset::{Prompt, Session, Turn};

/// A message of the conversation so far, sent again with the next turn.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// The user message of an earlier turn.
    User {
        /// Index into the session's turns.
        turn: usize,
    },
    /// What the server answered.
    Assistant {
        /// The answer's text.
        content: Arc<str>,
    },
}

/// Everything a body depends on.
#[derive(Clone, Copy, Debug)]
pub struct BodyInput<'a> {
    /// Model name, unless the turn names its own.
    pub model: &'a str,
    /// Whether a stream is asked for.
    pub streaming: bool,
    /// The conversation: system message, user context, and the turns that `history` points to.
    pub session: &'a Session,
    /// The turn to ask.
    pub turn: &'a Turn,
    /// Earlier messages in order; empty for a first turn and for `inputs.json`.
    pub history: &'a [Message],
    /// Chat only: `max_tokens` instead of `max_completion_tokens` (`--use-legacy-max-tokens`).
    pub legacy_max_tokens: bool,
    /// Fields merged into every body (`--extra-inputs`); a turn's own fields win over these.
    pub extra: &'a Map<String, Value>,
    /// Ask for token counts at the end of a stream (chat, completions).
    pub include_usage: bool,
    /// Ask for token counts in every event of a stream (`--per-chunk-usage`).
    pub continuous_usage: bool,
}

/// Why a body cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// The data set and the endpoint type do not fit.
    #[error("endpoint type '{endpoint}' cannot send {prompt}")]
    Unsupported {
        /// The endpoint.
        endpoint: EndpointType,
        /// What the turn holds, in words.
        prompt: &'static str,
    },
    /// The template is missing, or gives no JSON for this turn.
    #[error("template: {reason}")]
    Template {
        /// What is wrong.
        reason: String,
    },
}

impl BodyError {
    pub(super) fn unsupported(endpoint: EndpointType, prompt: &Prompt) -> Self {
        let prompt = match prompt {
            Prompt::Texts { images, .. } if !images.is_empty() => "images",
            Prompt::Texts { .. } => "plain texts",
            Prompt::Ranking { .. } => "a query with passages",
            Prompt::TokenIds(_) => "token ids",
            Prompt::Body(_) => "complete bodies",
        };
        BodyError::Unsupported { endpoint, prompt }
    }
}

impl<'a> BodyInput<'a> {
    /// The model this turn asks.
    pub fn model(&self) -> &'a str {
        self.turn.model.as_deref().unwrap_or(self.model)
    }

    /// A field the user merges into this body: the turn's, else the run's.
    fn extra(&self, key: &str) -> Option<&'a Value> {
        let of_turn = self.turn.extra.as_deref().and_then(|extra| extra.get(key));
        of_turn.or_else(|| self.extra.get(key))
    }

    pub(super) fn has_extra(&self) -> bool {
        !self.extra.is_empty() || self.turn.extra.as_ref().is_some_and(|extra| !extra.is_empty())
    }

    /// Whether the body as sent asks for a stream: a merged `stream` field has the last word.
    pub fn streams(&self) -> bool {
        self.extra("stream").and_then(Value::as_bool).unwrap_or(self.streaming)
    }
}

/// A JSON object being written, into which the user's fields are merged.
///
/// A field the user gives takes the place of ours; the user's other fields follow at the end.
pub(super) struct BodyWriter<'a> {
    out: Vec<u8>,
    input: &'a BodyInput<'a>,
    written: Vec<&'static str>,
}

impl<'a> BodyWriter<'a> {
    /// Starts an object; `size` is the expected length in bytes.
    pub fn new(input: &'a BodyInput<'a>, size: usize) -> Self {
        let mut out = Vec::with_capacity(size + 192);
        out.push(b'{');
        BodyWriter { out, input, written: Vec::new() }
    }

    /// Writes a field unless the user gives it: then the user's value is written.
    pub fn field(&mut self, key: &'static str, value: impl FnOnce(&mut Vec<u8>)) {
        match self.input.extra(key) {
            Some(given) => {
                self.key(key);
                write_value(&mut self.out, given);
            }
            None => {
                self.key(key);
                value(&mut self.out);
            }
        }
        self.written.push(key);
    }

    /// Writes a string field.
    pub fn string(&mut self, key: &'static str, value: &str) {
        self.field(key, |out| write_string(out, value));
    }

    /// Writes `model` and `stream`.
    pub fn model_and_stream(&mut self) {
        self.string("model", self.input.model());
        let streaming = self.input.streaming;
        self.field("stream", |out| write_bool(out, streaming));
    }

    /// Writes the field that limits the answer, when the turn has a limit.
    pub fn output_limit(&mut self, key: &'static str) {
        if let Some(limit) = self.input.turn.output_tokens {
            self.field(key, |out| write_number(out, limit));
        }
    }

    /// Writes `stream_options` when the body streams: the user's own keys stay, ours are added.
    /// Servers refuse the field on a request that does not stream.
    pub fn stream_options(&mut self) {
        let given = self.input.extra("stream_options");
        if !self.input.streams() || given.is_some_and(|value| !value.is_object() && !value.is_null()) {
            return;
        }
        let mut options = given.and_then(Value::as_object).cloned().unwrap_or_default();
        if self.input.include_usage {
            options.entry("include_usage").or_insert(Value::Bool(true));
        }
        if self.input.continuous_usage {
            options.entry("continuous_usage_stats").or_insert(Value::Bool(true));
        }
        if options.is_empty() {
            return;
        }
        self.key("stream_options");
        write_value(&mut self.out, &options);
        self.written.push("stream_options");
    }

    /// Writes the user's remaining fields and closes the object.
    pub fn finish(mut self) -> Vec<u8> {
        if self.input.has_extra() {
            let of_turn = self.input.turn.extra.as_deref();
            let run_only = |key: &String| of_turn.is_none_or(|extra| !extra.contains_key(key));
            let fields = (self.input.extra.iter().filter(|(key, _)| run_only(key)))
                .chain(of_turn.into_iter().flatten());
            for (key, value) in fields {
                if !self.written.contains(&key.as_str()) {
                    self.key(key);
                    write_value(&mut self.out, value);
                }
            }
        }
        self.out.push(b'}');
        self.out
    }

    fn key(&mut self, key: &str) {
        if self.out.len() > 1 {
            self.out.push(b',');
        }
        write_string(&mut self.out, key);
        self.out.push(b':');
    }
}

/// Appends a JSON string.
pub(super) fn write_string(out: &mut Vec<u8>, text: &str) {
    write_value(out, text);
}

/// Appends any JSON value.
pub(super) fn write_value(out: &mut Vec<u8>, value: &(impl serde::Serialize + ?Sized)) {
    let written = serde_json::to_writer(out, value);
    debug_assert!(written.is_ok(), "strings and JSON values always serialize into memory");
}

/// Appends `true` or `false`.
pub(super) fn write_bool(out: &mut Vec<u8>, value: bool) {
    out.extend_from_slice(if value { b"true" } else { b"false" });
}

/// Appends a whole number.
pub(super) fn write_number(out: &mut Vec<u8>, value: u32) {
    let written = write!(out, "{value}");
    debug_assert!(written.is_ok(), "a Vec takes every byte");
}

/// Appends `[a,b,…]`.
pub(super) fn write_list<T>(
    out: &mut Vec<u8>,
    items: impl IntoIterator<Item = T>,
    mut item: impl FnMut(&mut Vec<u8>, T),
) {
    out.push(b'[');
    for (i, value) in items.into_iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        item(out, value);
    }
    out.push(b']');
}

/// The plain texts of a prompt; none where it holds something else.
pub(super) fn texts(prompt: &Prompt) -> &[Arc<str>] {
    match prompt {
        Prompt::Texts { texts, .. } => texts,
        _ => &[],
    }
}

/// Length of a prompt's texts in bytes: enough to reserve a buffer.
pub(super) fn text_size(prompt: &Prompt) -> usize {
    match prompt {
        Prompt::Texts { texts, images } => {
            // A sixteenth more for escapes.
            texts.iter().map(|text| text.len() + text.len() / 16 + 32).sum::<usize>()
                + images.iter().map(|image| image.url.len() + 64).sum::<usize>()
        }
        Prompt::Ranking { query, passages } => {
            query.len() + passages.iter().map(|passage| passage.len() + 16).sum::<usize>()
        }
        Prompt::TokenIds(ids) => ids.len() * 7,
        Prompt::Body(body) => body.get().len(),
    }
}

/// A `data:` URL taken apart: media type and base64 text.
pub(super) fn data_url(url: &str) -> Option<(Cow<'_, str>, &str)> {
    let (head, data) = url.strip_prefix("data:")?.split_once(',')?;
    let media_type = head.split(';').next().filter(|name| !name.is_empty()).unwrap_or("image/png");
    Some((Cow::Borrowed(media_type), data))
}

#[cfg(test)]
mod tests;
