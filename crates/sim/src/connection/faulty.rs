//! Answers that are wrong from their first byte on.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::reply::ResponseHead;
use super::{Connection, Gone, Next, Pace};
use crate::api::put;
use crate::clock::mono_ns;
use crate::error_body::{error_body, reason_phrase};
use crate::fault::Fault;
use crate::intake::OpenLog;
use crate::plan::Plan;
use crate::script::{whole_body, whole_stream};

/// Filler is produced and written in blocks, so that a hostile gigabyte costs no memory.
const BLOCK: usize = 64 << 10;
static FILLER: [u8; BLOCK] = [b'x'; BLOCK];

impl Connection {
    /// Plays a fault that replaces the answer; none when it belongs into the stream.
    pub(super) async fn fail_at_once(
        &mut self,
        fault: Fault,
        plan: &Plan,
        close: bool,
        log: &mut OpenLog,
    ) -> Option<Result<Next, Gone>> {
        Some(match fault {
            Fault::Status { code, engine } => {
                let answer = error_body(engine, code, "the simulated engine refuses this request");
                let close = close || answer.close;
                self.send_whole(code, answer.content_type, answer.body.as_bytes(), close, log).await
            }
            Fault::CloseBeforeHeaders => Ok(Next::Close),
            Fault::ResetBeforeHeaders => Ok(Next::Reset),
            Fault::ResetInHeaders => {
                self.fixed(b"HTTP/1.1 200 OK\r\ncontent-type: text/ev", log, Next::Reset).await
            }
            Fault::StallBeforeHeaders => {
                self.wait_gone().await;
                Ok(Next::Close)
            }
            Fault::ContentLengthLong => self.wrong_length(plan, 100, log).await,
            Fault::ContentLengthShort => self.wrong_length(plan, -20, log).await,
            Fault::HugeHeader { bytes } => {
                self.filled(b"HTTP/1.1 200 OK\r\nx-filler: ", bytes, b"\r\ncontent-length: 0\r\n\r\n", log)
                    .await
            }
            Fault::ManyHeaders { count } => {
                let mut out = b"HTTP/1.1 200 OK\r\n".to_vec();
                for n in 0..count {
                    put!(&mut out, "x-filler-{n}: {n}\r\n");
                }
                out.extend_from_slice(b"content-length: 0\r\n\r\n");
                let next = if close { Next::Close } else { Next::KeepAlive };
                self.fixed(&out, log, next).await
            }
            Fault::HugeLine { bytes } => {
                let open =
                    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\ndata: ";
                self.filled(open, bytes, b"", log).await
            }
            Fault::GzipBomb { bytes } => self.gzip_bomb(plan, bytes, log).await,
            Fault::Redirect { code } => {
                let mut out = Vec::new();
                put!(
                    &mut out,
                    "HTTP/1.1 {code} {}\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n",
                    reason_phrase(code),
                    log.path
                );
                self.fixed(&out, log, Next::KeepAlive).await
            }
            Fault::EmptyOk => self.send_whole(200, None, b"", close, log).await,
            Fault::NonJson => {
                let page = b"<html><body><h1>It works!</h1></body></html>";
                self.send_whole(200, Some("text/html"), page, close, log).await
            }
            _ => return None,
        })
    }

    /// Lets a dripping response drip.
    pub(super) fn slow_down(&mut self, fault: Option<Fault>) {
        if let Some(Fault::Drip { interval_ms }) = fault {
            self.pace = Some(Pace { bytes: 1, pause_ns: u64::from(interval_ms) * 1_000_000 });
        }
    }

