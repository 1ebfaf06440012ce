//! A trace for <https://ui.perfetto.dev> (`--export-perfetto`): one track for each connection, requests as slices
//! and their phases inside.
//!
//! The form is Chrome's JSON trace event format: complete events (`X`) with microseconds since the begin of the
//! run, names of tracks as metadata (`M`), reads and failed attempts as instants (`i`).
//!
//! Slices of one track may only nest, so a request is moved where it would cross another: what it waited for
//! its connection is shown on a track of waiting requests, and the streams of an HTTP/2 connection that overlap
//! have tracks of their own beside it.

mod tracks;

use std::collections::HashSet;
use std::io::{self, Write};

use serde_json::{Value, json};

use crate::request::RequestRecord;
use crate::time::{Instant, WallNs};
use crate::trace::{Phase, TraceData};

use tracks::{Place, Tracks};

/// Writes the file request by request, in the order in which they finished. Unless it is finished, the file is
/// not valid JSON. Memory is bounded: of connections that ended long ago, nothing is kept.
#[derive(Debug)]
pub struct PerfettoWriter<W: Write> {
    writer: W,
    line: Vec<u8>,
    begin: WallNs,
    events: u64,
    tracks: Tracks,
    processes: HashSet<u32>,
}

impl<W: Write> PerfettoWriter<W> {
    /// Begins the file. Time 0 of the trace is `begin`; nothing may have happened before.
    ///
    /// # Errors
    /// The writer's own.
    pub fn new(mut writer: W, begin: WallNs) -> io::Result<Self> {
        // A string: JavaScript's numbers do not hold it.
        let other = json!({"begin_wall_ns": begin.0.to_string()});
        write!(writer, "{{\"displayTimeUnit\":\"ms\",\"otherData\":{other},\"traceEvents\":[")?;
        Ok(PerfettoWriter {
            writer,
            line: Vec::with_capacity(4096),
            begin,
            events: 0,
            tracks: Tracks::default(),
            processes: HashSet::new(),
        })
    }

    /// Adds a request of any phase and outcome. A record without `trace_data` is not shown; false says so.
    ///
    /// # Errors
    /// The writer's own.
    pub fn record(&mut self, record: &RequestRecord) -> io::Result<bool> {
        let Some(trace) = &record.trace_data else { return Ok(false) };
        self.line.clear();
        let start = trace.start_ns.unwrap_or(record.metadata.request_start_ns);
        let end = end(record, trace).max(start);
        let process = process(record);
        if self.processes.insert(process) {
            self.name("process_name", process, 0, &record.metadata.worker_id);
        }
        let place = match &trace.connection {
            Some(connection) => Place::Connection(connection.connection_id),
            None => Place::Unconnected(process),
        };
        let granted = trace.connection_pool_wait_end_ns.map_or(start, |at| at.clamp(start, end));
        // A connection that was in use at the start and free at the grant is what the request waited for.
        let waited = !self.tracks.is_free(place, start) && self.tracks.is_free(place, granted);
        let shown_from = if waited { granted } else { start };
        if shown_from > start {
            let track = self.track(Place::Waiting(process), process, start, shown_from, trace);
            let args = json!({"x_request_id": record.metadata.x_request_id});
            self.slice(On { process, track }, "blocked", "phase", (start, shown_from), &args);
        }
        let on = On { process, track: self.track(place, process, shown_from, end, trace) };
        let name = if record.is_success() { "request" } else { "failed request" };
        let category = record.metadata.benchmark_phase.as_str();
        self.slice(on, name, category, (shown_from, end), &args(record, trace));
        self.inside(on, trace, shown_from, end);
        self.writer.write_all(&self.line)?;
        Ok(true)
    }

    /// Ends the file.
    ///
    /// # Errors
    /// The writer's own.
    pub fn finish(mut self) -> io::Result<W> {
        self.writer.write_all(b"\n]}\n")?;
        self.writer.flush()?;
        Ok(self.writer)
    }

    /// Phases, reads and failed attempts of a request, within its slice.
    fn inside(&mut self, on: On, trace: &TraceData, start: WallNs, end: WallNs) {
        let mut free_from = start;
        for span in trace.spans() {
            let (from, to) = (span.start.clamp(free_from, end), span.end.clamp(free_from, end));
            if to > from {
                self.slice(on, phase_name(span.phase), "phase", (from, to), &json!({}));
                free_from = to;
            }
        }
        for attempt in &trace.attempts {
            let args = json!({"address": attempt.address, "reason": attempt.reason});
            self.instant(on, "failed attempt", attempt.end_ns.clamp(start, end), &args);
        }
        for chunk in &trace.response_chunks {
            self.instant(on, "read", chunk.0.clamp(start, end), &json!({"bytes": chunk.1}));
        }
    }

