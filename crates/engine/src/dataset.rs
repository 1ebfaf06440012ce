//! What is asked of the server: sessions of turns, from a generator or a file.

mod prompt;
mod prose;
mod words;

use std::sync::Arc;
use std::time::Duration;

/// One image part of a chat turn.
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    /// `data:` URL or http(s) URL, as sent.
    pub url: Arc<str>,
}

/// What one turn asks.
#[derive(Clone, Debug)]
pub enum Prompt {
    /// Texts of one user message (more than one with `--batch-size`), with optional images.
    Texts {
        /// Texts.
        texts: Vec<Arc<str>>,
        /// Images of the same message.
        images: Vec<Image>,
    },
    /// A query with passages to rank.
    Ranking {
        /// The query.
        query: Arc<str>,
        /// The passages.
        passages: Vec<Arc<str>>,
    },
    /// Token ids instead of text (completions).
    TokenIds(Arc<[u32]>),
    /// A complete request body, sent as it is (`raw_payload`, `inputs_json`).
    Body(Arc<serde_json::value::RawValue>),
}

/// One request of a session.
#[derive(Clone, Debug)]
pub struct Turn {
    /// What is asked.
    pub prompt: Prompt,
    /// Tokens of the prompt's texts as the dataset's tokenizer counts them, where known.
    pub input_tokens: Option<u32>,
    /// Longest answer asked for, in tokens.
    pub output_tokens: Option<u32>,
    /// Pause between the end of the previous turn and this one.
    pub delay: Duration,
    /// Instant in the trace, relative to its first request (fixed schedule).
    pub at: Option<Duration>,
    /// Model of this turn, when the data names one.
    pub model: Option<Arc<str>>,
    /// Fields merged into the body, when the data has some.
    pub extra: Option<Arc<serde_json::Map<String, serde_json::Value>>>,
}

/// A conversation: one or more turns of one user.
#[derive(Clone, Debug)]
pub struct Session {
    /// `session_id` of `inputs.json`, `conversation_id` of the records.
    pub id: Arc<str>,
    /// System message shared by all turns.
    pub system: Option<Arc<str>>,
    /// First user message put before the turns (user context), if any.
    pub context: Option<Arc<str>>,
    /// The turns, in order. Never empty.
    pub turns: Vec<Turn>,
}
