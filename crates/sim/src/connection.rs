//! One accepted connection: HTTP/1.1 by hand, so that every write is one we decide and stamp.

mod body;
mod faulty;
mod head;
mod http2;
mod pages;
mod reply;
mod stream;

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::net::TcpStream;

use crate::clock::mono_ns;
use crate::server::Worker;
use head::Head;

/// Bytes taken from a client that sends more while it is being answered; then it must wait.
const READ_AHEAD: usize = 64 << 10;
/// Start of an HTTP/2 connection (RFC 9113, section 3.4), as far as it differs from HTTP/1.
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The client is gone, or the connection is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gone;

/// What happens to the connection after an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    KeepAlive,
    Close,
    /// Close after reading on for a while: the client may still be sending.
    Linger,
    Reset,
}

/// Sends bytes slowly, in pieces.
#[derive(Debug, Clone, Copy)]
struct Pace {
    bytes: usize,
    pause_ns: u64,
}

pub(crate) struct Connection {
    worker: Rc<Worker>,
    stream: TcpStream,
    /// Received and not consumed.
    inbuf: Vec<u8>,
    /// When the last of it was read.
    received_ns: u64,
    id: u64,
    /// Requests read on this connection.
    nth: u64,
    half_closed: bool,
    pace: Option<Pace>,
}

/// Serves a connection until it ends.
pub(crate) async fn serve(worker: Rc<Worker>, stream: TcpStream, id: u64) {
    let wire = &worker.shared.config.wire;
    let pace =
        wire.write_bytes.map(|bytes| Pace { bytes, pause_ns: wire.write_pause_us.saturating_mul(1000) });
    let mut connection = Connection {
        worker,
        stream,
        inbuf: Vec::new(),
        received_ns: 0,
        id,
        nth: 0,
        half_closed: false,
        pace,
    };
    let next = connection.run().await;
    match next {
        Some(Next::Reset) => {
            // RST instead of FIN.
            if let Err(error) =
                socket2::SockRef::from(&connection.stream).set_linger(Some(std::time::Duration::ZERO))
            {
                tracing::debug!(%error, "cannot reset a connection");
            }
        }
        Some(Next::Linger) => connection.linger().await,
        Some(Next::Close | Next::KeepAlive) => {}
        // Boxed, because it is far larger than a connection that does not need it.
        None => Box::pin(http2::serve(connection)).await,
    }
}

impl Connection {
    /// Requests in turn; `None` when the client speaks HTTP/2.
    async fn run(&mut self) -> Option<Next> {
        loop {
            let head = match self.next_head().await {
                Ok(NextHead::Request(head, received_ns)) => (head, received_ns),
                Ok(NextHead::Http2) => return None,
                Ok(NextHead::End) | Err(Gone) => return Some(Next::Close),
                Ok(NextHead::Unreadable(status)) => {
                    let told = self.plain_error(status, true).await;
                    return Some(if told.is_ok() { Next::Linger } else { Next::Close });
                }
            };
            self.nth += 1;
            match self.answer(head.0, head.1).await.unwrap_or(Next::Close) {
                Next::KeepAlive => {}
                end => return Some(end),
            }
        }
    }

    /// Reads until a request head is complete.
    async fn next_head(&mut self) -> Result<NextHead, Gone> {
        let idle = self.worker.shared.config.connections.idle_timeout_ms;
        let idle_until = idle.map(|ms| mono_ns().saturating_add(ms.saturating_mul(1_000_000)));
        loop {
            if self.inbuf.starts_with(b"PRI ") && self.worker.shared.config.connections.http2 {
                let seen = self.inbuf.len().min(HTTP2_PREFACE.len());
                if self.inbuf[..seen] == HTTP2_PREFACE[..seen] && seen == HTTP2_PREFACE.len() {
                    return Ok(NextHead::Http2);
                }
            } else {
                match Head::parse(&self.inbuf) {
                    Ok(Some(head)) => {
                        return Ok(NextHead::Request(Box::new(head), self.received_ns));
                    }
                    Ok(None) => {}
                    Err(status) => return Ok(NextHead::Unreadable(status)),
                }
            }
            let read = match idle_until {
                Some(deadline_ns) if self.inbuf.is_empty() => {
                    let sleep = self.worker.timer.sleep_until(deadline_ns);
                    tokio::select! {
                        biased;
                        read = fill(&self.stream, &mut self.inbuf) => read,
                        () = sleep => return Ok(NextHead::End),
                    }
                }
                _ => fill(&self.stream, &mut self.inbuf).await,
            };
            if read? == 0 {
                return Ok(NextHead::End);
            }
            self.received_ns = mono_ns();
        }
    }

