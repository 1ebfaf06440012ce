//! One file for each API: how a body is built and how an answer is read.

use tokmeter_record::{ErrorClass, MonoNs};

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
    /// What it brought (reasoning before content when one event has both).
    pub kind: DeltaKind,
    /// Length of its text in bytes.
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
    /// Short type name.
    pub kind: Option<String>,
    /// What the server said, bounded.
    pub message: String,
}

/// An answer, read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reply {
    /// Events with content, in order. A non-streaming answer has one.
    pub deltas: Vec<Delta>,
    /// All answer text.
    pub content: String,
    /// All reasoning text.
    pub reasoning: String,
    /// All tool-call names and arguments, joined.
    pub tool_calls: String,
    /// The server's token counts.
    pub usage: Option<Usage>,
    /// Finish reason of the first choice.
    pub finish_reason: Option<String>,
    /// Whether the API's end was seen: finish reason, own end event, or `[DONE]`.
    pub ended: bool,
    /// Whether `[DONE]` was seen.
    pub done_marker: bool,
    /// Instant of the last event or byte of any kind.
    pub last_event_at: Option<MonoNs>,
    /// Events that shared their read with an earlier event (their stamp is the last segment's).
    pub coalesced_events: u32,
    /// All events, comments excluded.
    pub events: u32,
    /// A failure told by the answer.
    pub error: Option<ReplyError>,
}
