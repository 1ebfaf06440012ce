//! Writes prompts of an exact token count for any tokenizer.
//!
//! For the built-in vocabulary (and when nobody counts) a piece of [`Prose`] is a token and no tokenizer
//! runs. For a `tokenizer.json` the words that are one token there are kept; each text is encoded again
//! and corrected until the count is the one asked for, and what was measured last is what is reported.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use rand_chacha::ChaCha8Rng;

use super::config::CorpusStyle;
use super::prose::{Lexicon, Prose, is_word};
use crate::tokenizer::{FileTokenizer, Tokenizer};

/// Corrections after which the search changes from "as many pieces as are missing" to trying single pieces.
const COARSE_ROUNDS: usize = 6;
/// Single pieces tried for the last gap.
const FINE_CANDIDATES: usize = 64;

/// A writer of prompts. Cheap to share between threads.
#[derive(Clone)]
pub(crate) struct PromptWriter {
    style: CorpusStyle,
    measured: Option<Arc<Measured>>,
}

/// What a `tokenizer.json` makes of the lexicon.
struct Measured {
    tokenizer: Arc<FileTokenizer>,
    lexicon: Cow<'static, Lexicon>,
    /// Tokens of each piece in the middle of a text.
    costs: HashMap<&'static str, u32>,
}

impl Measured {
    fn new(tokenizer: Arc<FileTokenizer>) -> Self {
        // A word's cost is what it adds in context, so that a token put before every text does not count.
        let before = tokenizer.count("the the");
        let cost =
            |piece: &str| tokenizer.count(&format!("the the{piece}")).saturating_sub(before).max(1) as u32;
        let lexicon = Lexicon::keeping(|word| cost(word) == 1, |word| tokenizer.count(word) == 1);
        let lexicon = lexicon.map_or(Cow::Borrowed(Lexicon::all()), Cow::Owned);
        let costs = lexicon.pieces().map(|piece| (piece, cost(piece))).collect();
        Self { tokenizer, lexicon, costs }
    }

    fn count(&self, text: &str) -> u32 {
        u32::try_from(self.tokenizer.count(text)).unwrap_or(u32::MAX)
    }

    fn cost(&self, piece: &'static str) -> u32 {
        self.costs.get(piece).copied().unwrap_or(1)
    }
}

impl PromptWriter {
    pub(crate) fn new(tokenizer: &Tokenizer, style: CorpusStyle) -> Self {
        let measured = match tokenizer {
            Tokenizer::Builtin => None,
            Tokenizer::File(file) => Some(Arc::new(Measured::new(Arc::clone(file)))),
        };
        Self { style, measured }
    }

    /// A text of `tokens` tokens and its count. The two differ only with a tokenizer that has no text of
    /// that length near the one tried; then the count is the measured one.
    pub(crate) fn prompt(&self, rng: ChaCha8Rng, tokens: u32) -> (String, u32) {
        match &self.measured {
            None => {
                let mut text = String::new();
                Prose::new(Lexicon::all(), self.style, rng).write(tokens, &mut text);
                (text, tokens)
            }
            Some(measured) => measured.prompt(Prose::new(&measured.lexicon, self.style, rng), tokens),
        }
    }

    /// Appends about `tokens` tokens to `text`: exactly as many with the built-in vocabulary and with
    /// every tokenizer that splits at words. Equal streams append equal bytes to any non-empty text, and
    /// the text for fewer tokens is a prefix of the text for more.
    pub(crate) fn append(&self, rng: ChaCha8Rng, tokens: u32, text: &mut String) {
        let lexicon = self.measured.as_ref().map_or(Lexicon::all(), |measured| &*measured.lexicon);
        let mut prose = Prose::new(lexicon, self.style, rng);
        let mut left = tokens;
        while left > 0 {
            let piece = prose.next_piece();
            text.push_str(if text.is_empty() { piece.trim_start() } else { piece });
            left = left.saturating_sub(self.measured.as_ref().map_or(1, |measured| measured.cost(piece)));
        }
    }

    /// Tokens of a text made by [`PromptWriter::append`] calls that asked for `asked` tokens in all.
    pub(crate) fn measure(&self, text: &str, asked: u32) -> u32 {
        self.measured.as_ref().map_or(asked, |measured| measured.count(text))
    }
}

impl Measured {
    fn prompt(&self, prose: Prose<'_>, tokens: u32) -> (String, u32) {
        let mut draft = Draft { prose, pieces: Vec::new(), text: String::new() };
        let mut count = 0;
        for _ in 0..COARSE_ROUNDS {
            if count < tokens {
                draft.grow(self, tokens - count);
            } else {
                draft.shrink(self, count - tokens);
            }
            draft.assemble();
            count = self.count(&draft.text);
            if count == tokens {
                return (draft.text, count);
            }
        }
        // Leave a small gap below the target, then close it piece by piece.
        while count > tokens {
            draft.shrink(self, count - tokens);
            draft.assemble();
            count = self.count(&draft.text);
        }
        while count < tokens {
            let Some((piece, reached)) = self.best_addition(&mut draft, count, tokens) else { break };
            draft.text.push_str(piece);
            count = reached;
        }
        (draft.text, count)
    }