    /// Runs `future` unless the client goes away first; takes in what the client sends meanwhile.
    async fn while_connected<T>(&mut self, future: impl Future<Output = T>) -> Result<T, Gone> {
        let mut future = pin!(future);
        poll_fn(|cx| {
            if let Poll::Ready(value) = future.as_mut().poll(cx) {
                return Poll::Ready(Ok(value));
            }
            self.poll_gone(cx).map(|()| Err(Gone))
        })
        .await
    }

    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while !self.half_closed && self.inbuf.len() < READ_AHEAD {
            if ready!(self.stream.poll_read_ready(cx)).is_err() {
                return Poll::Ready(());
            }
            match self.stream.try_read_buf(&mut self.inbuf) {
                Ok(0) if self.worker.shared.config.connections.allow_half_close => self.half_closed = true,
                Ok(0) => return Poll::Ready(()),
                Ok(_) => self.received_ns = mono_ns(),
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                Err(_) => return Poll::Ready(()),
            }
        }
        Poll::Pending
    }

    /// Waits for an instant, see [`Connection::while_connected`].
    async fn wait_until(&mut self, deadline_ns: u64) -> Result<(), Gone> {
        let sleep = self.worker.timer.sleep_until(deadline_ns);
        self.while_connected(sleep).await
    }

    /// Waits until the client gives up.
    async fn wait_gone(&mut self) {
        let forever = std::future::pending::<()>();
        let _: Result<(), Gone> = self.while_connected(forever).await;
    }

    /// Waits until the client gives up, without reading what it sends.
    async fn ignore_until_gone(&mut self) {
        const LOOK_EVERY_NS: u64 = 20_000_000;
        loop {
            self.worker.timer.sleep_until(mono_ns() + LOOK_EVERY_NS).await;
            match self.stream.ready(tokio::io::Interest::READABLE | tokio::io::Interest::WRITABLE).await {
                Ok(ready) if !ready.is_read_closed() && !ready.is_write_closed() => {}
                _ => return,
            }
        }
    }

    /// Writes everything, at the pace of the connection. Instants just before the first system
    /// call and just after the last one.
    async fn write(&mut self, bytes: &[u8]) -> Result<(u64, u64), Gone> {
        let Some(pace) = self.pace else {
            let start_ns = mono_ns();
            self.write_all(bytes).await?;
            return Ok((start_ns, mono_ns()));
        };
        let start_ns = mono_ns();
        let mut end_ns = start_ns;
        for (place, piece) in bytes.chunks(pace.bytes).enumerate() {
            if place > 0 && pace.pause_ns > 0 {
                self.wait_until(end_ns.saturating_add(pace.pause_ns)).await?;
            }
            self.write_all(piece).await?;
            end_ns = mono_ns();
        }
        Ok((start_ns, end_ns))
    }

    async fn write_all(&mut self, mut bytes: &[u8]) -> Result<(), Gone> {
        while !bytes.is_empty() {
            match self.stream.try_write(bytes) {
                Ok(written) => bytes = &bytes[written..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.stream.writable().await.map_err(|_| Gone)?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Err(Gone),
            }
        }
        Ok(())
    }

    /// Lets the client finish sending, so that the close does not destroy the answer.
    async fn linger(&mut self) {
        const LONGEST_NS: u64 = 2_000_000_000;
        if socket2::SockRef::from(&self.stream).shutdown(std::net::Shutdown::Write).is_err() {
            return;
        }
        let sleep = self.worker.timer.sleep_until(mono_ns() + LONGEST_NS);
        let (stream, inbuf) = (&self.stream, &mut self.inbuf);
        let drain = async {
            loop {
                inbuf.clear();
                if !matches!(fill(stream, inbuf).await, Ok(1..)) {
                    return;
                }
            }
        };
        tokio::select! {
            () = drain => {}
            () = sleep => {}
        }
    }

    /// Forgets the first bytes received.
    fn consume(&mut self, bytes: usize) {
        const KEEP: usize = 2 << 10;
        self.inbuf.drain(..bytes.min(self.inbuf.len()));
        if self.inbuf.is_empty() && self.inbuf.capacity() > KEEP {
            // Thousands of streams wait here; their request is not needed any more.
            self.inbuf = Vec::new();
        }
    }
}

enum NextHead {
    Request(Box<Head>, u64),
    Http2,
    End,
    /// Answer with this status and close.
    Unreadable(u16),
}

/// One read behind what `buf` holds; 0 at the end of the stream.
async fn fill(stream: &TcpStream, buf: &mut Vec<u8>) -> Result<usize, Gone> {
    /// Room for one read when more is not known.
    const ROOM: usize = 4 << 10;
    if buf.capacity() - buf.len() < ROOM / 4 {
        buf.reserve(ROOM);
    }
    loop {
        match stream.try_read_buf(buf) {
            Ok(read) => return Ok(read),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                stream.readable().await.map_err(|_| Gone)?
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return Err(Gone),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size_of_future<F>(_: fn(Rc<Worker>, TcpStream, u64) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn a_connection_is_small() {
        let bytes = size_of_future(serve);
        assert!(bytes <= 3 << 10, "{bytes} bytes for each of thousands of streams");
    }
}
