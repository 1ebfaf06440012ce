//! The head of an HTTP/1 request.

use crate::intake::Identity;

/// Longest head that is read.
const LONGEST: usize = 64 << 10;
/// Most header fields.
const MOST_FIELDS: usize = 96;

/// A request head, as far as the simulator cares.
#[derive(Debug)]
pub struct Head {
    /// Its bytes, the blank line included.
    pub len: usize,
    pub method: Method,
    /// Without query.
    pub path: String,
    pub body: BodyLength,
    /// The client wants the connection closed after the answer.
    pub close: bool,
    /// `Expect: 100-continue`.
    pub expects_continue: bool,
    pub identity: Identity,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Get,
    Head,
    Post,
    Other,
}

/// How the end of the body is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyLength {
    Fixed(u64),
    Chunked,
}

impl Head {
    /// Reads a head from the start of `bytes`; none when it is not complete yet.
    ///
    /// # Errors
    /// The status to answer with: 400 when it is not HTTP, 431 when it is too large.
    pub fn parse(bytes: &[u8]) -> Result<Option<Self>, u16> {
        if bytes.is_empty() {
            return Ok(None);
        }
        let mut fields = [httparse::EMPTY_HEADER; MOST_FIELDS];
        let mut request = httparse::Request::new(&mut fields);
        let len = match request.parse(bytes) {
            Ok(httparse::Status::Complete(len)) => len,
            Ok(httparse::Status::Partial) if bytes.len() > LONGEST => return Err(431),
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(httparse::Error::TooManyHeaders) => return Err(431),
            Err(_) => return Err(400),
        };
        let target = request.path.unwrap_or("/");
        let http10 = request.version == Some(0);
        let mut head = Self {
            len,
            method: match request.method {
                Some("GET") => Method::Get,
                Some("HEAD") => Method::Head,
                Some("POST") => Method::Post,
                _ => Method::Other,
            },
            path: target.split(['?', '#']).next().unwrap_or("/").to_owned(),
            body: BodyLength::Fixed(0),
            close: http10,
            expects_continue: false,
            identity: Identity::default(),
        };
        for field in request.headers.iter() {
            let is = |name: &str| field.name.eq_ignore_ascii_case(name);
            if is("content-length") {
                let text = std::str::from_utf8(field.value).map_err(|_| 400u16)?;
                head.body = BodyLength::Fixed(text.trim().parse().map_err(|_| 400u16)?);
            } else if is("transfer-encoding") {
                head.body = BodyLength::Chunked;
            } else if is("connection") {
                let value = field.value.to_ascii_lowercase();
                head.close = value.windows(5).any(|w| w == b"close")
                    || (http10 && !value.windows(10).any(|w| w == b"keep-alive"));
            } else if is("expect") {
                head.expects_continue = field.value.eq_ignore_ascii_case(b"100-continue");
            } else {
                head.identity.notice(field.name, field.value);
            }
        }
        Ok(Some(head))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_when_complete() {
        let text = b"POST /v1/chat/completions?x=1 HTTP/1.1\r\nHost: a\r\nX-Request-ID: r-1\r\nContent-Length: 12\r\n\r\nbody";
        for cut in 0..text.len() - 4 {
            assert!(matches!(Head::parse(&text[..cut]), Ok(None)), "cut at {cut}");
        }
        let head = Head::parse(text).expect("readable").expect("complete");
        assert_eq!(
            (head.len, head.method, head.path.as_str()),
            (text.len() - 4, Method::Post, "/v1/chat/completions")
        );
        assert_eq!((head.body, head.close), (BodyLength::Fixed(12), false));
        assert_eq!(head.identity.request_id.as_deref(), Some("r-1"));
    }

    #[test]
    fn connection_lifetime_follows_version_and_header() {
        let cases = [
            ("HTTP/1.1\r\n", false),
            ("HTTP/1.1\r\nConnection: Close\r\n", true),
            ("HTTP/1.0\r\n", true),
            ("HTTP/1.0\r\nConnection: keep-alive\r\n", false),
        ];
        for (rest, close) in cases {
            let text = format!("GET / {rest}\r\n");
            let head = Head::parse(text.as_bytes()).expect("readable").expect("complete");
            assert_eq!(head.close, close, "{rest}");
        }
    }

    #[test]
    fn what_is_no_head_is_refused() {
        assert_eq!(Head::parse(b"\x16\x03\x01 not http\r\n\r\n").err(), Some(400));
        assert_eq!(Head::parse(b"POST / HTTP/1.1\r\nContent-Length: many\r\n\r\n").err(), Some(400));
        let long = [b"GET / HTTP/1.1\r\nA: ".as_slice(), &vec![b'x'; LONGEST]].concat();
        assert_eq!(Head::parse(&long).err(), Some(431));
    }
}
