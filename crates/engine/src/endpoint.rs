//! One file for each API: how a body is built and how an answer is read.
//!
//! [`Endpoint::body`] makes the request body of a turn, [`Decoder::decode`] reads an answer into a [`Reply`].
//! Both know nothing of connections and clocks: bytes and stamps in, values out.

mod body;
mod chat;
mod completions;
mod conversation;
mod decode;
mod embeddings;
mod errors;
mod json_path;
mod kind;
mod messages;
mod rankings;
mod raw;
mod reading;
mod responses;
mod template;
mod usage;
mod wire;

pub use body::{BodyError, BodyInput, Message};
pub use decode::{Decoder, ExchangeView};
pub use errors::decode_error;
pub use json_path::{JsonPath, JsonPathError};
pub use kind::{EndpointMetadata, EndpointType, KeyHeader, UnknownEndpointType};
pub use template::{Template, TemplateError};

use std::sync::Arc;

use bytes::Bytes;
use tokmeter_record::{ErrorClass, MonoNs};

use crate::dataset::Prompt;
use reading::{Reading, Shape};

/// An API with its settings: makes request bodies and, through a [`Decoder`], reads answers.
#[derive(Clone, Debug)]
pub struct Endpoint {
    kind: EndpointType,
    template: Option<Arc<Template>>,
    text_path: Option<Arc<JsonPath>>,
}

impl Endpoint {
    /// An endpoint without settings.
    pub fn new(kind: EndpointType) -> Self {
        Endpoint { kind, template: None, text_path: None }
    }

    /// Gives the body template that [`EndpointType::Template`] needs.
    pub fn with_template(mut self, template: Template) -> Self {
        self.template = Some(Arc::new(template));
        self
    }

    /// Says where the text of an answer is ([`EndpointType::Raw`], [`EndpointType::Template`]).
    pub fn with_text_path(mut self, path: JsonPath) -> Self {
        self.text_path = Some(Arc::new(path));
        self
    }

    /// Which API this is.
    pub fn kind(&self) -> EndpointType {
        self.kind
    }

    /// Whether [`Endpoint::body`] can send this prompt.
    ///
    /// # Errors
    /// [`BodyError`] names the endpoint and what it cannot send.
    pub fn accepts(&self, prompt: &Prompt) -> Result<(), BodyError> {
        use EndpointType as E;
        let rankings = matches!(self.kind, E::CohereRankings | E::HfTeiRankings | E::NimRankings);
        let fits = match prompt {
            Prompt::Body(_) => return Ok(()),
            Prompt::Texts { images, .. } => {
                let images_ok = images.is_empty() || self.kind.metadata().supports_images;
                images_ok && !rankings && self.kind != E::Raw
            }
            Prompt::Ranking { .. } => rankings || self.kind == E::Template,
            Prompt::TokenIds(_) => matches!(self.kind, E::Completions | E::Embeddings),
        };
        if fits { Ok(()) } else { Err(BodyError::unsupported(self.kind, prompt)) }
    }

    /// The request body of a turn. A complete body from the data set is sent as it is, to any endpoint.
    ///
    /// # Errors
    /// [`BodyError`] when the endpoint cannot send what the turn holds.
    pub fn body(&self, input: &BodyInput<'_>) -> Result<Bytes, BodyError> {
        use EndpointType as E;
        self.accepts(&input.turn.prompt)?;
        if let Prompt::Body(body) = &input.turn.prompt {
            return Ok(Bytes::copy_from_slice(body.get().as_bytes()));
        }
        let body = match self.kind {
            E::Chat => chat::body(input),
            E::Completions => completions::body(input),
            E::Responses => responses::body(input),
            E::Messages => messages::body(input),
            E::Embeddings => embeddings::body(input),
            E::CohereRankings | E::HfTeiRankings | E::NimRankings => rankings::body(self.kind, input),
            E::Raw => return Err(BodyError::unsupported(self.kind, &input.turn.prompt)),
            E::Template => {
                let missing = || BodyError::Template { reason: "no template is given".to_owned() };
                self.template.as_ref().ok_or_else(missing)?.body(input)
            }
        };
        Ok(Bytes::from(body))
    }

    /// Reads one JSON message of an answer: an event, or a whole document.
    fn read_message(&self, text: &str, reading: &mut Reading) -> Result<Shape, serde_json::Error> {
        match self.kind {
            EndpointType::Chat => chat::read(text, reading),
            EndpointType::Completions => completions::read(text, reading),
            EndpointType::Responses => responses::read(text, reading),
            EndpointType::Messages => messages::read(text, reading),
            EndpointType::Embeddings => embeddings::read(text, reading),
            EndpointType::CohereRankings | EndpointType::HfTeiRankings | EndpointType::NimRankings => {
                rankings::read(self.kind, text, reading)
            }
            EndpointType::Raw | EndpointType::Template => raw::read(text, self.text_path.as_deref(), reading),
        }
    }
}

