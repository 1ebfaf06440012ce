//! From the errors of the layers below to one class, one side and one plain sentence.

mod tls;

use std::error::Error;
use std::io;

use tokmeter_record::{ErrorClass, MonoNs, Phase, Side};

use crate::exchange::TransportError;

/// More causes than this are not kept.
const MAX_CAUSES: usize = 8;

/// A failure before its phase and instant are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) class: ErrorClass,
    pub(crate) side: Side,
    pub(crate) message: String,
    pub(crate) causes: Vec<String>,
    /// The connection ended, or the server said it did nothing: on a kept-alive connection, and before any
    /// byte of an answer, the request may be sent once more on a new one.
    pub(crate) replaceable: bool,
    /// No byte of the request had been written: it may be sent on a new connection whatever was received.
    pub(crate) unsent: bool,
}

impl Failure {
    pub(crate) fn new(class: ErrorClass, side: Side, message: impl Into<String>) -> Self {
        Failure {
            class,
            side,
            message: message.into(),
            causes: Vec::new(),
            replaceable: false,
            unsent: false,
        }
    }

    /// With an error and everything beneath it as causes.
    pub(crate) fn caused_by(mut self, error: &(dyn Error + 'static)) -> Self {
        let mut next = Some(error);
        while let Some(cause) = next {
            if self.causes.len() == MAX_CAUSES {
                break;
            }
            let text = cause.to_string();
            // Wrappers often repeat what they wrap.
            if self.causes.last() != Some(&text) {
                self.causes.push(text);
            }
            next = below(cause);
        }
        self
    }

    /// As the exchange carries it.
    pub(crate) fn at(self, phase: Phase, at: MonoNs) -> TransportError {
        TransportError {
            class: self.class,
            phase,
            side: self.side,
            message: self.message,
            causes: self.causes,
            at,
        }
    }

    /// The peer closed or reset the connection; `phase` says during what.
    fn disconnected(what: &str, phase: Phase) -> Self {
        let when = match phase {
            Phase::Blocked | Phase::Dns | Phase::Connecting => "while it was being set up",
            Phase::Tls => "during the TLS handshake",
            Phase::Sending => "while the request was being sent",
            Phase::Waiting => "before the response body began",
            Phase::Receiving => "before the response was complete",
        };
        let mut made = Failure::new(ErrorClass::Disconnected, Side::Network, format!("{what} {when}"));
        made.replaceable = true;
        made
    }

    /// An I/O error of an established or nascent connection. `peer` is named in the message where it helps.
    pub(crate) fn from_io(error: &io::Error, phase: Phase, peer: &str) -> Self {
        if let Some(tls) = inner::<rustls::Error>(error) {
            return Failure::from_tls(tls, phase, peer).caused_by(error);
        }
        use io::ErrorKind as Kind;
        let connecting = matches!(phase, Phase::Blocked | Phase::Dns | Phase::Connecting);
        let made = match error.kind() {
            Kind::ConnectionRefused => Failure::new(
                ErrorClass::ConnectionRefused,
                Side::Network,
                format!("connection refused by {peer}: nothing listens there"),
            ),
            Kind::HostUnreachable | Kind::NetworkUnreachable | Kind::NetworkDown => {
                Failure::new(ErrorClass::Unreachable, Side::Network, format!("no route to {peer}"))
            }
            Kind::TimedOut => Failure::new(
                ErrorClass::Unreachable,
                Side::Network,
                format!("{peer} stopped answering on the network"),
            ),
            Kind::AddrNotAvailable | Kind::AddrInUse => Failure::new(
                ErrorClass::ClientResources,
                Side::Client,
                format!(
                    "no free local port for a connection to {peer}; reuse connections or add source addresses"
                ),
            ),
            Kind::OutOfMemory => {
                Failure::new(ErrorClass::ClientResources, Side::Client, "out of memory for sockets")
            }
            Kind::PermissionDenied if connecting => Failure::new(
                ErrorClass::Unreachable,
                Side::Network,
                format!("this machine may not connect to {peer} (firewall or sandbox)"),
            ),
            Kind::ConnectionReset | Kind::ConnectionAborted => {
                Failure::disconnected("the server reset the connection", phase)
            }
            Kind::BrokenPipe | Kind::UnexpectedEof | Kind::NotConnected | Kind::WriteZero => {
                Failure::disconnected("the server closed the connection", phase)
            }
            // hyper reports broken framing (chunk sizes, trailers) as these two.
            Kind::InvalidData | Kind::InvalidInput if !connecting => {
                if error.to_string().contains("over limit") {
                    Failure::new(
                        ErrorClass::LimitExceeded,
                        Side::Server,
                        "the response has too many chunk extensions or trailers",
                    )
                } else {
                    Failure::new(
                        ErrorClass::Protocol,
                        Side::Server,
                        format!("the response body breaks HTTP framing: {error}"),
                    )
                }
            }
            _ => match error.raw_os_error() {
                Some(libc::EMFILE) => Failure::new(
                    ErrorClass::ClientResources,
                    Side::Client,
                    "too many open files in this process; raise the limit (ulimit -n) or lower concurrency",
                ),
                Some(libc::ENFILE) => Failure::new(
                    ErrorClass::ClientResources,
                    Side::Client,
                    "too many open files on this machine",
                ),
                Some(libc::ENOBUFS | libc::ENOMEM) => {
                    Failure::new(ErrorClass::ClientResources, Side::Client, "out of memory for sockets")
                }
                _ => Failure::new(ErrorClass::Other, Side::Network, format!("{peer}: {error}")),
            },
        };
        made.caused_by(error)
    }

    /// A failure of HTTP/1.1.
    pub(crate) fn from_hyper(
        error: &hyper::Error,
        phase: Phase,
        peer: &str,
        max_header_bytes: usize,
    ) -> Self {
        // hyper tells the size of a head apart for servers only; the text is all there is.
        let made = if error.is_parse() && error.to_string().contains("too large") {
            Failure::new(
                ErrorClass::LimitExceeded,
                Side::Server,
                format!(
                    "the response head exceeds the limit ({max_header_bytes} bytes, or its number of lines)"
                ),
            )
        } else if error.is_parse_version_h2() {
            Failure::new(
                ErrorClass::Protocol,
                Side::Server,
                "the server speaks HTTP/2 only on this port; ask for HTTP version 2",
            )
        } else if error.is_parse() {
            Failure::new(
                ErrorClass::Protocol,
                Side::Server,
                format!("the response is not valid HTTP/1.1: {error}"),
            )
        } else if mentions(error, "unexpected message") {
            Failure::new(
                ErrorClass::Protocol,
                Side::Server,
                "the server sent bytes before it was asked anything",
            )
        } else if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
            Failure::disconnected("the server closed the connection", phase)
        } else if let Some(io) = find::<io::Error>(error) {
            let mut made = Failure::from_io(io, phase, peer);
            made.causes.clear();
            made
        } else {
            Failure::new(ErrorClass::Protocol, Side::Server, format!("HTTP/1.1 failed: {error}"))
        };
        made.caused_by(error)
    }

