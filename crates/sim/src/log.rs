//! What was served and when: the truth that tests and benches compare a client with.

mod store;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub(crate) use store::LogStore;

/// One finished inference request. Times are nanoseconds of CLOCK_MONOTONIC unless named `wall`
/// (CLOCK_REALTIME since the epoch); 0 means that it did not happen.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RequestLog {
    /// Arrival number over all connections, from 1.
    pub ordinal: u64,
    /// `X-Request-ID` of the request.
    pub x_request_id: Option<String>,
    /// `X-Correlation-ID` of the request.
    pub x_correlation_id: Option<String>,
    /// `traceparent` of the request.
    pub traceparent: Option<String>,
    /// Which accepted connection, from 1.
    pub connection: u64,
    /// Which request of that connection, from 1.
    pub nth_on_connection: u64,
    /// The connection speaks HTTP/2. Its stamps are those of frames handed to the HTTP library,
    /// not of writes.
    pub http2: bool,
    /// Request path without query.
    pub path: String,
    /// Answered as a stream.
    pub stream: bool,
    /// Model the request named.
    pub model: String,
    /// Bytes of prompt text.
    pub prompt_bytes: u64,
    /// Prompt tokens: whitespace-separated words.
    pub prompt_tokens: u32,
    /// Prompt tokens found in the prefix cache.
    pub cached_tokens: u32,
    /// Output tokens the script intended.
    pub planned_tokens: u32,
    /// Output tokens written.
    pub sent_tokens: u32,
    /// Maximum of output tokens the request named.
    pub max_tokens: Option<u64>,
    /// Bytes of the request body.
    pub body_bytes: u64,
    /// The request body, when [`crate::LogConfig::bodies`] is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The read that held the end of the request head returned.
    pub head_received_ns: u64,
    /// The read that held the last byte of the request returned.
    pub body_received_ns: u64,
    /// The same instant on the wall clock.
    pub body_received_wall_ns: u64,
    /// A slot became free (see [`crate::Timing::max_running`]); the schedule starts here.
    pub admitted_ns: u64,
    /// The write with the response head was called.
    pub headers_write_start_ns: u64,
    /// That write returned.
    pub headers_written_ns: u64,
    /// Status of the response; 0 when none was sent.
    pub status: u16,
    /// One row per write of body bytes, in order, when [`crate::LogConfig::writes`] is on.
    pub writes: Vec<WriteLog>,
    /// The request was over.
    pub end_ns: u64,
    /// The same instant on the wall clock.
    pub end_wall_ns: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// Name of the scripted fault, when one applied.
    pub fault: Option<String>,
}

/// How a request ended on the server's side.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Answered in full as scripted, no fault.
    Completed,
    /// Refused by the rules of the server: unreadable, too large, unauthorized, unknown model.
    Rejected,
    /// The client went away first.
    ClientDisconnected,
    /// A scripted fault applied, see [`RequestLog::fault`].
    Fault,
    /// The server was stopped.
    #[default]
    ServerStopped,
}

/// One write of response bytes; in JSON an array of the fields in this order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "WriteRow", into = "WriteRow")]
pub struct WriteLog {
    /// When its last event was due (monotonic).
    pub scheduled_ns: u64,
    /// Just before the system call (monotonic).
    pub write_start_ns: u64,
    /// Just after it returned (monotonic).
    pub write_end_ns: u64,
    /// Just after it returned (wall clock).
    pub wall_ns: u64,
    /// Bytes of the write, framing included (and the response head, when it was in the same write).
    pub bytes: u32,
    /// Tokens whose event ended in this write.
    pub tokens: u32,
    /// Events that ended in this write.
    pub events: u32,
}

type WriteRow = (u64, u64, u64, u64, u32, u32, u32);

impl From<WriteRow> for WriteLog {
    fn from(row: WriteRow) -> Self {
        let (scheduled_ns, write_start_ns, write_end_ns, wall_ns, bytes, tokens, events) = row;
        Self { scheduled_ns, write_start_ns, write_end_ns, wall_ns, bytes, tokens, events }
    }
}

impl From<WriteLog> for WriteRow {
    fn from(w: WriteLog) -> Self {
        (w.scheduled_ns, w.write_start_ns, w.write_end_ns, w.wall_ns, w.bytes, w.tokens, w.events)
    }
}

impl RequestLog {
    /// The write that carried the first token.
    pub fn first_token_write(&self) -> Option<&WriteLog> {
        self.writes.iter().find(|write| write.tokens > 0)
    }
}

/// Reads a log file of [`crate::LogConfig::file`].
///
/// # Errors
/// The file cannot be read, or a line is not a [`RequestLog`].
pub fn read_log_file(path: impl Into<PathBuf>) -> std::io::Result<Vec<RequestLog>> {
    let path = path.into();
    let text = std::fs::read_to_string(&path)?;
    text.lines()
        .map(|line| {
            serde_json::from_str(line).map_err(|error| {
                std::io::Error::new(std::io::ErrorKind::InvalidData, format!("{}: {error}", path.display()))
            })
        })
        .collect()
}
