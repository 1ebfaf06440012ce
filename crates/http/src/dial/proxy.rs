//! The tunnel through an HTTP proxy (`CONNECT`).

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokmeter_record::{ErrorClass, Phase, Side};

use crate::config::Proxy;
use crate::exchange::Origin;
use crate::failure::Failure;
use crate::io::Socket;

/// A proxy's answer longer than this is not read on.
const MAX_ANSWER: usize = 16 * 1024;

/// Asks the proxy for a tunnel to the origin.
pub(super) async fn open_tunnel(socket: &mut Socket, proxy: &Proxy, origin: &Origin) -> Result<(), Failure> {
    let target = origin.host_port();
    let name = format!("the proxy {}:{}", proxy.host, proxy.port);
    let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n").into_bytes();
    if let Some(authorization) = &proxy.authorization {
        request.extend_from_slice(b"Proxy-Authorization: ");
        request.extend_from_slice(authorization.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    let io = |error: std::io::Error| Failure::from_io(&error, Phase::Connecting, &name);
    socket.write_all(&request).await.map_err(io)?;
    let mut answer = Vec::with_capacity(512);
    while memchr::memmem::find(&answer, b"\r\n\r\n").is_none() {
        if answer.len() > MAX_ANSWER {
            return Err(Failure::new(
                ErrorClass::LimitExceeded,
                Side::Network,
                format!("{name} answers with more than {MAX_ANSWER} bytes of head"),
            ));
        }
        if socket.read_buf(&mut answer).await.map_err(io)? == 0 {
            return Err(Failure::new(
                ErrorClass::Disconnected,
                Side::Network,
                format!("{name} closed the connection instead of opening a tunnel"),
            ));
        }
    }
    match status(&answer) {
        Some((200..=299, _)) => Ok(()),
        Some((407, _)) => Err(Failure::new(
            ErrorClass::Unreachable,
            Side::Network,
            format!("{name} wants a user name and password (http://user:password@proxy)"),
        )),
        Some((code, reason)) => Err(Failure::new(
            ErrorClass::Unreachable,
            Side::Network,
            format!("{name} does not connect to {target}: {code} {reason}"),
        )),
        None => Err(Failure::new(
            ErrorClass::Protocol,
            Side::Network,
            format!("{name} does not answer as an HTTP proxy"),
        )),
    }
}

/// Status code and reason of a response head; the reason bounded and printable.
fn status(answer: &[u8]) -> Option<(u16, String)> {
    let line = answer.split(|byte| *byte == b'\r').next()?;
    let line = std::str::from_utf8(line).ok()?.strip_prefix("HTTP/1.")?;
    let mut words = line.splitn(3, ' ');
    words.next()?;
    let code = words.next()?.parse().ok()?;
    let reason = words.next().unwrap_or_default().chars().filter(|c| !c.is_control()).take(80).collect();
    Some((code, reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_lines() {
        assert_eq!(
            status(b"HTTP/1.1 200 Connection established\r\n\r\n"),
            Some((200, "Connection established".into()))
        );
        assert_eq!(status(b"HTTP/1.0 407\r\n\r\n"), Some((407, String::new())));
        assert_eq!(status(b"SSH-2.0-OpenSSH\r\n\r\n"), None);
        assert_eq!(status(b"HTTP/1.1 abc\r\n\r\n"), None);
    }
}
