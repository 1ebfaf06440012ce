//! Reading a server's URL as people write it.

use std::fmt;
use std::net::Ipv6Addr;
use std::sync::Arc;

use http::HeaderValue;

use crate::exchange::Origin;

/// A URL taken apart: where to connect and what to ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Scheme, host and port.
    pub origin: Arc<Origin>,
    /// Path and query as written; empty when there is none.
    pub path: String,
    /// `Authorization` made from `user:password@` of the URL; marked sensitive, so that it is never printed.
    pub authorization: Option<HeaderValue>,
}

impl Target {
    /// The path without query and without a slash at its end, to put an endpoint's path after.
    pub fn base_path(&self) -> &str {
        let path = self.path.split('?').next().unwrap_or_default();
        path.trim_end_matches('/')
    }

    /// The path to ask for: as written, `/` when there is none.
    pub fn request_path(&self) -> String {
        match self.path.as_str() {
            "" => "/".into(),
            query if query.starts_with('?') => format!("/{query}"),
            path => path.into(),
        }
    }
}

/// Why a URL was refused. The text names the fault and the remedy, and never repeats a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Nothing there.
    #[error("the URL is empty; write for example http://localhost:8000")]
    Empty,
    /// A blank, tab, line end or control character.
    #[error("the URL {0:?} contains white space or a control character")]
    WhiteSpace(String),
    /// A scheme other than http and https.
    #[error("the URL scheme {0:?} is not supported; use http:// or https://")]
    Scheme(String),
    /// No host before the port or path.
    #[error("the URL {0:?} names no host")]
    NoHost(String),
    /// A character that no host name has.
    #[error("the host name {0:?} is not valid{1}")]
    Host(String, &'static str),
    /// A port that is no number from 1 to 65535.
    #[error("the port {0:?} is not a number from 1 to 65535")]
    Port(String),
    /// `#...`.
    #[error("the URL has a fragment (#...), which is never sent to a server; leave it out")]
    Fragment,
    /// `user:password@` with a broken percent escape.
    #[error("the user name or password in the URL has a broken percent escape")]
    UserInfo,
    /// A path with characters that must be percent-encoded.
    #[error("the path {0:?} has characters that must be percent-encoded")]
    Path(String),
}

impl Origin {
    /// Reads `[http[s]://][user:password@]host[:port][/path][?query]`. Without scheme it is `http`.
    pub fn parse(url: &str) -> Result<Target, UrlError> {
        let url = url.trim();
        if url.is_empty() {
            return Err(UrlError::Empty);
        }
        if url.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(UrlError::WhiteSpace(without_user_info(url)));
        }
        let (tls, rest) = match url.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (false, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (true, rest),
            Some((scheme, _)) => return Err(UrlError::Scheme(scheme.chars().take(20).collect())),
            None => (false, url),
        };
        if rest.contains('#') {
            return Err(UrlError::Fragment);
        }
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (user_info, host_port) = match authority.rsplit_once('@') {
            Some((user_info, host_port)) => (Some(user_info), host_port),
            None => (None, authority),
        };
        let (host, port) = split_port(host_port)?;
        if host.is_empty() {
            return Err(UrlError::NoHost(without_user_info(url)));
        }
        if path
            .bytes()
            .any(|b| !b.is_ascii_graphic() || matches!(b, b'"' | b'<' | b'>' | b'\\' | b'^' | b'`'))
        {
            return Err(UrlError::Path(path.into()));
        }
        let port = match port {
            None => default_port(tls),
            Some(digits) => parse_port(digits)?,
        };
        let origin = Origin { tls, host: checked_host(host)?, port };
        let authorization = user_info.filter(|u| !u.is_empty()).map(basic_authorization).transpose()?;
        Ok(Target { origin: Arc::new(origin), path: path.into(), authorization })
    }

    /// Host and port as the `Host` header has them: brackets around IPv6, no port when it is the scheme's own.
    pub fn authority(&self) -> String {
        if self.port == default_port(self.tls) { self.bracketed_host() } else { self.host_port() }
    }

    /// `host:port`, always with the port.
    pub fn host_port(&self) -> String {
        format!("{}:{}", self.bracketed_host(), self.port)
    }

    fn bracketed_host(&self) -> String {
        if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() }
    }
}

impl fmt::Display for Origin {
    /// `http://host:port`, the port only when it is not the scheme's own.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.tls { "https" } else { "http" }, self.authority())
    }
}

fn default_port(tls: bool) -> u16 {
    if tls { 443 } else { 80 }
}

/// A port from 1 to 65535.
pub(crate) fn parse_port(digits: &str) -> Result<u16, UrlError> {
    let valid = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    match digits.parse::<u16>() {
        Ok(port) if valid && port != 0 => Ok(port),
        _ => Err(UrlError::Port(digits.chars().take(12).collect())),
    }
}

/// Takes `host[:port]` apart; IPv6 literals in brackets.
pub(crate) fn split_port(host_port: &str) -> Result<(&str, Option<&str>), UrlError> {
    if let Some(rest) = host_port.strip_prefix('[') {
        let Some((address, after)) = rest.split_once(']') else {
            return Err(UrlError::Host(host_port.into(), "; the bracket is not closed"));
        };
        if address.parse::<Ipv6Addr>().is_err() {
            return Err(UrlError::Host(host_port.into(), "; only IPv6 addresses are put in brackets"));
        }
        return match after {
            "" => Ok((address, None)),
            _ => match after.strip_prefix(':') {
                Some(port) => Ok((address, Some(port))),
                None => Err(UrlError::Host(host_port.into(), "")),
            },
        };
    }
    match host_port.split_once(':') {
        Some((_, more)) if more.contains(':') => {
            Err(UrlError::Host(host_port.into(), "; write IPv6 addresses in brackets, [::1]"))
        }
        Some((host, port)) => Ok((host, Some(port))),
        None => Ok((host_port, None)),
    }
}

