//! A client as simple as can be: one blocking socket, every byte kept.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};
use tokmeter_sim::{RunningSim, Sim, SimConfig};

/// Longer than anything here takes on the slowest machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Starts a server with a changed default configuration.
pub fn start(change: impl FnOnce(&mut SimConfig)) -> RunningSim {
    let mut config = SimConfig::default();
    change(&mut config);
    Sim::start(config).expect("the simulator starts")
}

/// A chat request with this many output tokens.
pub fn chat(tokens: u32) -> Value {
    json!({
        "model": "m",
        "messages": [{"role": "user", "content": "one two three four"}],
        "max_completion_tokens": tokens,
        "stream": true,
        "stream_options": {"include_usage": true},
    })
}

/// An HTTP response, taken apart.
#[derive(Debug, Default)]
pub struct Response {
    pub status: u16,
    /// Lower-case names.
    pub headers: Vec<(String, String)>,
    /// The body without chunk framing.
    pub body: Vec<u8>,
    /// HTTP chunks of a chunked body, without the last empty one.
    pub chunks: Vec<Vec<u8>>,
    /// The body ended as its framing says.
    pub complete: bool,
}

impl Response {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is UTF-8")
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {:?}", self.text()))
    }

    /// Payloads of the events of an LF stream.
    pub fn payloads(&self) -> Vec<String> {
        self.text()
            .split("\n\n")
            .filter_map(|event| event.lines().find_map(|line| line.strip_prefix("data: ")))
            .map(str::to_owned)
            .collect()
    }

    /// Payloads that are JSON.
    pub fn events(&self) -> Vec<Value> {
        self.payloads().iter().filter_map(|payload| serde_json::from_str(payload).ok()).collect()
    }

    /// All text deltas of a chat stream, joined.
    pub fn content(&self) -> String {
        self.events().iter().filter_map(|event| event["choices"][0]["delta"]["content"].as_str()).collect()
    }
}

pub struct Client {
    pub stream: TcpStream,
    received: Vec<u8>,
}

impl Client {
    pub fn connect(sim: &RunningSim) -> Self {
        Self::to(sim.addr())
    }

    pub fn to(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).expect("connect");
        stream.set_read_timeout(Some(PATIENCE)).expect("timeout");
        stream.set_nodelay(true).expect("nodelay");
        Self { stream, received: Vec::new() }
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("send");
    }

    /// Sends a POST with a JSON body; `headers` are whole lines ending in CRLF.
    pub fn send_post(&mut self, path: &str, headers: &str, body: &Value) {
        let body = body.to_string();
        let head =
            format!("POST {path} HTTP/1.1\r\nHost: sim\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
        self.send(format!("{head}{body}").as_bytes());
    }

    pub fn post(&mut self, path: &str, headers: &str, body: &Value) -> Response {
        self.send_post(path, headers, body);
        self.response()
    }

    pub fn get(&mut self, path: &str) -> Response {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: sim\r\n\r\n").as_bytes());
        self.response()
    }

    /// One read; false when the connection is closed or reset.
    fn read_more(&mut self) -> bool {
        let mut buf = [0; 16 << 10];
        loop {
            return match self.stream.read(&mut buf) {
                Ok(0) => false,
                Ok(n) => {
                    self.received.extend_from_slice(&buf[..n]);
                    true
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::ConnectionReset => false,
                Err(error) => panic!("nothing received: {error}"),
            };
        }
    }

    /// Everything until the server closes.
    pub fn rest(&mut self) -> Vec<u8> {
        while self.read_more() {}
        std::mem::take(&mut self.received)
    }

    fn head_end(&mut self) -> Option<usize> {
        loop {
            if let Some(at) = self.received.windows(4).position(|w| w == b"\r\n\r\n") {
                return Some(at + 4);
            }
            if !self.read_more() {
                return None;
            }
        }
    }

    /// The next response; status 0 when the connection ends before its head does.
    pub fn response(&mut self) -> Response {
        let Some(end) = self.head_end() else {
            return Response::default();
        };
        let head = String::from_utf8(self.received.drain(..end).collect()).expect("ASCII head");
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).expect("a status");
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let mut response = Response { status, headers, ..Response::default() };
        if status < 200 {
            return response;
        }
        if let Some(length) = response.header("content-length") {
            let length: usize = length.parse().expect("a length");
            while self.received.len() < length && self.read_more() {}
            response.complete = self.received.len() >= length;
            let taken = length.min(self.received.len());
            response.body = self.received.drain(..taken).collect();
        } else if response.header("transfer-encoding") == Some("chunked") {
            response.complete = self.chunks(&mut response.chunks);
            response.body = response.chunks.concat();
        } else {
            response.body = self.rest();
        }
        response
    }

    fn chunks(&mut self, chunks: &mut Vec<Vec<u8>>) -> bool {
        loop {
            let Some(line) = self.until_crlf() else {
                return false;
            };
            let Ok(size) = usize::from_str_radix(&line, 16) else {
                return false;
            };
            while self.received.len() < size + 2 {
                if !self.read_more() {
                    return false;
                }
            }
            let chunk: Vec<u8> = self.received.drain(..size).collect();
            assert_eq!(self.received.drain(..2).collect::<Vec<_>>(), b"\r\n", "a chunk ends with CRLF");
            if size == 0 {
                return true;
            }
            chunks.push(chunk);
        }
    }

    fn until_crlf(&mut self) -> Option<String> {
        loop {
            if let Some(at) = self.received.windows(2).position(|w| w == b"\r\n") {
                let line: Vec<u8> = self.received.drain(..at + 2).collect();
                return Some(String::from_utf8_lossy(&line[..at]).into_owned());
            }
            if !self.read_more() {
                return None;
            }
        }
    }
}
