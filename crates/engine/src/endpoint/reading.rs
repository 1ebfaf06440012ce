//! An answer while it is read: what the APIs report piece by piece, and the verdict at the end.

use tokmeter_record::{ErrorClass, MonoNs};

use super::errors::{error_in_body, stream_error, unusable};
use super::usage::WireUsage;
use super::{Delta, DeltaKind, Reply, ReplyError};

/// Choices told apart; what a server numbers higher counts for the last one.
const MAX_CHOICES: usize = 128;

/// Finish reasons by which a server gives up: vLLM and SGLang (shutdown, engine loss), OpenRouter, Responses.
const GIVEN_UP: [&str; 4] = ["abort", "error", "cancelled", "failed"];

/// Whether a message of the answer had the shape its API promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// Yes, or it was an error object.
    Known,
    /// No. Harmless inside a stream, where servers add events of their own.
    Unknown,
}

/// Collects one reply. Texts are kept only when asked for.
#[derive(Debug, Default)]
pub(super) struct Reading {
    reply: Reply,
    keep_text: bool,
    streamed: bool,
    /// Finished or not, for each choice seen.
    choices: Vec<bool>,
    event: Event,
    usage: Option<WireUsage>,
    /// The event being read is not the first of its read.
    read_is_shared: bool,
}

/// What the event being read has brought so far.
#[derive(Debug, Default)]
struct Event {
    at: MonoNs,
    kind: Option<DeltaKind>,
    bytes: usize,
    completion: Option<u32>,
    /// The only text so far.
    only_text: Option<TextPiece>,
    /// It did more than bring that one text.
    more: bool,
}

/// A text that an event brought, by its place in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TextPiece {
    pub kind: DeltaKind,
    pub choice: usize,
    pub address: usize,
    pub length: usize,
}

impl Reading {
    /// Starts reading a stream (`streamed`) or a document.
    pub fn new(keep_text: bool, streamed: bool, expected_events: usize) -> Self {
        let reply =
            Reply { deltas: Vec::with_capacity(expected_events.min(4096)), streamed, ..Reply::default() };
        Reading { reply, keep_text, streamed, ..Self::default() }
    }

    /// Whether the answer is a stream.
    pub fn is_stream(&self) -> bool {
        self.streamed
    }

    /// Begins an event (or the body of an answer that is no stream).
    pub fn begin(&mut self, at: MonoNs, coalesced: bool) {
        self.event = Event { at, ..Event::default() };
        self.reply.events += 1;
        self.reply.coalesced_events += u32::from(coalesced);
        // Counted once, with the second event of the read.
        self.reply.coalesced_reads += u32::from(coalesced && !self.read_is_shared);
        self.read_is_shared = coalesced;
    }

    /// Ends it: an event with content becomes a delta.
    pub fn commit(&mut self) {
        if let Some(kind) = self.event.kind.take() {
            self.reply.deltas.push(Delta {
                at: self.event.at,
                kind,
                text_bytes: u32::try_from(self.event.bytes).unwrap_or(u32::MAX),
                completion_tokens_so_far: self.event.completion,
            });
        }
    }

    /// The text of the event being read, if it brought this one text and did nothing else.
    pub fn only_text(&self) -> Option<TextPiece> {
        self.event.only_text.filter(|_| !self.event.more)
    }

    /// Answer text of a choice.
    pub fn content(&mut self, choice: usize, text: &str) {
        self.text(DeltaKind::Content, choice, text);
    }

    /// Reasoning text.
    pub fn reasoning(&mut self, text: &str) {
        self.text(DeltaKind::Reasoning, 0, text);
    }

    /// A tool call's name or arguments.
    pub fn tool_call(&mut self, text: &str) {
        self.text(DeltaKind::ToolCall, 0, text);
    }

    /// Text of any kind.
    pub fn text(&mut self, kind: DeltaKind, choice: usize, text: &str) {
        if text.is_empty() {
            return;
        }
        let piece = TextPiece { kind, choice, address: text.as_ptr().addr(), length: text.len() };
        self.event.more |= self.event.only_text.replace(piece).is_some();
        self.brought(kind, text.len());
        if self.keep_text {
            self.kept(kind, choice.min(MAX_CHOICES - 1)).push_str(text);
        }
    }

    /// Where texts of a kind are kept.
    fn kept(&mut self, kind: DeltaKind, choice: usize) -> &mut String {
        let reply = &mut self.reply;
        match (kind, choice) {
            (DeltaKind::Reasoning, _) => &mut reply.reasoning,
            (DeltaKind::ToolCall, _) => &mut reply.tool_calls,
            (DeltaKind::Content, 0) => &mut reply.content,
            (DeltaKind::Content, choice) => {
                if reply.more_choices.len() < choice {
                    reply.more_choices.resize(choice, String::new());
                }
                &mut reply.more_choices[choice - 1]
            }
        }
    }

