//! A request body of the user's own, with placeholders.
//!
//! `{"prompt": {{ text }}, "n": 1}`. A placeholder outside quotes becomes a JSON value, inside quotes the same
//! text without its quotes; `{{ texts|tojson }}` is the same as `{{ texts }}`, so that AIPerf's templates work.
//! Values are always escaped, hence a template that is valid JSON once is valid JSON for every turn, and
//! that is checked before the run. Loops and conditions are not offered.

use std::str::FromStr;

use serde_json::{Map, Value};

use super::body::{BodyInput, write_value};
use crate::dataset::Prompt;

/// A template by name, as AIPerf has it: NVIDIA's question-answering retrievers.
const NAMED: [(&str, &str); 1] = [("nv-embedqa", "{\"text\": {{ texts|tojson }}}")];

/// A compiled template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Literal(String),
    /// A placeholder; quoted: inside a JSON string.
    Slot {
        slot: Slot,
        quoted: bool,
    },
}

/// What a placeholder stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slot {
    Text,
    Texts,
    Image,
    Images,
    Query,
    Queries,
    Passage,
    Passages,
    Model,
    MaxTokens,
    Stream,
    System,
}

const SLOTS: [(&str, Slot); 12] = [
    ("text", Slot::Text),
    ("texts", Slot::Texts),
    ("image", Slot::Image),
    ("images", Slot::Images),
    ("query", Slot::Query),
    ("queries", Slot::Queries),
    ("passage", Slot::Passage),
    ("passages", Slot::Passages),
    ("model", Slot::Model),
    ("max_tokens", Slot::MaxTokens),
    ("stream", Slot::Stream),
    ("system", Slot::System),
];

/// Why a template cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// `{{` without `}}`.
    #[error("line {line}: placeholder is not closed")]
    Unclosed {
        /// Line of the template, from 1.
        line: usize,
    },
    /// A name or filter we do not have.
    #[error("line {line}: unknown placeholder '{name}'; known are {}", slot_names())]
    Unknown {
        /// What stands between the braces.
        name: String,
        /// Line of the template, from 1.
        line: usize,
    },
    /// A list inside quotes.
    #[error("line {line}: '{name}' is a list and cannot stand inside quotes")]
    ListInQuotes {
        /// The placeholder.
        name: String,
        /// Line of the template, from 1.
        line: usize,
    },
    /// `{% … %}`.
    #[error("line {line}: statements ({{% ... %}}) are not supported, only placeholders")]
    Statement {
        /// Line of the template, from 1.
        line: usize,
    },
    /// The filled template is not JSON.
    #[error("filled with sample values it is not valid JSON: {reason}")]
    NotJson {
        /// What the JSON parser said.
        reason: String,
    },
}

fn slot_names() -> String {
    SLOTS.map(|(name, _)| name).join(", ")
}

impl FromStr for Template {
    type Err = TemplateError;

    /// Compiles a template, or finds one by its name.
    fn from_str(source: &str) -> Result<Self, TemplateError> {
        let named = NAMED.iter().find(|(name, _)| *name == source.trim());
        let template = Template::compile(named.map_or(source, |(_, body)| body))?;
        let sample = template.fill(|slot| match slot {
            slot if slot.is_list() => Value::Array(vec![Value::String("a\"\\b".to_owned())]),
            Slot::MaxTokens => Value::from(1),
            Slot::Stream => Value::Bool(true),
            _ => Value::String("a\"\\b".to_owned()),
        });
        serde_json::from_slice::<Value>(&sample)
            .map_err(|error| TemplateError::NotJson { reason: error.to_string() })?;
        Ok(template)
    }
}

impl Slot {
    fn is_list(self) -> bool {
        matches!(self, Slot::Texts | Slot::Images | Slot::Queries | Slot::Passages)
    }

