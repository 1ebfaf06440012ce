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

/// The value of [`ChunkEnd::lag`] that says: this read had no kernel stamp.
pub(crate) const NO_KERNEL_STAMP: u32 = u32::MAX;

/// End of one read's bytes within the body, and the instant of that read. 16 bytes: a long answer has
/// hundreds of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkEnd {
    /// Offset just past the last byte of this chunk. Bodies are limited to 4 GiB.
    pub end: u32,
    /// How much later than the kernel this process read the bytes, ns, saturating at 4.29 s;
    /// see [`ChunkEnd::lag_ns`].
    lag: u32,
    /// Stamp of the read that held these bytes.
    pub at: MonoNs,
}

impl ChunkEnd {
    /// User stamp minus kernel stamp of the read, ns; `None` when it had no kernel stamp. Saturates at 4.29 s.
    pub fn lag_ns(&self) -> Option<u64> {
        (self.lag != NO_KERNEL_STAMP).then_some(u64::from(self.lag))
    }
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
        self.append_read(bytes, at, NO_KERNEL_STAMP);
    }

    /// The same, with the lag of the read in ns or [`NO_KERNEL_STAMP`].
    pub(crate) fn append_read(&mut self, bytes: &[u8], at: MonoNs, lag: u32) {
        if bytes.is_empty() {
            return;
        }
        self.bytes.extend_from_slice(bytes);
        let end = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        match self.chunks.last_mut() {
            Some(last) if last.at == at => last.end = end,
            _ => self.chunks.push(ChunkEnd { end, lag, at }),
        }
    }

    /// The chunks as byte slices with their stamps.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], MonoNs)> {
        let mut start = 0;
        self.chunks.iter().map(move |chunk| {
            let end = chunk.end as usize;
            let slice = &self.bytes[start..end];
            start = end;
            (slice, chunk.at)
        })
    }

    /// Lag of the read that brought the byte before `offset`, ns: with the end of an event, how late this
    /// process was for that event. `None` without a kernel stamp.
    pub fn lag_at(&self, offset: usize) -> Option<u64> {
        let index = self.chunks.partition_point(|chunk| (chunk.end as usize) < offset);
        self.chunks.get(index)?.lag_ns()
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

impl ResponseHead {
    /// Whether the body is an event stream by its content type.
    pub(crate) fn is_event_stream(&self) -> bool {
        let value = self.headers.get(http::header::CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
        let media_type = value.split(|byte| *byte == b';').next().unwrap_or_default();
        media_type.trim_ascii().eq_ignore_ascii_case(b"text/event-stream")
    }
}

/// The raw material of one request: all that is known when it is over.
#[derive(Debug, Default)]
pub struct Exchange {
    /// Instants, connection and counts. Headers and `response_chunks` are not filled in here: they are made
    /// from `request_headers`, `head` and `body` when a file wants them.
    pub trace: Trace<MonoNs>,
    /// The headers as sent, secrets included, when [`crate::ClientConfig::keep_request`] asks for them.
    pub request_headers: Option<HeaderMap>,
    /// Head of the response, if one came.
    pub head: Option<ResponseHead>,
    /// Body, as far as it came.
    pub body: StampedBody,
    /// Why it did not complete; `None` for a complete response of any status.
    pub error: Option<TransportError>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_one_read_are_one_chunk() {
        let mut body = StampedBody::default();
        body.append_read(b"ab", MonoNs(10), 5);
        body.append_read(b"c", MonoNs(10), 5);
        body.append_read(b"", MonoNs(15), 5);
        body.append_read(b"def", MonoNs(20), NO_KERNEL_STAMP);
        let chunks: Vec<_> = body.iter().collect();
        assert_eq!(chunks, [(&b"abc"[..], MonoNs(10)), (&b"def"[..], MonoNs(20))]);
        assert_eq!(body.lag_at(1), Some(5));
        assert_eq!(body.lag_at(3), Some(5), "the byte before the offset counts");
        assert_eq!(body.lag_at(4), None, "a read without kernel stamp has no lag");
        assert_eq!(body.lag_at(7), None, "past the end");
    }
}