/// What an event of an answer brought, apart from its instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeltaKind {
    /// Answer text.
    Content,
    /// Reasoning text.
    Reasoning,
    /// Name or arguments of a tool call.
    ToolCall,
}

/// One event with content.
#[derive(Clone, Debug, PartialEq)]
pub struct Delta {
    /// The read that completed the event.
    pub at: MonoNs,
    /// What it brought; of an event with several kinds the first of reasoning, content, tool call.
    pub kind: DeltaKind,
    /// Length of all its text in bytes; 0 for an embedding or a ranking, which have no text.
    pub text_bytes: u32,
    /// Tokens of all events so far, where the server says so in each event (`continuous_usage_stats`).
    pub completion_tokens_so_far: Option<u32>,
}

/// The server's own token counts (last usage object of the answer). Names as in METRICS.md.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Usage {
    /// Prompt tokens, cache reads and writes included.
    pub prompt: Option<i64>,
    /// Completion tokens, reasoning included.
    pub completion: Option<i64>,
    /// Sum.
    pub total: Option<i64>,
    /// Reasoning part of the completion.
    pub reasoning: Option<i64>,
    /// Prompt tokens read from the server's cache.
    pub cache_read: Option<i64>,
    /// Prompt tokens written to the cache.
    pub cache_write: Option<i64>,
    /// Prompt tokens that missed the cache.
    pub cache_miss: Option<i64>,
    /// Audio tokens of the prompt.
    pub prompt_audio: Option<i64>,
    /// Audio tokens of the completion.
    pub completion_audio: Option<i64>,
    /// Accepted predicted tokens.
    pub accepted_prediction: Option<i64>,
    /// Rejected predicted tokens.
    pub rejected_prediction: Option<i64>,
    /// Prompt tokens of tool use.
    pub tool_use_prompt: Option<i64>,
    /// Seconds of audio in the prompt.
    pub prompt_audio_seconds: Option<f64>,
}

/// A failure that the answer itself tells of.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplyError {
    /// What kind of failure.
    pub class: ErrorClass,
    /// Code for the record (HTTP status, 502 for an error event).
    pub code: Option<i64>,
    /// Short type name: the reason phrase of an HTTP error, `SSEResponseError`, `InvalidInferenceResultError`.
    pub kind: Option<String>,
    /// The error body or event as text (bounded), or what was wrong with the answer.
    pub message: String,
    /// The same, read: for people, and for telling one cause from another.
    pub said: Option<ServerError>,
    /// Prompt and answer did not fit the server's context (`context_overflow_count`).
    pub context_overflow: bool,
}

/// What a server's error object says, whatever shape it had. All texts are bounded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerError {
    /// The message.
    pub message: String,
    /// The server's error type.
    pub kind: Option<String>,
    /// The server's error code, a number or a word.
    pub code: Option<String>,
}

/// An answer, read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reply {
    /// Events with content, in order. A non-streaming answer has one.
    pub deltas: Vec<Delta>,
    /// Answer text of the first choice. Texts are empty when the decoder keeps none.
    pub content: String,
    /// Answer texts of the other choices (`n` > 1, or a batch of prompts), by index.
    pub more_choices: Vec<String>,
    /// All reasoning text.
    pub reasoning: String,
    /// All tool-call names and arguments, joined.
    pub tool_calls: String,
    /// The server's token counts.
    pub usage: Option<Usage>,
    /// Finish reason of the first choice.
    pub finish_reason: Option<String>,
    /// Whether every choice was finished by a finish reason or the API's own end event.
    pub finished: bool,
    /// Whether an end was seen: `finished`, or at least `[DONE]`.
    pub ended: bool,
    /// Whether `[DONE]` was seen.
    pub done_marker: bool,
    /// Whether the answer came as a stream of events, asked for or not.
    pub streamed: bool,
    /// Instant of the last byte of any kind.
    pub last_event_at: Option<MonoNs>,
    /// Events that shared their read with an earlier event (their stamp is the last segment's).
    pub coalesced_events: u32,
    /// Reads that held more than one event.
    pub coalesced_reads: u32,
    /// All events, comments excluded; 1 for an answer that is no stream.
    pub events: u32,
    /// Comment lines of the stream (keep-alive pings).
    pub comments: u32,
    /// A failure told by the answer.
    pub error: Option<ReplyError>,
}

impl Reply {
    /// A stream that ended with `[DONE]` while a choice was unfinished: a success, to be counted and warned
    /// about, because one real server cuts streams this way.
    pub fn ended_by_marker_only(&self) -> bool {
        self.done_marker && !self.finished
    }
}
