//! What goes into the transport and what comes out of it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, Version};
use tokmeter_record::{ErrorClass, MonoNs, Phase, Side, Trace};

/// Scheme, host and port of a server, resolved once from a URL and shared by all its requests.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    /// `https`: TLS below HTTP.
    pub tls: bool,
    /// Host name or IP literal, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
}

/// One request to send.
#[derive(Clone, Debug)]
pub struct Request {
    /// Where to.
    pub origin: Arc<Origin>,
    /// `GET`, `POST`.
    pub method: Method,
    /// Path and query, beginning with `/`.
    pub path: Arc<str>,
    /// All headers but `Host` and `Content-Length`, which the transport adds.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
    /// Requests with the same key stay on one connection of their own (`sticky-user-sessions`).
    pub sticky: Option<u64>,
    /// `Some(true)`: the connection may be dropped after this answer (last turn of a sticky session).
    pub last_of_sticky: bool,
    /// Time limit from `start` to the last byte.
    pub timeout: Option<Duration>,
    /// Cancel this long after the request was sent completely.
    pub cancel_after: Option<Duration>,
}

/// End of one read's bytes within the body, and the instant of that read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkEnd {
    /// Offset just past the last byte of this chunk.
    pub end: usize,
    /// Stamp of the read that held these bytes.
    pub at: MonoNs,
}

/// Response body as received (transfer coding removed), with the stamp of every chunk.
#[derive(Clone, Debug, Default)]
pub struct StampedBody {
    /// All bytes.
    pub bytes: Vec<u8>,
    /// Chunk ends, ascending.
    pub chunks: Vec<ChunkEnd>,
}

impl StampedBody {
    /// Appends the bytes of one frame; bytes of the same read form one chunk.
    pub fn append(&mut self, bytes: &[u8], at: MonoNs) {
        if bytes.is_empty() {
            return;
        }
        self.bytes.extend_from_slice(bytes);
        let end = self.bytes.len();
        match self.chunks.last_mut() {
            Some(last) if last.at == at => last.end = end,
            _ => self.chunks.push(ChunkEnd { end, at }),
        }
    }

    /// The chunks as byte slices with their stamps.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], MonoNs)> {
        let mut start = 0;
        self.chunks.iter().map(move |chunk| {
            let slice = &self.bytes[start..chunk.end];
            start = chunk.end;
            (slice, chunk.at)
        })
    }
}

/// How a request failed below the level of meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransportError {
    /// What kind of failure.
    pub class: ErrorClass,
    /// In which phase of the request.
    pub phase: Phase,
    /// Who is answerable.
    pub side: Side,
    /// What happened, in words.
    pub message: String,
    /// The chain of causes, outermost first.
    pub causes: Vec<String>,
    /// When it was noticed.
    pub at: MonoNs,
}

/// Head of the response.
#[derive(Clone, Debug)]
pub struct ResponseHead {
    /// Status.
    pub status: StatusCode,
    /// Protocol version of the answer.
    pub version: Version,
    /// Headers as received.
    pub headers: HeaderMap,
}

/// The raw material of one request: all that is known when it is over.
#[derive(Debug)]
pub struct Exchange {
    /// Instants, connection and counts. Headers and chunk arrays are not filled in here.
    pub trace: Trace<MonoNs>,
    /// Head of the response, if one came.
    pub head: Option<ResponseHead>,
    /// Body, as far as it came.
    pub body: StampedBody,
    /// Why it did not complete; `None` for a complete response of any status.
    pub error: Option<TransportError>,
}