    fn value(self, input: &BodyInput<'_>) -> Value {
        let (mut texts, mut images, mut queries, mut passages) = (vec![], vec![], vec![], vec![]);
        match &input.turn.prompt {
            Prompt::Texts { texts: own, images: shown } => {
                texts.extend(own.iter().map(|text| Value::from(&**text)));
                images.extend(shown.iter().map(|image| Value::from(&*image.url)));
            }
            Prompt::Ranking { query, passages: own } => {
                queries.push(Value::from(&**query));
                passages.extend(own.iter().map(|passage| Value::from(&**passage)));
                texts = [queries.as_slice(), passages.as_slice()].concat();
            }
            Prompt::TokenIds(_) | Prompt::Body(_) => {}
        }
        let first = |list: Vec<Value>| list.into_iter().next().unwrap_or_default();
        match self {
            Slot::Text => first(texts),
            Slot::Texts => Value::Array(texts),
            Slot::Image => first(images),
            Slot::Images => Value::Array(images),
            Slot::Query => first(queries),
            Slot::Queries => Value::Array(queries),
            Slot::Passage => first(passages),
            Slot::Passages => Value::Array(passages),
            Slot::Model => Value::from(input.model()),
            Slot::MaxTokens => input.turn.output_tokens.map_or(Value::Null, Value::from),
            Slot::Stream => Value::Bool(input.streaming),
            Slot::System => input.session.system.as_deref().map_or(Value::Null, Value::from),
        }
    }
}

impl Template {
    fn compile(source: &str) -> Result<Self, TemplateError> {
        let (mut pieces, mut rest, mut quoted) = (Vec::new(), source, false);
        while let Some(start) = rest.find("{{") {
            let literal = &rest[..start];
            let line = 1 + source[..source.len() - rest.len() + start].matches('\n').count();
            quoted = check_literal(literal, quoted, source, rest)?;
            let (name, after) = rest[start + 2..].split_once("}}").ok_or(TemplateError::Unclosed { line })?;
            pieces.push(Piece::Literal(literal.to_owned()));
            let name = name.trim();
            let bare = name
                .strip_suffix("tojson")
                .map_or(name, |rest| rest.trim_end().strip_suffix('|').map_or(name, str::trim_end));
            let Some((_, slot)) = SLOTS.iter().find(|(known, _)| *known == bare) else {
                return Err(TemplateError::Unknown { name: name.to_owned(), line });
            };
            if quoted && slot.is_list() {
                return Err(TemplateError::ListInQuotes { name: name.to_owned(), line });
            }
            pieces.push(Piece::Slot { slot: *slot, quoted });
            rest = after;
        }
        check_literal(rest, quoted, source, rest)?;
        pieces.push(Piece::Literal(rest.to_owned()));
        Ok(Template { pieces })
    }

    fn fill(&self, value_of: impl Fn(Slot) -> Value) -> Vec<u8> {
        let mut out = Vec::new();
        for piece in &self.pieces {
            match piece {
                Piece::Literal(text) => out.extend_from_slice(text.as_bytes()),
                Piece::Slot { slot, quoted: false } => write_value(&mut out, &value_of(*slot)),
                Piece::Slot { slot, quoted: true } => {
                    let text = match value_of(*slot) {
                        Value::String(text) => text,
                        Value::Null => String::new(),
                        other => other.to_string(),
                    };
                    let start = out.len();
                    write_value(&mut out, &text);
                    // The quotes are the template's.
                    out.pop();
                    out.remove(start);
                }
            }
        }
        out
    }

    /// The body of a turn, with the user's extra fields merged in when it is an object.
    pub(super) fn body(&self, input: &BodyInput<'_>) -> Vec<u8> {
        let filled = self.fill(|slot| slot.value(input));
        if !input.has_extra() {
            return filled;
        }
        let Ok(mut fields) = serde_json::from_slice::<Map<String, Value>>(&filled) else { return filled };
        let of_turn = input.turn.extra.as_deref().into_iter().flatten();
        fields.extend(input.extra.iter().chain(of_turn).map(|(key, value)| (key.clone(), value.clone())));
        let mut merged = Vec::with_capacity(filled.len() + 64);
        write_value(&mut merged, &fields);
        merged
    }
}

/// Whether a JSON string is open after `literal`; refuses statements.
fn check_literal(literal: &str, mut quoted: bool, source: &str, rest: &str) -> Result<bool, TemplateError> {
    if let Some(at) = literal.find("{%") {
        let offset = source.len() - rest.len() + at;
        return Err(TemplateError::Statement { line: 1 + source[..offset].matches('\n').count() });
    }
    let mut escaped = false;
    for byte in literal.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ => {}
        }
    }
    Ok(quoted)
}
