//! What a person sees: tables at the end, progress on the way. All text from a server is made harmless first.

pub mod number;
pub mod progress;
pub mod server_metrics;
pub mod side_by_side;
pub mod summary;
pub mod table;

use std::borrow::Cow;
use std::io::{self, IsTerminal};

/// Width of tables without a terminal: enough for every figure.
pub const WIDTH: u16 = 100;

/// Width of tables: the terminal's within reason, else [`WIDTH`].
pub fn width() -> u16 {
    let out = io::stdout();
    match out.is_terminal() {
        true => rustix::termios::tcgetwinsize(out).map_or(WIDTH, |size| size.ws_col).clamp(80, 140),
        false => WIDTH,
    }
}

/// Text that cannot steer a terminal: control characters (escape sequences, line ends) become `�`.
pub fn harmless(text: &str) -> Cow<'_, str> {
    match text.chars().any(char::is_control) {
        true => Cow::Owned(text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()),
        false => Cow::Borrowed(text),
    }
}

/// The same, cut to at most `width` characters.
pub fn harmless_cut(text: &str, width: usize) -> String {
    let text = harmless(text);
    match text.chars().count() <= width {
        true => text.into_owned(),
        false => text.chars().take(width.saturating_sub(1)).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_are_disarmed() {
        assert_eq!(harmless("a\x1b[31mred\nline"), "a\u{fffd}[31mred\u{fffd}line");
        assert_eq!(harmless("plain ü"), "plain ü");
        assert_eq!(harmless_cut("abcdef", 4), "abc…");
    }
}
