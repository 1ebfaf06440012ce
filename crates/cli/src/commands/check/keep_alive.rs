//! Whether a connection can be used again, after a page and after a stream.

use std::time::Duration;

use serde::Serialize;
use tokmeter_http::Exchange;
use tokmeter_record::trace::AttemptKind;

use super::probe::Probe;

/// Time a server gets to close a connection that it will not keep.
const PAUSE: Duration = Duration::from_millis(50);

/// Use of a connection after an answer. Absent: it could not be seen.
#[derive(Debug, Default, Serialize)]
pub struct KeepAlive {
    /// After a page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after_page: Option<Kept>,
    /// After an answer with text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after_answer: Option<Kept>,
}

/// What became of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kept {
    /// The next request used it.
    #[serde(rename = "kept")]
    Open,
    /// The server closed it; the next request had to connect.
    Closed,
    /// The server closed it while the next request was on its way, which was then sent again.
    ClosedLate,
}

/// Another page after the one that was got before.
pub fn after_a_page(probe: &Probe) -> KeepAlive {
    KeepAlive { after_page: next(probe), after_answer: None }
}

/// A page after an answer with text.
pub fn after_a_stream(probe: &Probe, before: KeepAlive) -> KeepAlive {
    KeepAlive { after_answer: next(probe), ..before }
}

fn next(probe: &Probe) -> Option<Kept> {
    std::thread::sleep(PAUSE);
    let exchange = probe.get(&probe.models.path, "application/json");
    exchange.head.as_ref().map(|_| kept(&exchange))
}

fn kept(exchange: &Exchange) -> Kept {
    let trace = &exchange.trace;
    if trace.attempts.iter().any(|attempt| attempt.kind == AttemptKind::StaleConnection) {
        Kept::ClosedLate
    } else if trace.connection_reused_ns.is_some() {
        Kept::Open
    } else {
        Kept::Closed
    }
}