    /// The single piece whose addition comes closest to `tokens` without passing it.
    fn best_addition(&self, draft: &mut Draft<'_>, count: u32, tokens: u32) -> Option<(&'static str, u32)> {
        let mut best = None;
        let marks_and_letters = [".", " .", ",", "!", "?", " a", " I", "\n", "0", "1", "x", "-", "\"", "s"];
        let words: Vec<_> = (0..FINE_CANDIDATES).map(|_| draft.prose.spare_word()).collect();
        let length = draft.text.len();
        for piece in words.into_iter().chain(marks_and_letters) {
            let piece = if length == 0 { piece.trim_start() } else { piece };
            draft.text.push_str(piece);
            let reached = self.count(&draft.text);
            draft.text.truncate(length);
            if reached == tokens {
                return Some((piece, reached));
            }
            if reached > count && reached < tokens && best.is_none_or(|(_, most)| reached > most) {
                best = Some((piece, reached));
            }
        }
        best
    }
}

/// A text under correction.
struct Draft<'a> {
    prose: Prose<'a>,
    pieces: Vec<&'static str>,
    text: String,
}

impl Draft<'_> {
    fn grow(&mut self, measured: &Measured, tokens: u32) {
        let mut left = tokens;
        while left > 0 {
            let mut piece = self.prose.next_piece();
            if left == 1 && self.pieces.last().is_some_and(|last| is_word(last)) && measured.cost(".") == 1 {
                piece = ".";
            } else if !is_word(piece) && !self.pieces.last().is_some_and(|last| is_word(last)) {
                piece = self.prose.spare_word();
            }
            self.pieces.push(piece);
            left = left.saturating_sub(measured.cost(piece));
        }
    }

    fn shrink(&mut self, measured: &Measured, tokens: u32) {
        let mut left = tokens;
        while left > 0 && !self.pieces.is_empty() {
            left = left.saturating_sub(self.pieces.pop().map_or(1, |piece| measured.cost(piece)));
        }
    }

    fn assemble(&mut self) {
        self.text.clear();
        for piece in &self.pieces {
            self.text.push_str(if self.text.is_empty() { piece.trim_start() } else { piece });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Seed;

    fn tiny() -> Tokenizer {
        let path = format!("{}/../../tests/fixtures/tokenizer", env!("CARGO_MANIFEST_DIR"));
        Tokenizer::open(&path).expect("fixture")
    }

    #[test]
    fn a_file_tokenizer_is_met_exactly() {
        let tokenizer = tiny();
        let writer = PromptWriter::new(&tokenizer, CorpusStyle::Sonnet);
        for index in 0..160u64 {
            let tokens = 1 + (index * index % 1_501) as u32;
            let (text, count) = writer.prompt(Seed(3).stream_at("test", index), tokens);
            assert_eq!(count, tokens, "{text}");
            assert_eq!(tokenizer.count(&text), tokens as usize, "{text}");
        }
    }

    #[test]
    fn even_a_tokenizer_without_our_words_is_met() {
        // Bytes only: every letter is a token, no word is.
        let dir = tempfile::tempdir().expect("temp dir");
        let path = dir.path().join("tokenizer.json");
        let full: serde_json::Value = serde_json::from_slice(
            &std::fs::read(format!(
                "{}/../../tests/fixtures/tokenizer/tokenizer.json",
                env!("CARGO_MANIFEST_DIR")
            ))
            .expect("fixture"),
        )
        .expect("json");
        let mut bytes_only = full;
        bytes_only["model"]["merges"] = serde_json::json!([]);
        std::fs::write(&path, bytes_only.to_string()).expect("write");
        let tokenizer = Tokenizer::open(path.to_str().expect("utf-8")).expect("bytes only");
        assert_eq!(tokenizer.count(" house"), 6);
        let writer = PromptWriter::new(&tokenizer, CorpusStyle::Sonnet);
        for tokens in [1, 2, 3, 7, 50, 333] {
            let (text, count) = writer.prompt(Seed(3).stream_at("test", u64::from(tokens)), tokens);
            assert_eq!((count, tokenizer.count(&text)), (tokens, tokens as usize), "{text:?}");
        }
    }

    #[test]
    fn appended_blocks_are_prefixes_of_longer_ones() {
        for tokenizer in [Tokenizer::Builtin, tiny()] {
            let writer = PromptWriter::new(&tokenizer, CorpusStyle::Sonnet);
            let block = |tokens| {
                let mut text = String::from("Start");
                writer.append(Seed(5).stream_at("block", 9), tokens, &mut text);
                text
            };
            let (short, long) = (block(40), block(512));
            assert!(long.starts_with(&short));
            assert_eq!(tokenizer.count(&long), 512 + tokenizer.count("Start"), "{tokenizer}");
        }
    }

    #[test]
    fn builtin_text_needs_no_tokenizer_to_be_exact() {
        let writer = PromptWriter::new(&Tokenizer::Builtin, CorpusStyle::Sonnet);
        let (text, count) = writer.prompt(Seed(1).stream("test"), 550);
        assert_eq!(count, 550);
        assert_eq!(Tokenizer::Builtin.count(&text), 550);
        assert!(text.ends_with('.'));
    }
}