    /// Faults made for streams, on an answer that is none.
    pub(super) async fn spoil_whole(
        &mut self,
        fault: Fault,
        body: &mut Vec<u8>,
        close: bool,
        log: &mut OpenLog,
    ) -> Result<Next, Gone> {
        let json = Some("application/json");
        match fault {
            Fault::InvalidJson { .. } => {
                body.truncate(body.len() / 2);
                self.send_whole(200, json, body, close, log).await
            }
            Fault::InvalidUtf8 { .. } => {
                if let Some(quote) = body.iter().rposition(|&byte| byte == b'"') {
                    body.splice(quote..quote, *b"\xff\xfe\xc3");
                }
                self.send_whole(200, json, body, close, log).await
            }
            Fault::ErrorEvent { .. } | Fault::NamedErrorEvent { .. } => {
                let error = error_body(crate::error_body::Engine::Vllm, 500, "the simulated engine stopped");
                self.send_whole(500, error.content_type, error.body.as_bytes(), close, log).await
            }
            _ => {
                let mut out = Vec::new();
                let head = ResponseHead {
                    status: 200,
                    content_type: json,
                    content_length: Some(body.len() as u64),
                    close,
                    request_id: log.x_request_id.as_deref(),
                };
                head.push(&mut out);
                out.extend_from_slice(&body[..body.len() / 2]);
                self.fixed(&out, log, Next::Close).await?;
                Ok(match fault {
                    Fault::StallMidStream { .. } => {
                        self.wait_gone().await;
                        Next::Close
                    }
                    Fault::ResetMidStream { .. } | Fault::ResetAfterLastToken | Fault::RstStream { .. } => {
                        Next::Reset
                    }
                    _ => Next::Close,
                })
            }
        }
    }

    /// Bytes as they are.
    async fn fixed(&mut self, bytes: &[u8], log: &mut OpenLog, next: Next) -> Result<Next, Gone> {
        let (start_ns, end_ns) = self.write(bytes).await?;
        log.head_written(200, start_ns, end_ns);
        Ok(next)
    }

    /// `before`, so many bytes of filler, `after`; then the connection closes.
    async fn filled(
        &mut self,
        before: &[u8],
        bytes: u64,
        after: &[u8],
        log: &mut OpenLog,
    ) -> Result<Next, Gone> {
        let start_ns = mono_ns();
        self.write(before).await?;
        let mut left = bytes;
        while left > 0 {
            let part = left.min(BLOCK as u64) as usize;
            self.write(&FILLER[..part]).await?;
            left -= part as u64;
        }
        self.write(after).await?;
        log.head_written(200, start_ns, mono_ns());
        Ok(Next::Close)
    }

    /// The planned answer with a `Content-Length` that is off.
    async fn wrong_length(&mut self, plan: &Plan, off: i64, log: &mut OpenLog) -> Result<Next, Gone> {
        let mut body = Vec::new();
        let content_type = if plan.stream {
            whole_stream(&self.worker.shared.config, plan, &mut body);
            "text/event-stream"
        } else {
            whole_body(&self.worker.shared.config, plan, &mut body);
            "application/json"
        };
        let head = ResponseHead {
            status: 200,
            content_type: Some(content_type),
            content_length: Some((body.len() as u64).saturating_add_signed(off)),
            close: false,
            request_id: log.x_request_id.as_deref(),
        };
        let mut out = Vec::with_capacity(256 + body.len());
        head.push(&mut out);
        out.extend_from_slice(&body);
        self.fixed(&out, log, Next::Close).await
    }

    /// A gzip body that is small on the wire and huge when unpacked.
    async fn gzip_bomb(&mut self, plan: &Plan, bytes: u64, log: &mut OpenLog) -> Result<Next, Gone> {
        let Ok(packed) = bomb(bytes) else {
            return Ok(Next::Close);
        };
        let head = ResponseHead {
            status: 200,
            content_type: Some(if plan.stream { "text/event-stream" } else { "application/json" }),
            content_length: Some(packed.len() as u64),
            close: true,
            request_id: None,
        };
        let mut out = Vec::with_capacity(256 + packed.len());
        head.push_open(&mut out);
        out.extend_from_slice(b"content-encoding: gzip\r\n\r\n");
        out.extend_from_slice(&packed);
        self.fixed(&out, log, Next::Close).await
    }
}

/// `bytes` blanks, packed.
pub(super) fn bomb(bytes: u64) -> std::io::Result<Vec<u8>> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::best());
    let block = [b' '; BLOCK];
    let mut left = bytes;
    while left > 0 {
        let part = left.min(BLOCK as u64) as usize;
        packer.write_all(&block[..part])?;
        left -= part as u64;
    }
    packer.finish()
}
