//! Label sets: `{name="value",...}`, with quoted names and a quoted metric name inside the braces.

use std::borrow::Cow;

use memchr::memchr2;

use super::problem::Fault;
use super::{Label, Limits};

/// A cursor over one line. All positions are byte offsets at character boundaries.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    line: &'a str,
    at: usize,
}

/// Bytes of an unquoted name: `[a-zA-Z0-9_:]`.
const NAME_BYTE: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        let b = byte as u8;
        table[byte] = b.is_ascii_alphanumeric() || b == b'_' || b == b':';
        byte += 1;
    }
    table
};

/// Whether a name needs no quotes.
pub(super) fn is_bare_name(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit()) && name.bytes().all(|b| NAME_BYTE[usize::from(b)])
}

impl<'a> Cursor<'a> {
    pub(super) fn new(line: &'a str) -> Self {
        Cursor { line, at: 0 }
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.line.as_bytes().get(self.at).copied()
    }

    pub(super) fn eat(&mut self, byte: u8) -> bool {
        let hit = self.peek() == Some(byte);
        self.at += usize::from(hit);
        hit
    }

    pub(super) fn skip_blanks(&mut self) {
        while let Some(b' ' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    /// What is left of the line.
    pub(super) fn rest(&self) -> &'a str {
        &self.line[self.at..]
    }

    /// The text up to the next blank or the end; may be empty.
    pub(super) fn word(&mut self) -> &'a str {
        let rest = self.rest();
        let end = rest.bytes().position(|b| b == b' ' || b == b'\t').unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    /// An unquoted name; none when there is no name character or it starts with a digit.
    pub(super) fn bare_name(&mut self) -> Option<&'a str> {
        let rest = self.rest();
        let bytes = rest.as_bytes();
        let end = bytes.iter().position(|&b| !NAME_BYTE[usize::from(b)]).unwrap_or(bytes.len());
        if end == 0 || bytes[0].is_ascii_digit() {
            return None;
        }
        self.at += end;
        Some(&rest[..end])
    }

    /// An unquoted name of which a beginning is expected: the name of the line before, which nearly always
    /// repeats, need not be looked at byte by byte.
    pub(super) fn bare_name_like(&mut self, expected: &str) -> Option<&'a str> {
        let rest = self.rest();
        if expected.is_empty() || !rest.starts_with(expected) {
            return self.bare_name();
        }
        let more = rest.as_bytes()[expected.len()..].iter().position(|&b| !NAME_BYTE[usize::from(b)]);
        let end = more.map_or(rest.len(), |more| expected.len() + more);
        self.at += end;
        Some(&rest[..end])
    }

    /// A quoted string with the cursor at its opening quote; none when it never closes.
    pub(super) fn quoted(&mut self) -> Option<Cow<'a, str>> {
        let start = self.at + 1;
        let bytes = self.line.as_bytes();
        let mut at = start;
        let mut escaped = false;
        loop {
            at += memchr2(b'"', b'\\', bytes.get(at..)?)?;
            if bytes[at] == b'"' {
                break;
            }
            escaped = true;
            at += 2;
        }
        self.at = at + 1;
        // Both quotes are ASCII, so these are character boundaries; an escape may skip into a character,
        // but the search only stops at ASCII bytes, which never occur inside one.
        let raw = self.line.get(start..at)?;
        Some(if escaped { Cow::Owned(unescape(raw, true)) } else { Cow::Borrowed(raw) })
    }
}

/// Resolves `\\`, `\n` and, where `quotes` says so, `\"`; other escapes stay as they are.
pub(super) fn unescape(raw: &str, quotes: bool) -> String {
    let mut out = String::with_capacity(raw.len());
    let mut chars = raw.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('\\') => out.push('\\'),
            Some('n') => out.push('\n'),
            Some('"') if quotes => out.push('"'),
            Some(other) => {
                out.push('\\');
                out.push(other);
            }
            None => out.push('\\'),
        }
    }
    out
}

/// Reads a label set with the cursor behind its `{`. A quoted string without `=` is the metric name, which
/// is allowed once and only when `name` is still empty.
pub(super) fn label_set<'a>(
    cursor: &mut Cursor<'a>,
    name: &mut Option<Cow<'a, str>>,
    labels: &mut Vec<Label<'a>>,
    limits: &Limits,
) -> Result<(), Fault> {
    let first = labels.len();
    loop {
        cursor.skip_blanks();
        if cursor.eat(b'}') {
            return Ok(());
        }
        let label = if cursor.peek() == Some(b'"') {
            let text = cursor.quoted().ok_or(Fault::Labels)?;
            cursor.skip_blanks();
            if cursor.peek() != Some(b'=') {
                if name.is_some() || text.is_empty() {
                    return Err(Fault::Labels);
                }
                *name = Some(text);
                separator(cursor)?;
                continue;
            }
            text
        } else {
            Cow::Borrowed(cursor.bare_name().ok_or(Fault::Labels)?)
        };
        cursor.skip_blanks();
        if !cursor.eat(b'=') {
            return Err(Fault::Labels);
        }
        cursor.skip_blanks();
        if cursor.peek() != Some(b'"') {
            return Err(Fault::Labels);
        }
        let value = cursor.quoted().ok_or(Fault::Labels)?;
        if labels[first..].iter().any(|known| known.name == label) {
            return Err(Fault::LabelTwice);
        }
        if labels.len() - first >= limits.labels {
            return Err(Fault::TooManyLabels);
        }
        labels.push(Label { name: label, value });
        separator(cursor)?;
    }
}

/// A comma, or the closing brace, which stays.
fn separator(cursor: &mut Cursor<'_>) -> Result<(), Fault> {
    cursor.skip_blanks();
    if cursor.eat(b',') || cursor.peek() == Some(b'}') { Ok(()) } else { Err(Fault::Labels) }
}