    /// Content that is no text (vectors, scores).
    pub fn values(&mut self) {
        self.event.more = true;
        self.brought(DeltaKind::Content, 0);
    }

    fn brought(&mut self, kind: DeltaKind, bytes: usize) {
        self.event.bytes += bytes;
        let rank = |kind| match kind {
            DeltaKind::Reasoning => 0,
            DeltaKind::Content => 1,
            DeltaKind::ToolCall => 2,
        };
        if self.event.kind.is_none_or(|known| rank(kind) < rank(known)) {
            self.event.kind = Some(kind);
        }
    }

    /// Whether any event so far had content.
    pub fn has_content(&self) -> bool {
        !self.reply.deltas.is_empty() || self.event.kind.is_some()
    }

    /// Token counts; the last object of an answer wins.
    pub fn usage(&mut self, usage: &WireUsage) {
        self.event.more = true;
        self.event.completion = usage.completion().and_then(|tokens| u32::try_from(tokens).ok());
        self.usage = Some(*usage);
    }

    /// Token counts that add to earlier ones.
    pub fn usage_update(&mut self, usage: &WireUsage) {
        self.event.more = true;
        let merged = self.usage.map_or(*usage, |earlier| earlier.updated_by(usage));
        self.usage = Some(merged);
    }

    /// A choice was seen; with a reason: it is finished.
    pub fn choice(&mut self, choice: usize, finish_reason: Option<&str>) {
        let choice = choice.min(MAX_CHOICES - 1);
        if self.choices.len() <= choice {
            self.choices.resize(choice + 1, false);
        }
        let Some(reason) = finish_reason else { return };
        self.event.more = true;
        self.choices[choice] = true;
        if choice == 0 || self.reply.finish_reason.is_none() {
            self.reply.finish_reason = Some(reason.to_owned());
        }
        if GIVEN_UP.contains(&reason) {
            let message = format!("the server gave up on the answer: finish reason '{reason}'");
            self.fail(unusable(ErrorClass::Aborted, message));
        }
    }

    /// The API's own end event.
    pub fn end(&mut self) {
        self.event.more = true;
        self.choices.iter_mut().for_each(|finished| *finished = true);
        self.reply.finished = true;
    }

    /// `[DONE]`.
    pub fn done_marker(&mut self) {
        self.reply.done_marker = true;
    }

    /// An error object in place of an answer, as it came.
    pub fn error_event(&mut self, text: &str) {
        self.fail(if self.streamed { stream_error(text) } else { error_in_body(text) });
    }

    /// A failure; the gravest is kept, the first of equal ones.
    pub fn fail(&mut self, error: ReplyError) {
        self.event.more = true;
        let rank = |class| match class {
            ErrorClass::HttpStatus => 4,
            ErrorClass::StreamError => 3,
            ErrorClass::Aborted => 2,
            ErrorClass::InvalidResponse => 1,
            _ => 0,
        };
        if self.reply.error.as_ref().is_none_or(|known| rank(error.class) > rank(known.class)) {
            self.reply.error = Some(error);
        }
    }

    /// The reply of a stream, judged: an end and some content, or a failure.
    pub fn finish_stream(mut self, comments: u64, must_announce_end: bool, cut: bool) -> Reply {
        self.reply.comments = u32::try_from(comments).unwrap_or(u32::MAX);
        self.settle();
        let reply = &mut self.reply;
        reply.ended = reply.finished || reply.done_marker;
        let events = reply.events;
        if events > 0 && (cut || (must_announce_end && !reply.ended)) {
            let how =
                if cut { "in the middle of an event" } else { "without finish reason, end event or [DONE]" };
            let message = format!("the stream ended {how} after {events} events");
            self.fail(unusable(ErrorClass::Truncated, message));
        }
        self.judge_content()
    }

    /// The reply of an answer that is no stream: complete when it was read, judged by its content.
    pub fn finish_body(mut self) -> Reply {
        self.settle();
        self.reply.ended = true;
        self.judge_content()
    }

    fn settle(&mut self) {
        self.reply.usage = self.usage.and_then(|usage| usage.usage());
        if !self.choices.is_empty() {
            self.reply.finished |= self.choices.iter().all(|finished| *finished);
        }
    }

    fn judge_content(mut self) -> Reply {
        if self.reply.deltas.is_empty() {
            let message = match self.reply.events {
                0 => "the answer is empty".to_owned(),
                1 if !self.reply.streamed => "the answer has no content".to_owned(),
                events => format!("no content in {events} events"),
            };
            self.fail(unusable(ErrorClass::EmptyResponse, message));
        }
        self.reply
    }
}