    /// The track for a slice; named when it is a new one.
    fn track(&mut self, place: Place, process: u32, start: WallNs, end: WallNs, trace: &TraceData) -> u32 {
        let track = self.tracks.take(place, start, end);
        if track.is_new {
            let mut name = match place {
                Place::Connection(id) => {
                    let to = trace.connection.as_ref().and_then(|connection| connection.remote_address());
                    format!("connection {} to {}", id as u32, to.as_deref().unwrap_or("unknown"))
                }
                Place::Waiting(_) => "waiting for a connection".to_owned(),
                Place::Unconnected(_) => "no connection".to_owned(),
            };
            if track.beside > 0 {
                name.push_str(&format!(", {}", track.beside + 1));
            }
            self.name("thread_name", process, track.id, &name);
        }
        track.id
    }

    fn slice(&mut self, on: On, name: &str, category: &str, (from, to): (WallNs, WallNs), args: &Value) {
        let On { process, track } = on;
        let (at, length) = (self.time(from), Microseconds(to.since(from)));
        self.event(&format!(
            r#"{{"ph":"X","pid":{process},"tid":{track},"ts":{at},"dur":{length},"name":"{name}","cat":"{category}","args":{args}}}"#
        ));
    }

    fn instant(&mut self, On { process, track }: On, name: &str, at: WallNs, args: &Value) {
        let at = self.time(at);
        self.event(&format!(
            r#"{{"ph":"i","s":"t","pid":{process},"tid":{track},"ts":{at},"name":"{name}","args":{args}}}"#
        ));
    }

    fn name(&mut self, kind: &str, process: u32, track: u32, name: &str) {
        let args = json!({"name": name});
        self.event(&format!(r#"{{"ph":"M","pid":{process},"tid":{track},"name":"{kind}","args":{args}}}"#));
    }

    fn event(&mut self, text: &str) {
        self.line.extend_from_slice(if self.events == 0 { b"\n" } else { b",\n" });
        self.line.extend_from_slice(text.as_bytes());
        self.events += 1;
    }

    fn time(&self, at: WallNs) -> Microseconds {
        Microseconds(at.since(self.begin))
    }
}

/// Where an event is drawn.
#[derive(Clone, Copy)]
struct On {
    process: u32,
    track: u32,
}

/// Nanoseconds, printed as microseconds without loss.
struct Microseconds(u64);

impl std::fmt::Display for Microseconds {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "{}.{:03}", self.0 / 1000, self.0 % 1000)
    }
}

/// The last instant of a request: the trace's own, and not before the record's.
fn end(record: &RequestRecord, trace: &TraceData) -> WallNs {
    let ends = [trace.response_receive_end_ns, trace.error_timestamp_ns];
    ends.into_iter().flatten().fold(record.metadata.request_end_ns, WallNs::max)
}

/// The shard, from the number at the end of its name.
fn process(record: &RequestRecord) -> u32 {
    let digits = record.metadata.worker_id.rsplit('_').next().unwrap_or_default();
    u32::from_str_radix(digits, 16).unwrap_or(0).saturating_add(1)
}

fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::Blocked => "blocked",
        Phase::Dns => "dns_lookup",
        Phase::Connecting => "tcp_connecting",
        Phase::Tls => "tls_handshaking",
        Phase::Sending => "sending",
        Phase::Waiting => "waiting",
        Phase::Receiving => "receiving",
    }
}

/// What a viewer shows of a request when it is clicked.
fn args(record: &RequestRecord, trace: &TraceData) -> Value {
    json!({
        "x_request_id": record.metadata.x_request_id,
        "session_num": record.metadata.session_num,
        "turn_index": record.metadata.turn_index,
        "status": trace.response_status_code,
        "request_bytes": trace.request_bytes_total,
        "response_bytes": trace.response_bytes_total,
        "reads": trace.response_chunks_count,
        "nth_on_connection": trace.connection_request_number,
        "stamp_source": trace.stamp_source,
        "client_recv_lag_us": trace.client_recv_lag_ns.map(|lag| lag as f64 / 1e3),
        "error": record.error.as_ref().map(|error| error.message.as_str()),
    })
}

#[cfg(test)]
mod tests;
