//! The grammar: lines, fields and blocks, as offsets into a buffer that the caller owns.

use memchr::{memchr, memchr2};

/// A range of the buffer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    pub start: usize,
    pub end: usize,
}

impl Span {
    pub fn of(self, bytes: &[u8]) -> &[u8] {
        bytes.get(self.start..self.end).unwrap_or_default()
    }

    fn moved_down(self, by: usize) -> Span {
        Span { start: self.start.saturating_sub(by), end: self.end.saturating_sub(by) }
    }
}

/// A block of lines that makes an event.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    /// The only `data` line; `None`: several, joined in [`Scanner::joined`].
    pub data: Option<Span>,
    pub name: Span,
    /// Offset of the byte that completed the block.
    pub last_byte: usize,
}

/// What the `data` lines of the open block have given so far.
#[derive(Clone, Copy, Debug, Default)]
enum Data {
    #[default]
    None,
    One(Span),
    Joined,
}

/// Position in a buffer that only grows, or whose front is cut off with [`Scanner::cut`].
#[derive(Debug, Default)]
pub(super) struct Scanner {
    /// Start of the stream is behind us: no byte-order mark can follow.
    started: bool,
    /// The last line ended with CR at the end of the buffer: an LF here belongs to it.
    skip_lf: bool,
    /// First byte of the open block; bytes before it are no longer needed.
    pub block: usize,
    /// First byte of the open line.
    line: usize,
    /// No line end before this offset in the open line.
    scanned: usize,
    data: Data,
    name: Span,
    /// Last valid `id` line not yet copied away by the caller.
    pub id: Option<Span>,
    /// Joined `data` lines of the last block that had several.
    pub joined: Vec<u8>,
    /// Most bytes that a caller who keeps only the open block had to hold so far.
    pub longest: usize,
    pub comments: u64,
    pub retry_ms: Option<u64>,
}

const BOM: &[u8] = b"\xEF\xBB\xBF";

impl Scanner {
    pub fn new() -> Self {
        Self::default()
    }

    /// The next block that is complete in `bytes` and makes an event.
    pub fn next(&mut self, bytes: &[u8]) -> Option<Block> {
        if !self.started && !self.skip_bom(bytes) {
            return None;
        }
        loop {
            if self.skip_lf {
                match bytes.get(self.line) {
                    None => return None,
                    Some(b'\n') => self.start_line(self.line + 1),
                    Some(_) => {}
                }
                self.skip_lf = false;
            }
            let Some(found) = memchr2(b'\n', b'\r', bytes.get(self.scanned..)?) else {
                self.scanned = bytes.len();
                return None;
            };
            let line = Span { start: self.line, end: self.scanned + found };
            self.skip_lf = bytes[line.end] == b'\r';
            self.longest = self.longest.max(line.end - self.block);
            self.start_line(line.end + 1);
            if line.start == line.end {
                if let Some(block) = self.dispatch(line.end) {
                    return Some(block);
                }
            } else {
                self.field(bytes, line);
            }
        }
    }

    /// The rest of the stream, read as if a line end and a blank line followed, if it has data.
    pub fn finish(&mut self, bytes: &[u8]) -> Option<Block> {
        if self.line < bytes.len() {
            let line = Span { start: self.line, end: bytes.len() };
            // A number that was cut is no number; the line matters only for the event it belongs to.
            let before = (self.retry_ms, self.comments);
            self.start_line(line.end);
            self.field(bytes, line);
            (self.retry_ms, self.comments) = before;
        }
        self.dispatch(bytes.len().saturating_sub(1))
    }

    /// Forgets the bytes before [`Scanner::block`]: the caller removes them from the buffer.
    pub fn cut(&mut self) -> usize {
        let by = std::mem::take(&mut self.block);
        self.line -= by;
        self.scanned -= by;
        self.name = self.name.moved_down(by);
        self.id = self.id.map(|id| id.moved_down(by));
        if let Data::One(span) = self.data {
            self.data = Data::One(span.moved_down(by));
        }
        by
    }

    /// False while the bytes so far could still be the beginning of a byte-order mark.
    fn skip_bom(&mut self, bytes: &[u8]) -> bool {
        if bytes.len() < BOM.len() && BOM.starts_with(bytes) {
            return false;
        }
        self.started = true;
        if bytes.starts_with(BOM) {
            self.start_line(BOM.len());
            self.block = BOM.len();
        }
        true
    }

    fn start_line(&mut self, at: usize) {
        self.line = at;
        self.scanned = at;
        // Comments, ids and unknown fields open no block: an endless row of pings needs no memory.
        if matches!(self.data, Data::None) && self.name == Span::default() {
            self.block = at;
        }
    }

    fn dispatch(&mut self, last_byte: usize) -> Option<Block> {
        let name = std::mem::take(&mut self.name);
        let data = std::mem::take(&mut self.data);
        self.block = self.line;
        let data = match data {
            Data::None => return None,
            Data::One(span) => Some(span),
            Data::Joined => None,
        };
        Some(Block { data, name, last_byte })
    }

    fn field(&mut self, bytes: &[u8], line: Span) {
        let text = line.of(bytes);
        // Nearly every line of a token stream is this one.
        if let Some(rest) = text.strip_prefix(b"data:") {
            let skipped = 5 + usize::from(rest.first() == Some(&b' '));
            self.open_block(line.start);
            return self.data_line(bytes, Span { start: line.start + skipped, end: line.end });
        }
        let (field, value) = match memchr(b':', text) {
            Some(0) => {
                self.comments += 1;
                return;
            }
            Some(colon) => {
                let blank = usize::from(text.get(colon + 1) == Some(&b' '));
                (&text[..colon], Span { start: line.start + colon + 1 + blank, end: line.end })
            }
            None => (text, Span { start: line.end, end: line.end }),
        };
        match field {
            b"data" => {
                self.open_block(line.start);
                self.data_line(bytes, value);
            }
            b"event" => {
                self.open_block(line.start);
                self.name = value;
            }
            b"id" if memchr(0, value.of(bytes)).is_none() => {
                self.id = Some(value);
            }
            b"retry" => {
                let digits = value.of(bytes);
                if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) {
                    let number = digits
                        .iter()
                        .fold(0u64, |n, digit| n.saturating_mul(10).saturating_add(u64::from(digit - b'0')));
                    self.retry_ms = Some(number);
                }
            }
            _ => {}
        }
    }

    /// The block begins with its first `data` or `event` line.
    fn open_block(&mut self, line_start: usize) {
        if matches!(self.data, Data::None) && self.name == Span::default() {
            self.block = line_start;
        }
    }

    fn data_line(&mut self, bytes: &[u8], value: Span) {
        match self.data {
            Data::None => self.data = Data::One(value),
            Data::One(first) => {
                self.joined.clear();
                self.joined.extend_from_slice(first.of(bytes));
                self.joined.push(b'\n');
                self.joined.extend_from_slice(value.of(bytes));
                self.data = Data::Joined;
            }
            Data::Joined => {
                self.joined.push(b'\n');
                self.joined.extend_from_slice(value.of(bytes));
            }
        }
    }
}
