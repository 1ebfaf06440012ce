//! Why a request failed, as data: a class, a side and a phase, beside the fields AIPerf's files carry.

use serde::{Deserialize, Serialize};

use crate::trace::Phase;

/// Who is answerable for a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// This process or this machine (too many open files, no ephemeral port, a cancellation we asked for).
    Client,
    /// Between the two (name resolution, refused or reset connection, unreachable host, TLS trust).
    Network,
    /// The server answered, but not with a success.
    Server,
}

/// What kind of failure it was. One class for each remedy a reader would try.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorClass {
    /// The host name did not resolve.
    Dns,
    /// Nobody listens at the address.
    ConnectionRefused,
    /// No route, host down, or the connect timed out in the network.
    Unreachable,
    /// The handshake failed: untrusted, expired or mismatching certificate, protocol error.
    Tls,
    /// The peer reset or closed the connection before the response was complete.
    Disconnected,
    /// A kept-alive connection was already closed by the server, and the replacement failed too.
    StaleConnection,
    /// The request did not finish within its time limit.
    Timeout,
    /// Sending could not start within its time limit.
    SendTimeout,
    /// The request was cancelled on purpose (`--request-cancellation-rate`, end of grace period, Ctrl-C).
    Cancelled,
    /// The response broke HTTP's own rules (framing, header, chunk size, content length).
    Protocol,
    /// A limit of ours was reached (header size, line length, decoded size, redirects).
    LimitExceeded,
    /// A status outside 2xx.
    HttpStatus,
    /// An error event inside a stream that had started with 2xx.
    StreamError,
    /// The stream ended without its end: no finish reason, no end event, no `[DONE]`.
    Truncated,
    /// The server gave up on the answer (finish reason `abort`).
    Aborted,
    /// 2xx, but no content at all.
    EmptyResponse,
    /// 2xx, but the body or an event is not what the endpoint promises (no JSON, wrong shape).
    InvalidResponse,
    /// Too many open files or no free port on this machine.
    ClientResources,
    /// Anything else; the message says what.
    Other,
}

/// The `error` object of a record line.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RequestError {
    /// HTTP status, 499 for a cancelled request, 502 for an error inside a stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<i64>,
    /// Short type name. For HTTP errors the reason phrase.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// What happened, for a person. Bounded; never holds a secret.
    pub message: String,
    /// The direct cause, when there is one beneath.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// All causes, outermost first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause_chain: Option<Vec<String>>,
    /// Our classification; absent in files of other tools.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<ErrorClass>,
    /// Who is answerable; absent in files of other tools.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub side: Option<Side>,
    /// The phase of the request in which it failed; absent in files of other tools.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
}

impl RequestError {
    /// Whether the server refused the request because its input exceeds the model's context. Servers say so
    /// in words only; these are the words of vLLM, SGLang, llama.cpp, TensorRT-LLM and the OpenAI API.
    pub fn is_context_overflow(&self) -> bool {
        const WORDS: [&str; 8] = [
            "maximum context length",
            "context_length_exceeded",
            "exceed_context_size",
            "exceeds the available context size",
            "longer than the model's context length",
            "context window",
            "max_model_len",
            "max_seq_len",
        ];
        let client_fault = self.code.is_none_or(|code| (400..500).contains(&code) || code == 502);
        if !client_fault || self.class == Some(ErrorClass::Cancelled) {
            return false;
        }
        let message = self.message.to_ascii_lowercase();
        WORDS.iter().any(|words| message.contains(words))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: i64, message: &str) -> RequestError {
        RequestError {
            code: Some(code),
            kind: None,
            message: message.into(),
            cause: None,
            cause_chain: None,
            class: None,
            side: None,
            phase: None,
        }
    }

    #[test]
    fn context_overflow_is_told_from_other_refusals() {
        for message in [
            "This model's maximum context length is 4096 tokens. However, your prompt contains 4097 tokens",
            "The input (10251 tokens) is longer than the model's context length (4096 tokens).",
            "request (10251 tokens) exceeds the available context size (4096 tokens), try increasing it",
        ] {
            assert!(error(400, message).is_context_overflow(), "{message}");
        }
        assert!(!error(400, "unknown field `foo`").is_context_overflow());
        assert!(!error(500, "maximum context length").is_context_overflow());
    }
}