    /// A failure of HTTP/2.
    pub(crate) fn from_h2(error: &h2::Error, phase: Phase, peer: &str) -> Self {
        if let Some(io) = error.get_io() {
            let mut made = Failure::from_io(io, phase, peer);
            made.causes.clear();
            return made.caused_by(error);
        }
        let reason = error.reason();
        let mut made = if error.is_go_away() && error.is_remote() {
            Failure::new(
                ErrorClass::Disconnected,
                Side::Server,
                format!("the server ended the HTTP/2 connection (GOAWAY, {})", reason_words(reason)),
            )
        } else if error.is_reset() && error.is_remote() {
            Failure::new(
                ErrorClass::Disconnected,
                Side::Server,
                format!("the server reset the HTTP/2 stream (RST_STREAM, {})", reason_words(reason)),
            )
        } else if error.is_library() || reason.is_some() {
            Failure::new(
                ErrorClass::Protocol,
                Side::Server,
                format!("the response is not valid HTTP/2: {error}"),
            )
        } else {
            Failure::new(
                ErrorClass::Disconnected,
                Side::Network,
                format!("the HTTP/2 connection ended: {error}"),
            )
        };
        made.replaceable = error.is_go_away() || reason == Some(h2::Reason::REFUSED_STREAM);
        made.caused_by(error)
    }
}

