//! `--record`: the traffic as a trace without its content, in the format of Mooncake
//! (<https://github.com/kvcache-ai/Mooncake>), one JSON object for each request.
//!
//! A thread of its own counts tokens and hashes blocks of 64 of them, each with all before it, so that equal ids mean
//! equal prefixes. The key of the hash is made at the start and written nowhere: an id cannot be tried against
//! guessed texts. Requests are lost, and counted, rather than waited for.

mod prompt;

use std::collections::HashMap;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use http::request::Parts;
use serde::Serialize;

use super::RecordCounts;
use super::config::ConfigError;
use super::request_body::ForwardBody;
use super::routes::endpoint_of;
use super::service::header_text;
use crate::tracker::PerformanceTracker;

/// Tokens of a hashed block.
pub const BLOCK_TOKENS: usize = 64;
/// Requests that wait for the writer at most.
const QUEUE: usize = 1024;
/// A pause of so long puts what was written on the disk.
const FLUSH: Duration = Duration::from_secs(1);
/// Sessions whose last end is remembered at most.
const MAX_SESSIONS: usize = 100_000;
/// Headers that name a session, the first one that is there.
const SESSION_HEADERS: [&str; 4] = ["x-session-id", "x-correlation-id", "x-session-affinity", "session_id"];

/// Writes the trace.
#[derive(Debug)]
pub struct Recorder {
    started: Instant,
    queue: Mutex<Option<SyncSender<Request>>>,
    writer: Mutex<Option<JoinHandle<io::Result<u64>>>>,
    lost: Arc<AtomicU64>,
}

/// A finished request on its way to the writer.
struct Request {
    arrived: Duration,
    ended: Duration,
    body: Vec<u8>,
    output_tokens: u64,
    session: Option<String>,
}

/// A line of the trace.
#[derive(Serialize)]
struct Line {
    /// Arrival in ms since the gateway started.
    timestamp: f64,
    input_length: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_length: Option<u64>,
    hash_ids: Vec<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<String>,
    /// Pause since the end of the session's previous request, in ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    delay: Option<f64>,
}

impl Recorder {
    /// Creates the file and starts the writer.
    pub fn create(path: &Path) -> Result<Self, ConfigError> {
        let failed = |source| ConfigError::Record { path: path.to_owned(), source };
        let file = File::create(path).map_err(failed)?;
        let (queue, requests) = sync_channel(QUEUE);
        let writer =
            std::thread::Builder::new().name("recorder".into()).spawn(move || write(file, &requests));
        Ok(Recorder {
            started: Instant::now(),
            queue: Mutex::new(Some(queue)),
            writer: Mutex::new(Some(writer.map_err(failed)?)),
            lost: Arc::default(),
        })
    }

    /// Follows a request; its line is written when it is over. Only requests for generated text are recorded.
    pub fn follow(&self, head: &Parts, body: &mut ForwardBody, tracker: &PerformanceTracker) {
        const RECORDED: [&str; 4] =
            ["/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages"];
        if !endpoint_of(head.uri.path()).is_some_and(|endpoint| RECORDED.contains(&endpoint)) {
            return;
        }
        let Some(queue) = self.queue.lock().unwrap_or_else(PoisonError::into_inner).clone() else { return };
        let session = SESSION_HEADERS.iter().map(|name| header_text(&head.headers, name));
        let session = session.filter(|value| !value.is_empty()).map(str::to_owned).next();
        let now = self.started.elapsed();
        let arrived = now.saturating_sub(tracker.total_duration());
        let (copy, lost) = (body.copy(), Arc::clone(&self.lost));
        tracker.on_end(move |finished| {
            let request = Request {
                arrived,
                ended: arrived + finished.duration,
                body: copy.take(),
                output_tokens: finished.usage.output.unwrap_or(finished.token_events),
                session,
            };
            if queue.try_send(request).is_err() {
                lost.fetch_add(1, Relaxed);
            }
        });
    }

    /// Waits until everything is written.
    pub fn finish(&self) -> io::Result<RecordCounts> {
        drop(self.queue.lock().unwrap_or_else(PoisonError::into_inner).take());
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        let written = match writer.map(JoinHandle::join) {
            None => 0,
            Some(Ok(written)) => written?,
            Some(Err(_)) => return Err(io::Error::other("the writer of the trace panicked")),
        };
        Ok(RecordCounts { written, lost: self.lost.load(Relaxed) })
    }
}

fn write(file: File, requests: &Receiver<Request>) -> io::Result<u64> {
    let mut file = BufWriter::new(file);
    let key = RandomState::new();
    let mut sessions: HashMap<u64, Duration> = HashMap::new();
    let mut written = 0;
    loop {
        let request = match requests.recv_timeout(FLUSH) {
            Ok(request) => request,
            Err(RecvTimeoutError::Timeout) => {
                file.flush()?;
                continue;
            }
            Err(RecvTimeoutError::Disconnected) => break,
        };
        let Some(text) = prompt::text_of(&request.body) else { continue };
        let (input_length, hash_ids) = blocks(&key, &text);
        let mut delay = None;
        let session = request.session.as_ref().map(|session| key.hash_one(("session", session)));
        if let Some(session) = session {
            if sessions.len() >= MAX_SESSIONS {
                sessions.clear();
            }
            let previous = sessions.insert(session, request.ended);
            delay = previous.map(|end| millis(request.arrived.saturating_sub(end)));
        }
        let line = Line {
            timestamp: millis(request.arrived),
            input_length,
            output_length: (request.output_tokens > 0).then_some(request.output_tokens),
            hash_ids,
            session_id: session.map(|session| format!("{session:016x}")),
            delay,
        };
        serde_json::to_writer(&mut file, &line)?;
        file.write_all(b"\n")?;
        written += 1;
    }
    file.flush()?;
    Ok(written)
}

/// Tokens of a text (at least 1), and an id for each whole or begun block of [`BLOCK_TOKENS`].
fn blocks(key: &RandomState, text: &str) -> (usize, Vec<i64>) {
    let tokens = tiktoken_rs::o200k_base_singleton().encode_ordinary(text);
    let mut before = 0_u64;
    let ids = tokens.chunks(BLOCK_TOKENS).map(|block| {
        before = key.hash_one(("block", before, block));
        // Readers take signed numbers, and JSON's are exact up to 2^53.
        (before >> 11).cast_signed()
    });
    let ids: Vec<i64> = ids.collect();
    (tokens.len().max(1), ids)
}

fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_prefixes_have_equal_ids_and_keys_differ() {
        let key = RandomState::new();
        let prefix = "The same words come first in both of these. ".repeat(20);
        let (length, one) = blocks(&key, &format!("{prefix}{}", "one ".repeat(100)));
        let (_, two) = blocks(&key, &format!("{prefix}{}", "two ".repeat(100)));
        assert_eq!(one.len(), length.div_ceil(BLOCK_TOKENS));
        let shared = one.iter().zip(&two).take_while(|(a, b)| a == b).count();
        assert!(shared >= 2 && shared < one.len(), "{shared} of {}", one.len());
        assert!(one[shared..].iter().all(|id| !two.contains(id)), "an id stands for all before it");
        assert_ne!(blocks(&RandomState::new(), &prefix).1, blocks(&key, &prefix).1);
        assert_eq!(blocks(&key, ""), (1, vec![]));
    }
}
