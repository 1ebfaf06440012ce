//! Settings of framing, line ends and connection lifetimes.

use serde::{Deserialize, Serialize};

/// How a stream is framed and cut.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Wire {
    /// When bytes are handed to the kernel. Default: every event by itself.
    pub flush: Flush,
    /// Events in one HTTP chunk. Above 1 an event waits for the others of its chunk. Default 1.
    pub events_per_chunk: usize,
    /// Cut events into HTTP chunks of at most so many bytes. Default: not cut.
    pub chunk_bytes: Option<usize>,
    /// Cut what is written, chunk framing included, into writes of at most so many bytes; 1 splits
    /// at every byte. Default: not cut.
    pub write_bytes: Option<usize>,
    /// Microseconds between the pieces of a cut write, so that the reader sees them apart.
    /// Default 0.
    pub write_pause_us: u64,
    /// When the chunk that only names the role is sent. Default: at once.
    pub role_chunk: RoleChunk,
    /// Hold the response head back until the first event is due. Default off: sent at once.
    pub headers_with_first_event: bool,
    /// Line ends of the stream. Default LF.
    pub line_end: LineEnd,
    /// Write `data:` without the usual space. Default off.
    pub no_space: bool,
    /// Start the stream with a byte order mark. Default off.
    pub bom: bool,
    /// Put each payload on two `data:` lines. Default off.
    pub split_data_lines: bool,
    /// Give chat and completions events the line `event: message`, and `id:` lines. Default off.
    pub event_lines: bool,
    /// Leave out the `event:` lines of APIs that name their events; the type is in the data too
    /// (HF `transformers serve`). Default off.
    pub no_event_lines: bool,
    /// Send a comment (`: ping`) before every so many-th event. Default never.
    pub ping_every_events: Option<u32>,
    /// Leave out the blank line of the last event. Default off.
    pub no_final_blank_line: bool,
    /// How many `data: [DONE]` events end a chat or completions stream: 0, 1 or more. Default 1.
    pub done_events: u32,
    /// Send `103 Early Hints` before the response. Default off.
    pub early_hints: bool,
}

impl Default for Wire {
    fn default() -> Self {
        Self {
            flush: Flush::PerEvent,
            events_per_chunk: 1,
            chunk_bytes: None,
            write_bytes: None,
            write_pause_us: 0,
            role_chunk: RoleChunk::Immediate,
            headers_with_first_event: false,
            line_end: LineEnd::Lf,
            no_space: false,
            bom: false,
            split_data_lines: false,
            event_lines: false,
            no_event_lines: false,
            ping_every_events: None,
            no_final_blank_line: false,
            done_events: 1,
            early_hints: false,
        }
    }
}

/// When written bytes go to the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Flush {
    /// One `write` for the head and one for every HTTP chunk.
    PerEvent,
    /// Everything that is due goes into one `write` (of up to 64 KiB).
    Coalesce,
}

impl Flush {
    /// Names on the command line.
    pub const ALL: [(&'static str, Self); 2] = [("per-event", Self::PerEvent), ("coalesce", Self::Coalesce)];
}

/// Where a chat stream names the role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RoleChunk {
    /// An event with empty content as soon as the request is read.
    Immediate,
    /// In the event of the first token (Dynamo).
    WithFirstToken,
    /// Nowhere.
    None,
}

impl RoleChunk {
    /// Names on the command line.
    pub const ALL: [(&'static str, Self); 3] =
        [("immediate", Self::Immediate), ("with-first-token", Self::WithFirstToken), ("none", Self::None)];
}

/// Line ends of an event stream; the standard allows all three, also mixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LineEnd {
    /// `\n`
    Lf,
    /// `\r\n`
    Crlf,
    /// `\r`
    Cr,
    /// Another one for every line, never a CR before an LF that would make them one.
    Mixed,
}

impl LineEnd {
    /// Names on the command line.
    pub const ALL: [(&'static str, Self); 4] =
        [("lf", Self::Lf), ("crlf", Self::Crlf), ("cr", Self::Cr), ("mixed", Self::Mixed)];
}

/// When connections end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Connections {
    /// Keep connections open between requests. Off answers every request with
    /// `Connection: close`. Default on.
    pub keep_alive: bool,
    /// Requests of one connection; the last one is answered with `Connection: close`. Default no
    /// limit.
    pub max_requests: Option<u64>,
    /// Milliseconds after which an idle connection is closed without a word. Default never.
    pub idle_timeout_ms: Option<u64>,
    /// Close after every stream without having announced it (llama.cpp). Default off.
    pub silent_close_after_stream: bool,
    /// Keep answering a client that has shut down its sending side; otherwise that counts as a
    /// disconnect, as in uvicorn and hyper. Default off.
    pub allow_half_close: bool,
    /// Flow-control window of an HTTP/2 request body in bytes. Default 1 MiB.
    pub http2_window: u32,
    /// Speak HTTP/2 to clients that start with its preface. Default on.
    pub http2: bool,
}

impl Default for Connections {
    fn default() -> Self {
        Self {
            keep_alive: true,
            max_requests: None,
            idle_timeout_ms: None,
            silent_close_after_stream: false,
            allow_half_close: false,
            http2_window: 1 << 20,
            http2: true,
        }
    }
}
