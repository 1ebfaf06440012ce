//! One line: a sample, a metadata comment, or nothing.

use std::borrow::Cow;

use super::label::{Cursor, label_set, unescape};
use super::problem::Fault;
use super::{Exemplar, Label, Limits, Media};

/// A sample line before it knows its family. Its labels were appended to the arena.
#[derive(Debug)]
pub(super) struct RawSample<'a> {
    pub name: Cow<'a, str>,
    pub value: f64,
    pub timestamp_ns: Option<i64>,
    pub exemplar: Option<Exemplar<'a>>,
}

/// Reads a sample line. `expected` is an unquoted name that it may begin with. On an error the arena may have
/// grown; the caller cuts it back.
pub(super) fn sample<'a>(
    line: &'a str,
    expected: &str,
    number: u32,
    media: Media,
    limits: &Limits,
    labels: &mut Vec<Label<'a>>,
) -> Result<RawSample<'a>, Fault> {
    let mut cursor = Cursor::new(line);
    cursor.skip_blanks();
    let mut name = None;
    if cursor.peek() != Some(b'{') {
        name = Some(Cow::Borrowed(cursor.bare_name_like(expected).ok_or(Fault::Name)?));
        if !matches!(cursor.peek(), Some(b' ' | b'\t' | b'{')) {
            return Err(if cursor.peek().is_none() { Fault::Value } else { Fault::Name });
        }
        cursor.skip_blanks();
    }
    if cursor.eat(b'{') {
        label_set(&mut cursor, &mut name, labels, limits)?;
    }
    let name = name.ok_or(Fault::Name)?;
    let value = number_after(&mut cursor, Fault::Value)?;
    let mut timestamp_ns = None;
    let mut exemplar = None;
    cursor.skip_blanks();
    if !matches!(cursor.peek(), None | Some(b'#')) {
        timestamp_ns = Some(timestamp(cursor.word(), media)?);
        cursor.skip_blanks();
    }
    if cursor.eat(b'#') {
        exemplar = Some(read_exemplar(&mut cursor, number, limits)?);
        cursor.skip_blanks();
    }
    if !cursor.rest().is_empty() {
        return Err(Fault::Trailing);
    }
    Ok(RawSample { name, value, timestamp_ns, exemplar })
}

fn number_after(cursor: &mut Cursor<'_>, fault: Fault) -> Result<f64, Fault> {
    cursor.skip_blanks();
    // Rust reads every spelling of the formats: decimal, exponent, NaN and Inf in any case.
    cursor.word().parse().map_err(|_| fault)
}

/// Classic text counts integer milliseconds, OpenMetrics decimal seconds.
fn timestamp(word: &str, media: Media) -> Result<i64, Fault> {
    let digits = if media == Media::OpenMetrics { 9 } else { 6 };
    if let Some(exact) = decimal(word, digits) {
        return Ok(exact);
    }
    match word.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok((value * 10f64.powi(digits as i32)) as i64),
        _ => Err(Fault::Timestamp),
    }
}

/// A plain decimal number times 10^`digits`, exactly; none for other spellings and beyond the range.
fn decimal(word: &str, digits: usize) -> Option<i64> {
    let (whole, fraction) = word.split_once('.').unwrap_or((word, ""));
    if fraction.len() > digits || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let scaled = whole.parse::<i64>().ok()?.checked_mul(10i64.pow(digits as u32))?;
    let rest = format!("{fraction:0<digits$}").parse::<i64>().ok()?;
    scaled.checked_add(if whole.starts_with('-') { -rest } else { rest })
}

/// An exemplar with the cursor behind its `#`. Its time stamp is seconds in both formats.
fn read_exemplar<'a>(cursor: &mut Cursor<'a>, line: u32, limits: &Limits) -> Result<Exemplar<'a>, Fault> {
    cursor.skip_blanks();
    if !cursor.eat(b'{') {
        return Err(Fault::Exemplar);
    }
    let mut labels = Vec::new();
    let mut no_name = Some(Cow::Borrowed(""));
    label_set(cursor, &mut no_name, &mut labels, limits).map_err(|_| Fault::Exemplar)?;
    let value = number_after(cursor, Fault::Exemplar)?;
    cursor.skip_blanks();
    let word = cursor.word();
    let timestamp_ns = if word.is_empty() {
        None
    } else {
        Some(timestamp(word, Media::OpenMetrics).map_err(|_| Fault::Exemplar)?)
    };
    Ok(Exemplar { line, labels, value, timestamp_ns })
}

/// A line that starts with `#`.
#[derive(Debug, PartialEq)]
pub(super) enum Comment<'a> {
    Help(Cow<'a, str>, Cow<'a, str>),
    Type(Cow<'a, str>, &'a str),
    Unit(Cow<'a, str>, &'a str),
    /// `# EOF`: OpenMetrics ends here.
    End,
    /// A comment for people.
    Plain,
}

/// Reads a comment line.
pub(super) fn comment(line: &str, media: Media) -> Result<Comment<'_>, Fault> {
    let mut cursor = Cursor::new(line);
    cursor.skip_blanks();
    cursor.eat(b'#');
    cursor.skip_blanks();
    let keyword = cursor.word();
    match keyword {
        "HELP" | "TYPE" | "UNIT" => {}
        "EOF" if media == Media::OpenMetrics && cursor.rest().trim().is_empty() => return Ok(Comment::End),
        _ => return Ok(Comment::Plain),
    }
    cursor.skip_blanks();
    let name = if cursor.peek() == Some(b'"') {
        cursor.quoted().filter(|name| !name.is_empty()).ok_or(Fault::Metadata)?
    } else {
        Cow::Borrowed(cursor.bare_name().ok_or(Fault::Metadata)?)
    };
    if !matches!(cursor.peek(), None | Some(b' ' | b'\t')) {
        return Err(Fault::Metadata);
    }
    cursor.skip_blanks();
    Ok(match keyword {
        "HELP" => {
            let text = cursor.rest();
            let text = if text.contains('\\') {
                Cow::Owned(unescape(text, media == Media::OpenMetrics))
            } else {
                Cow::Borrowed(text)
            };
            Comment::Help(name, text)
        }
        "TYPE" => Comment::Type(name, cursor.rest().trim_end()),
        _ => Comment::Unit(name, cursor.rest().trim_end()),
    })
}
