//! Servers of a few lines, for what the simulated one is too well-behaved to do.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::case::{Server, Then};

/// A raw server; it ends when dropped.
pub struct Raw {
    pub address: SocketAddr,
    ids: Arc<Mutex<Vec<String>>>,
    stopped: Arc<AtomicBool>,
}

impl Raw {
    /// Plays [`Server::Raw`] or [`Server::Greeting`].
    pub fn start(server: Server) -> Raw {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        let (ids, stopped) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (seen, end) = (ids.clone(), stopped.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if end.load(Relaxed) {
                    return;
                }
                let seen = seen.clone();
                let Ok(stream) = stream else { continue };
                std::thread::spawn(move || serve(stream, server, &seen));
            }
        });
        Raw { address, ids, stopped }
    }

    /// `X-Request-ID` of every request that was read.
    pub fn ids(&self) -> Vec<String> {
        self.ids.lock().expect("no panic while it is held").clone()
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        self.stopped.store(true, Relaxed);
        // Wakes the listener.
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(mut stream: TcpStream, server: Server, seen: &Mutex<Vec<String>>) {
    let _ = stream.set_nodelay(true);
    let mut then = match server {
        Server::Greeting(greet) => greet(&mut stream),
        _ => Then::Keep,
    };
    while then == Then::Keep {
        let Some(head) = read_request(&mut stream) else { return };
        seen.lock().expect("no panic while it is held").extend(request_id(&head));
        then = match server {
            Server::Raw(answer) => answer(&mut stream),
            _ => Then::Hold,
        };
    }
    if then == Then::Hold {
        drain(&mut stream);
    }
}

/// Reads until the client closes.
fn drain(stream: &mut TcpStream) {
    let mut rest = [0; 4096];
    while matches!(stream.read(&mut rest), Ok(1..)) {}
}

/// The head of the next request, after its body was read too.
pub fn read_request(stream: &mut impl Read) -> Option<String> {
    let (mut bytes, mut byte) = (Vec::new(), [0]);
    while !bytes.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        bytes.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&bytes).into_owned();
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).ok()?;
    Some(head)
}

/// Its `X-Request-ID`.
pub fn request_id(head: &str) -> Option<String> {
    head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("x-request-id").then(|| value.trim().to_owned())
    })
}

/// A complete stream of two tokens, ended by these events.
pub fn answer(end: &str) -> Vec<u8> {
    let event = |delta: &str, finish: &str| {
        format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":{finish}}}]}}\n\n")
    };
    let mut body = event(r#"{"role":"assistant","content":""}"#, "null");
    body += &event(r#"{"content":"one"}"#, "null");
    body += &event(r#"{"content":" two"}"#, "\"stop\"");
    body += end;
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {length}\r\n\r\n{body}")
        .into()
}

fn send(stream: &mut TcpStream, bytes: impl AsRef<[u8]>) {
    // The client may be gone; then there is nobody to tell.
    let _ = stream.write_all(bytes.as_ref());
}

pub fn half_close(stream: &mut TcpStream) -> Then {
    let _ = stream.shutdown(Shutdown::Write);
    Then::Hold
}

pub fn half_close_mid_stream(stream: &mut TcpStream) -> Then {
    let whole = answer("data: [DONE]\n\n");
    send(stream, &whole[..whole.len() - 40]);
    half_close(stream)
}

pub fn informational_forever(stream: &mut TcpStream) -> Then {
    while stream.write_all(b"HTTP/1.1 102 Processing\r\n\r\n").is_ok() {
        std::thread::sleep(Duration::from_millis(5));
    }
    Then::Close
}

pub fn continue_first(stream: &mut TcpStream) -> Then {
    send(stream, "HTTP/1.1 100 Continue\r\n\r\n");
    std::thread::sleep(Duration::from_millis(2));
    send(stream, answer("data: [DONE]\n\n"));
    Then::Keep
}

pub fn hints_first(stream: &mut TcpStream) -> Then {
    send(stream, "HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\n\r\n");
    send(stream, answer("data: [DONE]\n\n"));
    Then::Keep
}

pub fn done_twice(stream: &mut TcpStream) -> Then {
    send(stream, answer("data: [DONE]\n\ndata: [DONE]\n\n"));
    Then::Keep
}

pub fn not_http(stream: &mut TcpStream) -> Then {
    // Only after the request, so that it is an answer.
    let _ = read_request(stream);
    send(stream, "220 mail.example ESMTP\r\n");
    Then::Hold
}

/// Answers the hello with a fatal `handshake_failure` (RFC 8446 section 6).
pub fn tls_alert(stream: &mut TcpStream) -> Then {
    let _ = stream.read(&mut [0; 4096]);
    send(stream, [21, 3, 3, 0, 2, 2, 40]);
    Then::Hold
}
