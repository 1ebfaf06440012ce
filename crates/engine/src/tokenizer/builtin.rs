//! `o200k_base` from the embedded table.

use tiktoken_rs::CoreBPE;

/// Longest run handed to the encoder at once, in bytes. Its regular expression backtracks over long runs
/// of one kind and gives up (by panicking) at about a million steps; texts of servers are not trusted.
const RUN: usize = 16 * 1024;

fn encoder() -> &'static CoreBPE {
    tiktoken_rs::o200k_base_singleton()
}

pub(super) fn count(text: &str) -> usize {
    parts(text).map(|part| encoder().count_ordinary(part)).sum()
}

pub(super) fn encode(text: &str) -> Vec<u32> {
    parts(text).flat_map(|part| encoder().encode_ordinary(part)).collect()
}

/// `text` in parts of at most [`RUN`] bytes, cut before a single space between two letters, where no token
/// crosses; a run without such a place is cut at a character.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (part, left) = rest.split_at(cut(rest));
        rest = left;
        Some(part)
    })
}

fn cut(text: &str) -> usize {
    if text.len() <= RUN {
        return text.len();
    }
    let bytes = text.as_bytes();
    let between_words = |&at: &usize| {
        bytes[at] == b' ' && bytes[at - 1].is_ascii_alphabetic() && bytes[at + 1].is_ascii_alphabetic()
    };
    (RUN / 2..RUN).rev().find(between_words).unwrap_or_else(|| text.floor_char_boundary(RUN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_give_the_tokens_of_the_whole() {
        let text = "The quick brown fox, and then (again) the lazy dog. ".repeat(2_000);
        assert!(text.len() > 5 * RUN);
        assert_eq!(encode(&text), encoder().encode_ordinary(&text));
    }

    #[test]
    fn hostile_runs_are_counted_quickly() {
        let begin = std::time::Instant::now();
        for run in [" ", "a", "\n", "é", "!", "1", "한"] {
            assert!(count(&run.repeat(200_000)) > 1_000);
        }
        // Quadratic behaviour would need hours; the bound is far above any slow machine.
        assert!(begin.elapsed().as_secs() < 120, "{:?}", begin.elapsed());
    }
}
