//! Text that is no Unicode: some servers cut a character between two tokens.

use std::borrow::Cow;

/// The text with invalid UTF-8 and lone surrogate escapes replaced by U+FFFD; `None`: nothing to repair.
pub(super) fn repaired(data: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(data);
    let changed = matches!(text, Cow::Owned(_));
    let fixed = without_lone_surrogates(&text);
    match fixed {
        Some(fixed) => Some(fixed),
        None => changed.then(|| text.into_owned()),
    }
}

fn without_lone_surrogates(text: &str) -> Option<String> {
    let escape_at = |at: usize| -> Option<u16> {
        let digits = text.get(at..at + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(digits, 16).ok()
    };
    let (mut out, mut kept, mut at) = (String::new(), 0, 0);
    while let Some(found) = memchr::memchr(b'\\', &text.as_bytes()[at..]) {
        let start = at + found;
        let low_follows = || matches!(escape_at(start + 6), Some(0xDC00..=0xDFFF));
        at = match escape_at(start) {
            Some(0xD800..=0xDBFF) if low_follows() => start + 12,
            Some(0xD800..=0xDFFF) => {
                out.push_str(&text[kept..start]);
                out.push('\u{FFFD}');
                kept = start + 6;
                kept
            }
            Some(_) => start + 6,
            // An escaped character, perhaps a backslash. Its length matters: `\\` must not pair with what follows.
            None => start + 1 + text[start + 1..].chars().next().map_or(0, char::len_utf8),
        };
    }
    if kept == 0 {
        return None;
    }
    out.push_str(&text[kept..]);
    Some(out)
}
