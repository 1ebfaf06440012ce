//! Server-sent events, read as the WHATWG standard says (HTML, "Server-sent events": parsing an event
//! stream, interpreting an event stream).
//!
//! Two ways in, one grammar (`scanner`), the same events out:
//! * [`events`] walks a finished [`StampedBody`]; an event with one `data` line borrows from the body.
//! * [`Parser`] takes bytes as they arrive, for a caller that acts while the stream is still open.
//!
//! Line ends may be LF, CR, CRLF or any mixture; a byte-order mark is skipped; an event may be split at any
//! byte and several may share one read. Every event carries the instant of the read that held the end of
//! its blank line, and says whether an earlier event came out of the same read: the stamp of such an
//! earlier event is late by an unknown amount, and a report should count it and not hide it.
//!
//! **Where this reader says more than the standard.** At the end of a stream the standard throws away an
//! event that lacks its blank line. A measuring client needs it: some servers leave the last blank line
//! out, and a stream that was cut in the middle of an event must be told from one that ended between two.
//! So the rest is delivered, marked [`Event::incomplete`], and a browser-like consumer skips it.
//!
//! Text is handed out as bytes. Line ends, colons and blanks are ASCII, so decoding each field (lossily) gives
//! the same characters as decoding the whole stream first, as the standard does.

mod parser;
mod scanner;

use std::borrow::Cow;

use tokmeter_record::MonoNs;

use crate::exchange::StampedBody;
use scanner::{Block, Scanner};

pub use parser::{DEFAULT_EVENT_LIMIT, EventTooLarge, Parser};

/// One event of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// The `data` lines, joined by LF. May be empty (a bare `data:` line).
    pub data: Cow<'a, [u8]>,
    /// The `event` field; empty where the standard says `message`.
    pub name: &'a [u8],
    /// The last event id in force: of this event or of an earlier one. Empty when none was given.
    pub id: &'a [u8],
    /// The read that held the end of the blank line (of an incomplete event: the last read).
    pub at: MonoNs,
    /// An earlier event was completed by the same read.
    pub coalesced: bool,
    /// The stream ended before the blank line; the standard discards such an event.
    pub incomplete: bool,
}

impl Event<'_> {
    /// The event type of the standard: the `event` field, or `message`.
    pub fn event_type(&self) -> &[u8] {
        if self.name.is_empty() { b"message" } else { self.name }
    }

    /// The event as field lines, for writing it to a file: `event` when it has one, then `data` (joined).
    pub fn fields(&self) -> impl Iterator<Item = (&'static str, Cow<'_, str>)> {
        let name = (!self.name.is_empty()).then_some(("event", self.name));
        name.into_iter()
            .chain([("data", &*self.data)])
            .map(|(field, value)| (field, String::from_utf8_lossy(value)))
    }
}

/// The events of a finished body, in order.
pub fn events(body: &StampedBody) -> Events<'_> {
    Events { body, scanner: Scanner::new(), chunk: 0, last_at: None, finished: false }
}

/// Iterator over the events of a [`StampedBody`].
#[derive(Debug)]
pub struct Events<'a> {
    body: &'a StampedBody,
    scanner: Scanner,
    /// First chunk that may hold the end of the next event.
    chunk: usize,
    last_at: Option<MonoNs>,
    finished: bool,
}

impl<'a> Events<'a> {
    /// Comment lines so far (keep-alive pings).
    pub fn comments(&self) -> u64 {
        self.scanner.comments
    }

    /// The reconnection time the server asked for last, in ms.
    pub fn retry_ms(&self) -> Option<u64> {
        self.scanner.retry_ms
    }

    /// Stamp of the read that held the byte at `offset`.
    fn stamp(&mut self, offset: usize) -> MonoNs {
        let chunks = &self.body.chunks;
        while self.chunk + 1 < chunks.len() && chunks[self.chunk].end as usize <= offset {
            self.chunk += 1;
        }
        chunks.get(self.chunk).map_or(MonoNs::default(), |chunk| chunk.at)
    }

    fn event(&mut self, block: Block, incomplete: bool) -> Event<'a> {
        let bytes = self.body.bytes.as_slice();
        let at = self.stamp(block.last_byte);
        let coalesced = self.last_at.replace(at) == Some(at);
        let data = match block.data {
            Some(span) => Cow::Borrowed(span.of(bytes)),
            None => Cow::Owned(std::mem::take(&mut self.scanner.joined)),
        };
        let id = self.scanner.id.map_or(&[][..], |span| span.of(bytes));
        Event { data, name: block.name.of(bytes), id, at, coalesced, incomplete }
    }
}

impl<'a> Iterator for Events<'a> {
    type Item = Event<'a>;

    fn next(&mut self) -> Option<Event<'a>> {
        if self.finished {
            return None;
        }
        if let Some(block) = self.scanner.next(&self.body.bytes) {
            return Some(self.event(block, false));
        }
        self.finished = true;
        self.scanner.finish(&self.body.bytes).map(|block| self.event(block, true))
    }
}

impl std::iter::FusedIterator for Events<'_> {}

#[cfg(test)]
mod tests;