fn reason_words(reason: Option<h2::Reason>) -> String {
    let words = match reason {
        Some(h2::Reason::NO_ERROR) => "without error",
        Some(h2::Reason::REFUSED_STREAM) => "stream refused",
        Some(h2::Reason::CANCEL) => "cancelled",
        Some(h2::Reason::INTERNAL_ERROR) => "internal error",
        Some(h2::Reason::ENHANCE_YOUR_CALM) => "too much load",
        Some(h2::Reason::FLOW_CONTROL_ERROR) => "flow control error",
        Some(h2::Reason::PROTOCOL_ERROR) => "protocol error",
        Some(h2::Reason::HTTP_1_1_REQUIRED) => "HTTP/1.1 required",
        Some(other) => return other.to_string(),
        None => "no reason given",
    };
    words.into()
}

/// The next error beneath, also inside an `io::Error` that wraps one.
fn below<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    if let Some(io) = error.downcast_ref::<io::Error>() {
        return io.get_ref().map(|inner| inner as &(dyn Error + 'static));
    }
    error.source()
}

/// The first error of a type in a chain.
fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(cause) = next {
        if let Some(found) = cause.downcast_ref::<T>() {
            return Some(found);
        }
        next = below(cause);
    }
    None
}

/// Whether an error or one beneath it says this: hyper keeps some of its kinds to itself.
fn mentions(error: &(dyn Error + 'static), words: &str) -> bool {
    let mut next = Some(error);
    while let Some(cause) = next {
        if cause.to_string().contains(words) {
            return true;
        }
        next = below(cause);
    }
    false
}

/// What an `io::Error` wraps, if it is of this type.
fn inner<T: Error + 'static>(error: &io::Error) -> Option<&T> {
    find::<T>(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn out_of_files_is_this_machines_fault() {
        let error = io::Error::from_raw_os_error(libc::EMFILE);
        let failure = Failure::from_io(&error, Phase::Connecting, "10.0.0.1:80");
        assert_eq!((failure.class, failure.side), (ErrorClass::ClientResources, Side::Client));
        let error = io::Error::from_raw_os_error(libc::EADDRNOTAVAIL);
        let failure = Failure::from_io(&error, Phase::Connecting, "10.0.0.1:80");
        assert_eq!((failure.class, failure.side), (ErrorClass::ClientResources, Side::Client));
        assert!(failure.message.contains("10.0.0.1:80"));
    }

    #[test]
    fn causes_are_outermost_first_and_not_repeated() {
        let wrapped = io::Error::other(io::Error::new(io::ErrorKind::ConnectionReset, "deep"));
        let failure = Failure::new(ErrorClass::Other, Side::Network, "x").caused_by(&wrapped);
        assert_eq!(failure.causes, ["deep"]);
    }

    #[test]
    fn tls_inside_io_is_recognized() {
        let wrapped = io::Error::new(
            io::ErrorKind::InvalidData,
            rustls::Error::InvalidCertificate(rustls::CertificateError::Expired),
        );
        let failure = Failure::from_io(&wrapped, Phase::Tls, "llm.test:443");
        assert_eq!(failure.class, ErrorClass::Tls);
        assert!(failure.message.contains("expired"), "{}", failure.message);
    }
}
