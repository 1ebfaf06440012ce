//! Faults: what can go wrong, how it is named, and which request it hits.

mod parse;

use rand_chacha::ChaCha8Rng;
use rand_distr::{Bernoulli, Distribution as _};
use serde::{Deserialize, Serialize};

use crate::error_body::Engine;

/// One way to treat a request badly.
///
/// Text form (configuration files, command line, header `X-Sim-Script`): the kebab-case name, with
/// the parameter after a colon: `status:429`, `status:500:sglang`, `reset-mid-stream:3`,
/// `huge-header:10485760`. `after` counts output tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// No fault; in `X-Sim-Script` it switches the configured rules off.
    None,
    /// An HTTP status with the error body of an engine (400, 401, 404, 422, 429, 500, 503).
    Status {
        /// The status.
        code: u16,
        /// Whose body.
        engine: Engine,
    },
    /// Close before the first byte.
    CloseBeforeHeaders,
    /// RST before the first byte.
    ResetBeforeHeaders,
    /// RST in the middle of the response head.
    ResetInHeaders,
    /// RST after some tokens.
    ResetMidStream {
        /// Tokens sent before.
        after: u32,
    },
    /// RST after the last token and before finish reason and end.
    ResetAfterLastToken,
    /// FIN after some tokens, without the last chunk.
    CloseMidStream {
        /// Tokens sent before.
        after: u32,
    },
    /// Never read the request body: the client's sending stalls when the buffers are full
    /// (HTTP/2: when the flow-control window is used up). A client that closes is noticed only by
    /// its RST: a FIN waits behind the unread bytes.
    StallRequest,
    /// Read the request and never answer.
    StallBeforeHeaders,
    /// Stop sending after some tokens, connection open.
    StallMidStream {
        /// Tokens sent before.
        after: u32,
    },
    /// Send the whole response one byte at a time.
    Drip {
        /// Milliseconds between bytes.
        interval_ms: u32,
    },
    /// 200, some tokens, `data: {"error": ...}`, `[DONE]` (vLLM, Dynamo).
    ErrorEvent {
        /// Tokens sent before.
        after: u32,
    },
    /// The same with the line `event: error`.
    NamedErrorEvent {
        /// Tokens sent before.
        after: u32,
    },
    /// The stream ends cleanly after some tokens, without finish reason and end marker.
    Truncate {
        /// Tokens sent before.
        after: u32,
    },
    /// `[DONE]` after some tokens without a finish reason (llama-cpp-python).
    DoneWithoutFinish {
        /// Tokens sent before.
        after: u32,
    },
    /// Finish reason `abort` after some tokens, then usage and `[DONE]` (vLLM on SIGTERM).
    Abort {
        /// Tokens sent before.
        after: u32,
    },
    /// One event after some tokens is cut JSON.
    InvalidJson {
        /// Tokens sent before.
        after: u32,
    },
    /// One event after some tokens is not UTF-8.
    InvalidUtf8 {
        /// Tokens sent before.
        after: u32,
    },
    /// `Content-Length` larger than the body, then FIN.
    ContentLengthLong,
    /// `Content-Length` smaller than the body.
    ContentLengthShort,
    /// A chunk size that is no hexadecimal number after some tokens.
    BadChunkSize {
        /// Tokens sent before.
        after: u32,
    },
    /// A response header of so many bytes.
    HugeHeader {
        /// Its size.
        bytes: u64,
    },
    /// So many response headers.
    ManyHeaders {
        /// How many.
        count: u32,
    },
    /// One `data:` line of so many bytes without an end.
    HugeLine {
        /// Its size.
        bytes: u64,
    },
    /// A gzip body of a few kilobytes that unpacks to so many bytes.
    GzipBomb {
        /// Size unpacked.
        bytes: u64,
    },
    /// A redirect to the same path, for ever.
    Redirect {
        /// 301, 302, 303, 307 or 308.
        code: u16,
    },
    /// 200 with `Content-Length: 0`.
    EmptyOk,
    /// 200 with an HTML body.
    NonJson,
    /// HTTP/2: GOAWAY while the stream runs; the stream itself completes. HTTP/1.1: completes
    /// with `Connection: close`.
    GoAway,
    /// HTTP/2: RST_STREAM after some tokens. HTTP/1.1: as `reset-mid-stream`.
    RstStream {
        /// Tokens sent before.
        after: u32,
    },
}

impl Fault {
    /// After how many tokens a stream is cut or disturbed, for faults inside a stream.
    pub fn after_tokens(&self) -> Option<u32> {
        match *self {
            Self::ResetMidStream { after }
            | Self::CloseMidStream { after }
            | Self::StallMidStream { after }
            | Self::ErrorEvent { after }
            | Self::NamedErrorEvent { after }
            | Self::Truncate { after }
            | Self::DoneWithoutFinish { after }
            | Self::Abort { after }
            | Self::InvalidJson { after }
            | Self::InvalidUtf8 { after }
            | Self::BadChunkSize { after }
            | Self::RstStream { after } => Some(after),
            Self::ResetAfterLastToken => Some(u32::MAX),
            _ => None,
        }
    }
}

/// Which requests a fault hits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRule {
    /// What happens, in text form.
    pub fault: Fault,
    /// Share of requests, drawn per request from the seed. Default 1.
    #[serde(default = "always")]
    pub probability: f64,
    /// Only the inference requests with these ordinals, counted from 1 in order of arrival over
    /// all connections. Default all.
    #[serde(default)]
    pub ordinals: Option<Vec<u64>>,
}

fn always() -> f64 {
    1.0
}

impl FaultRule {
    /// The fault on every request.
    pub fn every(fault: Fault) -> Self {
        Self { fault, probability: 1.0, ordinals: None }
    }

    /// The fault on these requests, counted from 1.
    pub fn at(fault: Fault, ordinals: impl Into<Vec<u64>>) -> Self {
        Self { fault, probability: 1.0, ordinals: Some(ordinals.into()) }
    }

    /// The fault on a share of the requests.
    pub fn sometimes(fault: Fault, probability: f64) -> Self {
        Self { fault, probability, ordinals: None }
    }

    /// Why this rule makes no sense, if it does not.
    pub fn problem(&self) -> Option<String> {
        (!(0.0..=1.0).contains(&self.probability))
            .then(|| format!("probability {} of fault `{}` is not in 0..=1", self.probability, self.fault))
    }

    /// Does it hit this request? Draws from `rng` only when the probability is not 0 or 1.
    pub(crate) fn hits(&self, ordinal: u64, rng: &mut ChaCha8Rng) -> bool {
        if self.ordinals.as_ref().is_some_and(|list| !list.contains(&ordinal)) {
            return false;
        }
        if self.probability >= 1.0 {
            return true;
        }
        Bernoulli::new(self.probability).is_ok_and(|coin| coin.sample(rng))
    }
}
