//! The APIs that are spoken, and what they share when an answer is rendered.

pub mod chat;
pub mod completions;
pub mod messages;
pub mod responses;
pub mod vectors;

use crate::events::{EventBuf, EventWriter};
use crate::plan::{Plan, TokenKind};
use crate::vocabulary::word;

/// An inference API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Api {
    /// OpenAI `/v1/chat/completions`.
    Chat,
    /// OpenAI `/v1/completions`.
    Completions,
    /// OpenAI `/v1/responses`.
    Responses,
    /// Anthropic `/v1/messages`.
    Messages,
    /// OpenAI `/v1/embeddings`.
    Embeddings,
    /// NVIDIA `/v1/ranking`, Cohere and Jina `/rerank`, `/v1/rerank`, `/v2/rerank`.
    Rankings,
}

impl Api {
    /// The API behind a path.
    pub fn of_path(path: &str) -> Option<Self> {
        Some(match path {
            "/v1/chat/completions" | "/chat/completions" => Self::Chat,
            "/v1/completions" | "/completions" => Self::Completions,
            "/v1/responses" => Self::Responses,
            "/v1/messages" => Self::Messages,
            "/v1/embeddings" => Self::Embeddings,
            "/v1/ranking" | "/rerank" | "/v1/rerank" | "/v2/rerank" => Self::Rankings,
            _ => return None,
        })
    }

    /// Can its answer be a stream?
    pub fn streams(self) -> bool {
        !matches!(self, Self::Embeddings | Self::Rankings)
    }

    /// Do its streams end with `data: [DONE]`?
    pub fn sends_done(self) -> bool {
        matches!(self, Self::Chat | Self::Completions)
    }
}

/// What rendering an event needs.
pub struct Pen<'a> {
    pub plan: &'a Plan,
    /// `{"id":...,"object":...,` of chat and completions events, rendered once per stream.
    pub head: &'a [u8],
    pub writer: &'a mut EventWriter,
    pub buf: &'a mut EventBuf,
    /// Output tokens sent, with the event being rendered.
    pub sent: u32,
    /// Events of the Responses API so far.
    pub sequence: &'a mut u32,
}

impl Pen<'_> {
    /// One event; `payload` gets the plan, the preamble and the output.
    pub fn event(
        &mut self,
        name: Option<&str>,
        tokens: u32,
        payload: impl FnOnce(&Plan, &[u8], &mut Vec<u8>),
    ) {
        let (plan, head) = (self.plan, self.head);
        self.writer.event(self.buf, name, tokens, |out| payload(plan, head, out));
    }
}

/// Formats into a byte vector, which cannot fail.
macro_rules! put {
    ($out:expr, $($arg:tt)*) => {{
        let written = std::io::Write::write_fmt($out, format_args!($($arg)*));
        debug_assert!(written.is_ok());
    }};
}
pub(crate) use put;

/// The words of tokens `first..first + count`, all of one kind; safe inside a JSON string, with
/// the quotes of tool arguments escaped when `escaped`.
pub fn push_words(out: &mut Vec<u8>, plan: &Plan, first: u32, count: u32, escaped: bool) {
    for index in first..first + count {
        let (kind, place) = plan.kind_of(index);
        if kind == TokenKind::Tool && place == 0 {
            out.extend_from_slice(if escaped { br#"{\"query\":\""# } else { br#"{"query":""# });
        }
        if place > 0 {
            out.push(b' ');
        }
        out.extend_from_slice(word(plan.id, index).as_bytes());
        if kind == TokenKind::Tool && place + 1 == plan.tool {
            out.extend_from_slice(if escaped { br#"\"}"# } else { br#""}"# });
        }
    }
}

/// The `usage` object of chat and completions.
pub fn push_usage(out: &mut Vec<u8>, plan: &Plan, completion_tokens: u32) {
    put!(
        out,
        r#"{{"prompt_tokens":{},"total_tokens":{},"completion_tokens":{completion_tokens}"#,
        plan.prompt_tokens,
        u64::from(plan.prompt_tokens) + u64::from(completion_tokens)
    );
    if let Some(cached) = plan.cached_tokens {
        put!(out, r#","prompt_tokens_details":{{"cached_tokens":{cached}}}"#);
    }
    if plan.reasoning > 0 {
        let reasoning = completion_tokens.min(plan.reasoning);
        put!(out, r#","completion_tokens_details":{{"reasoning_tokens":{reasoning}}}"#);
    }
    out.push(b'}');
}

/// Writes decimal digits without the formatting machinery.
pub fn push_number(out: &mut Vec<u8>, number: u64) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    let mut rest = number;
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// An in-band error event as vLLM and Dynamo send it; with `named` after a line `event: error`.
pub fn error_event(pen: &mut Pen<'_>, named: bool) {
    let name = (named || pen.plan.api == Api::Messages).then_some("error");
    pen.event(name, 0, |plan, _, out| {
        let body: &[u8] = match plan.api {
            Api::Messages => {
                br#"{"type":"error","error":{"type":"overloaded_error","message":"the simulated engine stopped"}}"#
            }
            Api::Responses => {
                br#"{"type":"error","code":"server_error","message":"the simulated engine stopped","param":null,"error":{"message":"the simulated engine stopped","code":500}}"#
            }
            _ => {
                br#"{"error":{"message":"the simulated engine stopped","type":"InternalServerError","param":null,"code":500}}"#
            }
        };
        out.extend_from_slice(body);
    });
}
