//! HTTP/2 by prior knowledge: framing by hyper, answers by the same scripts. Stamps are the
//! instants at which frames are handed to hyper.

mod answer;
mod body;

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use hyper::rt::Executor;
use hyper::server::conn::http2::Builder;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::Connection;
use crate::server::Worker;

/// A scripted break of a stream; hyper answers it with RST_STREAM.
#[derive(Debug, thiserror::Error)]
#[error("scripted fault")]
pub(super) struct Broken;

/// What the streams of a connection tell the connection.
#[derive(Default)]
pub(super) struct Signals {
    changed: Notify,
    go_away: Cell<bool>,
    hang_up: Cell<bool>,
}

impl Signals {
    /// GOAWAY: no new streams, running ones complete.
    pub fn go_away(&self) {
        self.go_away.set(true);
        self.changed.notify_one();
    }

    /// Closes the TCP connection under all streams.
    pub fn hang_up(&self) {
        self.hang_up.set(true);
        self.changed.notify_one();
    }
}

/// What the streams of a connection share.
pub(super) struct Http2 {
    pub worker: Rc<Worker>,
    pub id: u64,
    pub nth: Cell<u64>,
    pub signals: Signals,
}

/// Serves the rest of a connection that began with the HTTP/2 preface.
pub(super) async fn serve(connection: Connection) {
    let Connection { worker, stream, inbuf, id, .. } = connection;
    let window = worker.shared.config.connections.http2_window;
    let io = TokioIo::new(Replayed { seen: inbuf, at: 0, stream });
    let shared = Rc::new(Http2 { worker, id, nth: Cell::new(0), signals: Signals::default() });
    let service = {
        let shared = Rc::clone(&shared);
        service_fn(move |request| answer::answer(Rc::clone(&shared), request))
    };
    let mut connection = std::pin::pin!(
        Builder::new(OnThisThread)
            .initial_stream_window_size(window)
            .initial_connection_window_size(16 << 20)
            .max_concurrent_streams(10_000)
            .serve_connection(io, service)
    );
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "an HTTP/2 connection ended badly");
                }
                return;
            }
            () = shared.signals.changed.notified() => {
                if shared.signals.hang_up.get() {
                    return;
                }
                if shared.signals.go_away.take() {
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }
}

/// Runs hyper's stream tasks on the worker's own thread.
#[derive(Clone)]
struct OnThisThread;

impl<F: Future<Output = ()> + 'static> Executor<F> for OnThisThread {
    fn execute(&self, task: F) {
        tokio::task::spawn_local(task);
    }
}

/// A connection whose first bytes were read before.
struct Replayed {
    seen: Vec<u8>,
    at: usize,
    stream: TcpStream,
}

impl AsyncRead for Replayed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.at < self.seen.len() {
            let part = buf.remaining().min(self.seen.len() - self.at);
            buf.put_slice(&self.seen[self.at..self.at + part]);
            self.at += part;
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Replayed {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
    }
}
