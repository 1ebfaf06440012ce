//! A listener in a thread that does exactly what a test says with each connection.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};
use tokmeter_http::{Client, ClientConfig, Exchange, Origin, Request};

/// A server under test control; it ends with the process.
pub struct Raw {
    pub address: SocketAddr,
    accepted: Arc<AtomicUsize>,
}

impl Raw {
    /// `serve` gets each connection and its number, in a thread of its own.
    pub fn start(serve: impl Fn(TcpStream, usize) + Send + Sync + 'static) -> Raw {
        Raw::start_at("127.0.0.1:0", serve)
    }

    pub fn start_at(address: &str, serve: impl Fn(TcpStream, usize) + Send + Sync + 'static) -> Raw {
        let listener = TcpListener::bind(address).expect("bind");
        let address = listener.local_addr().expect("address");
        let accepted = Arc::new(AtomicUsize::new(0));
        let (count, serve) = (Arc::clone(&accepted), Arc::new(serve));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                stream.set_nodelay(true).expect("nodelay");
                let number = count.fetch_add(1, Ordering::SeqCst);
                let serve = Arc::clone(&serve);
                std::thread::spawn(move || serve(stream, number));
            }
        });
        Raw { address, accepted }
    }

    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    pub fn origin(&self) -> Arc<Origin> {
        Origin::parse(&self.address.to_string()).expect("a URL").origin
    }
}

/// Reads one request with its body; `None` at the end of the connection.
pub fn read_request(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => bytes.push(byte[0]),
            _ => return None,
        }
    }
    let head = String::from_utf8(bytes).expect("a head in ASCII");
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |digits| digits.parse().expect("a length"));
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some((head, body))
}

/// Writes; the client may be gone already.
pub fn write(stream: &mut TcpStream, bytes: impl AsRef<[u8]>) {
    let _ = stream.write_all(bytes.as_ref());
}

/// Answers every request of a connection with `answer` until the client closes it.
pub fn answer_all(mut stream: TcpStream, answer: &str) {
    while read_request(&mut stream).is_some() {
        write(&mut stream, answer);
    }
}

/// Closes with a reset instead of a FIN.
pub fn reset(stream: TcpStream) {
    let socket = socket2::SockRef::from(&stream);
    socket.set_linger(Some(Duration::ZERO)).expect("linger");
}

/// Sends a FIN and waits until the client is gone, so that no reset overtakes the bytes.
pub fn close_gently(mut stream: TcpStream) {
    let _ = stream.shutdown(Shutdown::Write);
    let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
    let mut rest = [0; 4096];
    while matches!(stream.read(&mut rest), Ok(1..)) {}
}

pub const HELLO: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

/// A POST with a small body.
pub fn post(origin: &Arc<Origin>) -> Request {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    headers.insert("x-request-id", HeaderValue::from_static("1"));
    Request {
        origin: Arc::clone(origin),
        method: Method::POST,
        path: "/v1/chat/completions".into(),
        headers,
        body: Bytes::from_static(br#"{"stream":true}"#),
        sticky: None,
        last_of_sticky: false,
        timeout: Some(Duration::from_secs(20)),
        cancel_after: None,
    }
}

/// Runs a future as a shard does.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    tokio::task::LocalSet::new().block_on(&runtime, future)
}

pub fn client(config: ClientConfig) -> Client {
    Client::new(Arc::new(config), 0).expect("a client")
}

/// One request with default settings.
pub fn exchange(origin: &Arc<Origin>) -> Exchange {
    block_on(async { client(ClientConfig::default()).send(post(origin)).await })
}

pub fn body(exchange: &Exchange) -> String {
    String::from_utf8_lossy(&exchange.body.bytes).into_owned()
}
