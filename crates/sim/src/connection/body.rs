//! Reading a request body.

use super::head::{BodyLength, Head};
use super::{Connection, Gone, fill};
use crate::clock::mono_ns;

/// A body in [`Connection::inbuf`].
pub(super) struct Body {
    /// Where it is, chunk framing removed.
    pub range: std::ops::Range<usize>,
    /// Bytes of the buffer that belong to this request.
    pub consumed: usize,
    /// The read that held its last byte.
    pub received_ns: u64,
}

/// Why there is no body.
pub(super) enum NoBody {
    Gone,
    /// Refused with this status.
    Refused(u16),
}

impl From<Gone> for NoBody {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

impl Connection {
    /// Reads the body behind `head`, after `100 Continue` if the client waits for that.
    pub(super) async fn read_body(&mut self, head: &Head) -> Result<Body, NoBody> {
        let limit = self.worker.shared.config.max_body_bytes;
        if let BodyLength::Fixed(length) = head.body
            && length > limit as u64
        {
            return Err(NoBody::Refused(413));
        }
        if head.expects_continue && self.inbuf.len() == head.len {
            self.write(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        match head.body {
            BodyLength::Fixed(length) => {
                let end = head.len + length as usize;
                self.inbuf.reserve(end.saturating_sub(self.inbuf.len()));
                while self.inbuf.len() < end {
                    self.more().await?;
                }
                Ok(Body { range: head.len..end, consumed: end, received_ns: self.received_ns })
            }
            BodyLength::Chunked => self.read_chunked(head.len, limit).await,
        }
    }

    /// Decodes in place: payload moves down over the framing.
    async fn read_chunked(&mut self, start: usize, limit: usize) -> Result<Body, NoBody> {
        // inbuf[start..write] is payload, inbuf[read..] is not looked at yet.
        let (mut write, mut read) = (start, start);
        loop {
            match httparse::parse_chunk_size(&self.inbuf[read..]) {
                Ok(httparse::Status::Complete((line, 0))) => {
                    // No trailers: the blank line must follow.
                    while self.inbuf.len() < read + line + 2 {
                        self.more().await?;
                    }
                    if &self.inbuf[read + line..read + line + 2] != b"\r\n" {
                        return Err(NoBody::Refused(400));
                    }
                    return Ok(Body {
                        range: start..write,
                        consumed: read + line + 2,
                        received_ns: self.received_ns,
                    });
                }
                Ok(httparse::Status::Complete((line, size))) => {
                    if size > (limit + start - write.min(limit + start)) as u64 {
                        return Err(NoBody::Refused(413));
                    }
                    let size = size as usize;
                    while self.inbuf.len() < read + line + size + 2 {
                        self.more().await?;
                    }
                    self.inbuf.copy_within(read + line..read + line + size, write);
                    write += size;
                    read += line + size + 2;
                }
                Ok(httparse::Status::Partial) => self.more().await?,
                Err(_) => return Err(NoBody::Refused(400)),
            }
        }
    }

    async fn more(&mut self) -> Result<(), NoBody> {
        if fill(&self.stream, &mut self.inbuf).await? == 0 {
            return Err(NoBody::Gone);
        }
        self.received_ns = mono_ns();
        Ok(())
    }
}