/// Checks the characters of a host and makes it lower case.
pub(crate) fn checked_host(host: &str) -> Result<String, UrlError> {
    if host.contains(':') {
        return match host.parse::<Ipv6Addr>() {
            Ok(address) => Ok(address.to_string()),
            Err(_) => Err(UrlError::Host(host.into(), "; it is no IPv6 address")),
        };
    }
    if !host.is_ascii() {
        return Err(UrlError::Host(host.into(), "; write an international name in its ASCII form (xn--...)"));
    }
    let valid = host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
    if !valid || host.len() > 253 || host.split('.').any(|label| label.len() > 63) {
        return Err(UrlError::Host(host.chars().take(80).collect(), ""));
    }
    Ok(host.to_ascii_lowercase())
}

fn without_user_info(url: &str) -> String {
    let shown = match url.rsplit_once('@') {
        Some((_, after)) => after,
        None => url,
    };
    shown.chars().take(100).collect()
}

/// `Basic` credentials of `user:password`, percent escapes decoded.
pub(crate) fn basic_authorization(user_info: &str) -> Result<HeaderValue, UrlError> {
    let mut plain = Vec::with_capacity(user_info.len() + 1);
    let mut rest = user_info.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'%' {
            plain.push(*first);
            continue;
        }
        let digits = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let byte = digits.and_then(|two| u8::from_str_radix(two, 16).ok()).ok_or(UrlError::UserInfo)?;
        plain.push(byte);
        rest = &after[2..];
    }
    if !user_info.contains(':') {
        plain.push(b':');
    }
    let mut value =
        HeaderValue::try_from(format!("Basic {}", base64(&plain))).map_err(|_| UrlError::UserInfo)?;
    value.set_sensitive(true);
    Ok(value)
}

/// RFC 4648, with padding.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits =
            group.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for position in 0..4 {
            if position <= group.len() {
                text.push(char::from(ALPHABET[(bits >> (18 - 6 * position) & 63) as usize]));
            } else {
                text.push('=');
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(url: &str) -> (bool, String, u16, String) {
        let target = Origin::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"));
        (target.origin.tls, target.origin.host.clone(), target.origin.port, target.path)
    }

    #[test]
    fn urls_as_people_write_them() {
        assert_eq!(parsed("localhost:8000"), (false, "localhost".into(), 8000, String::new()));
        assert_eq!(parsed("host:8000/base"), (false, "host".into(), 8000, "/base".into()));
        assert_eq!(parsed("https://LLM.Example"), (true, "llm.example".into(), 443, String::new()));
        assert_eq!(parsed("http://[::1]:9/v1/"), (false, "::1".into(), 9, "/v1/".into()));
        assert_eq!(parsed("HTTP://10.0.0.7?x=1"), (false, "10.0.0.7".into(), 80, "?x=1".into()));
        assert_eq!(parsed(" gpu_node-1:30000 "), (false, "gpu_node-1".into(), 30000, String::new()));
    }

    #[test]
    fn paths_to_ask_for() {
        let target = Origin::parse("http://h/base/?k=v").expect("valid");
        assert_eq!((target.base_path(), target.request_path().as_str()), ("/base", "/base/?k=v"));
        assert_eq!(Origin::parse("h").expect("valid").request_path(), "/");
        assert_eq!(Origin::parse("h?k=v").expect("valid").request_path(), "/?k=v");
    }

    #[test]
    fn refused_with_the_reason() {
        for (url, part) in [
            ("", "empty"),
            ("http://", "names no host"),
            ("http://:80", "names no host"),
            ("h:0", "1 to 65535"),
            ("h:65536", "1 to 65535"),
            ("h:80x", "1 to 65535"),
            ("h:+8", "1 to 65535"),
            ("h:", "1 to 65535"),
            ("ftp://h", "not supported"),
            ("ho st:80", "white space"),
            ("::1:8000", "brackets"),
            ("[::1:8000", "not closed"),
            ("[zz]:80", "IPv6"),
            ("http://h/#top", "fragment"),
            ("http://bücher.example", "xn--"),
            ("http://h/a\u{e9}", "percent-encoded"),
            ("http://a:%zz@h", "percent escape"),
        ] {
            let error = Origin::parse(url).expect_err(url).to_string();
            assert!(error.contains(part), "{url}: {error}");
        }
    }

    #[test]
    fn a_password_becomes_a_header_and_nothing_else() {
        let target = Origin::parse("https://us%40er:s3cr%3At@h:1/x").expect("valid");
        let value = target.authorization.clone().expect("credentials");
        assert_eq!(value.as_bytes(), b"Basic dXNAZXI6czNjcjp0");
        assert!(value.is_sensitive());
        let shown = format!("{target:?} {}", target.origin);
        assert!(!shown.contains("s3cr") && !shown.contains("dXNAZXI6czNjcjp0"), "{shown}");
        let error = Origin::parse("http://u:s3cret@ho st").expect_err("a blank").to_string();
        assert!(!error.contains("s3cret"), "{error}");
    }

    #[test]
    fn base64_vectors_of_rfc_4648() {
        for (plain, coded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }

    #[test]
    fn the_host_header() {
        for (url, authority) in
            [("h:80", "h"), ("https://h:443", "h"), ("https://h:80", "h:80"), ("[::1]:8000", "[::1]:8000")]
        {
            assert_eq!(Origin::parse(url).expect("valid").origin.authority(), authority);
        }
    }
}
