//! The push parser: bytes in as they arrive, events out as soon as they are complete.

use std::borrow::Cow;

use tokmeter_record::MonoNs;

use super::Event;
use super::scanner::{Block, Scanner};

/// Largest event a [`Parser`] accepts unless told otherwise: 16 MiB from its first field to its blank line.
pub const DEFAULT_EVENT_LIMIT: usize = 16 * 1024 * 1024;

/// An event outgrew the parser's limit. Events before it were delivered; the rest of the stream is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("event of more than {limit} bytes")]
pub struct EventTooLarge {
    /// The limit, in bytes.
    pub limit: usize,
}

/// Incremental reader. It holds the bytes of at most one incomplete event, never more than the limit.
#[derive(Debug)]
pub struct Parser {
    scanner: Scanner,
    /// Bytes of the open block; empty between events.
    buffer: Vec<u8>,
    last_id: Vec<u8>,
    limit: usize,
    last_read: MonoNs,
    last_event: Option<MonoNs>,
    failed: bool,
}

impl Default for Parser {
    fn default() -> Self {
        Self::new(DEFAULT_EVENT_LIMIT)
    }
}

impl Parser {
    /// A parser at the start of a stream that refuses events of more than `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Parser {
            scanner: Scanner::new(),
            buffer: Vec::new(),
            last_id: Vec::new(),
            limit,
            last_read: MonoNs::default(),
            last_event: None,
            failed: false,
        }
    }

    /// Takes the bytes of one read, stamped `at`, and hands every event they complete to `sink`.
    ///
    /// # Errors
    /// [`EventTooLarge`] when an event, finished or not, is over the limit; every later call fails too.
    pub fn push(
        &mut self,
        bytes: &[u8],
        at: MonoNs,
        sink: &mut impl FnMut(Event<'_>),
    ) -> Result<(), EventTooLarge> {
        if bytes.is_empty() {
            return self.check(0);
        }
        self.last_read = at;
        self.check(0)?;
        // Without a remainder the events borrow from the caller's bytes; only a remainder is copied.
        if self.buffer.is_empty() {
            self.scan(bytes, sink)?;
            let rest = self.scanner.cut();
            self.buffer.extend_from_slice(&bytes[rest..]);
        } else {
            let mut buffer = std::mem::take(&mut self.buffer);
            buffer.extend_from_slice(bytes);
            let outcome = self.scan(&buffer, sink);
            let rest = self.scanner.cut();
            buffer.drain(..rest);
            self.buffer = buffer;
            outcome?;
        }
        self.check(self.buffer.len())
    }

    /// Ends the stream: an event that lacks its blank line is delivered, marked incomplete.
    ///
    /// # Errors
    /// [`EventTooLarge`] when the parser had failed before.
    pub fn finish(mut self, sink: &mut impl FnMut(Event<'_>)) -> Result<(), EventTooLarge> {
        self.check(0)?;
        let buffer = std::mem::take(&mut self.buffer);
        if let Some(block) = self.scanner.finish(&buffer) {
            let at = self.last_read;
            self.deliver(&buffer, block, at, true, sink);
        }
        Ok(())
    }

    /// Comment lines so far (keep-alive pings).
    pub fn comments(&self) -> u64 {
        self.scanner.comments
    }

    /// The reconnection time the server asked for last, in ms.
    pub fn retry_ms(&self) -> Option<u64> {
        self.scanner.retry_ms
    }

    fn scan(&mut self, bytes: &[u8], sink: &mut impl FnMut(Event<'_>)) -> Result<(), EventTooLarge> {
        while let Some(block) = self.scanner.next(bytes) {
            self.check(self.scanner.longest)?;
            let at = self.last_read;
            self.deliver(bytes, block, at, false, sink);
        }
        self.check(self.scanner.longest)?;
        // The bytes go away after this call; an id that stays in force is kept aside.
        if let Some(id) = self.scanner.id.take() {
            self.last_id.clear();
            self.last_id.extend_from_slice(id.of(bytes));
        }
        Ok(())
    }

    fn deliver(
        &mut self,
        bytes: &[u8],
        block: Block,
        at: MonoNs,
        incomplete: bool,
        sink: &mut impl FnMut(Event<'_>),
    ) {
        let coalesced = self.last_event.replace(at) == Some(at);
        let data = block.data.map_or(self.scanner.joined.as_slice(), |span| span.of(bytes));
        let id = self.scanner.id.map_or(self.last_id.as_slice(), |span| span.of(bytes));
        sink(Event { data: Cow::Borrowed(data), name: block.name.of(bytes), id, at, coalesced, incomplete });
    }

    fn check(&mut self, size: usize) -> Result<(), EventTooLarge> {
        self.failed |= size > self.limit;
        if self.failed {
            self.buffer = Vec::new();
            return Err(EventTooLarge { limit: self.limit });
        }
        Ok(())
    }
}
