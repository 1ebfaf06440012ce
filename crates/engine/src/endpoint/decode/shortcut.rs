//! The shortcut that makes most events of a stream nearly free.
//!
//! The events of one stream differ in little more than their text: id, model, time and structure stay the
//! same bytes. Once an event has been parsed and did nothing but bring one text, given as one plain string
//! of its JSON, the bytes before and after that text are remembered. A later event with the same bytes
//! before and after, and between them characters that neither end the string nor need an escape, is the
//! same JSON with another text: parsing it could not tell more. Everything else is parsed.

use memchr::memchr2;

use crate::endpoint::DeltaKind;
use crate::endpoint::reading::{Reading, TextPiece};

/// Patterns kept at a time: choices take turns, and so do reasoning and content.
const KEPT: usize = 4;

/// Patterns of the stream being read.
#[derive(Debug, Default)]
pub(super) struct Shortcuts<'a> {
    patterns: [Option<Pattern<'a>>; KEPT],
    oldest: usize,
}

#[derive(Clone, Copy, Debug)]
struct Pattern<'a> {
    before: &'a [u8],
    after: &'a [u8],
    kind: DeltaKind,
    choice: usize,
}

impl<'a> Shortcuts<'a> {
    /// Reads an event that fits a pattern; false: it must be parsed.
    pub fn read(&self, data: &[u8], reading: &mut Reading) -> bool {
        let found = self.patterns.iter().flatten().find_map(|pattern| {
            let text = data.strip_prefix(pattern.before)?.strip_suffix(pattern.after)?;
            Some((pattern, text))
        });
        let Some((pattern, text)) = found else { return false };
        // An empty text may make a server's other fields count; quotes, escapes and controls end the likeness.
        let plain =
            !text.is_empty() && memchr2(b'"', b'\\', text).is_none() && text.iter().all(|byte| *byte >= 0x20);
        match std::str::from_utf8(text) {
            Ok(text) if plain => {
                reading.text(pattern.kind, pattern.choice, text);
                true
            }
            _ => false,
        }
    }

    /// Remembers an event that was parsed and brought this one text.
    pub fn learn(&mut self, data: &'a [u8], text: TextPiece) {
        let Some(pattern) = Pattern::of(data, text) else { return };
        self.patterns[self.oldest] = Some(pattern);
        self.oldest = (self.oldest + 1) % KEPT;
    }
}

impl<'a> Pattern<'a> {
    /// `None` when the text is no plain string inside `data`: it held escapes or was put together.
    fn of(data: &'a [u8], text: TextPiece) -> Option<Self> {
        let start = text.address.checked_sub(data.as_ptr().addr())?;
        let end = start.checked_add(text.length)?;
        let (before, after) = (data.get(..start)?, data.get(end..)?);
        let quoted = before.last() == Some(&b'"') && after.first() == Some(&b'"');
        quoted.then_some(Pattern { before, after, kind: text.kind, choice: text.choice })
    }
}
