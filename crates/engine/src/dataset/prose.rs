//! Plain English of an exact number of pieces, where each piece is one token.
//!
//! A small grammar (subject, verb, object, place) over the tables of [`super::words`] writes sentences
//! without end. A piece is a word with its leading space, or a comma or full stop; pieces never merge
//! with their neighbours in `o200k_base` and `cl100k_base`, so a text of N pieces has N tokens and no
//! tokenizer is needed to know it.

use std::sync::LazyLock;

use rand_chacha::ChaCha8Rng;

use super::config::CorpusStyle;
use super::words;
use crate::seed::below;

/// Word classes of the grammar, as indices into [`Lexicon::classes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
enum Class {
    Determiner,
    Opener,
    Pronoun,
    PronounOpener,
    AdverbOpener,
    Number,
    Adjective,
    Noun,
    Plural,
    Transitive,
    Intransitive,
    Adverb,
    Preposition,
    Conjunction,
}

const TABLES: [&str; 14] = [
    words::DETERMINERS,
    words::OPENERS,
    words::PRONOUNS,
    words::PRONOUN_OPENERS,
    words::ADVERB_OPENERS,
    words::NUMBERS,
    words::ADJECTIVES,
    words::NOUNS,
    words::PLURALS,
    words::TRANSITIVE,
    words::INTRANSITIVE,
    words::ADVERBS,
    words::PREPOSITIONS,
    words::CONJUNCTIONS,
];

/// Words by class, each with its leading space.
#[derive(Clone, Debug)]
pub(super) struct Lexicon {
    classes: [Vec<&'static str>; 14],
    /// Words that are one token with and without their leading space: a text can begin with them.
    openers: Vec<&'static str>,
}

static ALL: LazyLock<Lexicon> = LazyLock::new(|| Lexicon {
    classes: TABLES.map(|table| words_of(table).collect()),
    openers: OPENER_TABLES.into_iter().flat_map(words_of).collect(),
});

impl Lexicon {
    /// Every word.
    pub(super) fn all() -> &'static Self {
        &ALL
    }

    /// The words that `keep` accepts; a text begins with one that `opens` accepts without its space. A class
    /// that loses all its words borrows those of all classes. `None` with fewer than 24 words left: the text
    /// would repeat itself.
    pub(super) fn keeping(keep: impl Fn(&str) -> bool, opens: impl Fn(&str) -> bool) -> Option<Self> {
        let kept = TABLES.map(|table| words_of(table).filter(|word| keep(word)).collect::<Vec<_>>());
        let mut any: Vec<&'static str> = kept.iter().flatten().copied().collect();
        any.sort_unstable();
        any.dedup();
        if any.len() < 24 {
            return None;
        }
        let mut openers: Vec<_> = any.iter().copied().filter(|word| opens(word.trim_start())).collect();
        if openers.is_empty() {
            openers.clone_from(&any);
        }
        Some(Self { classes: kept.map(|class| if class.is_empty() { any.clone() } else { class }), openers })
    }

    /// Every piece that a text can hold: the words, the comma and the full stop.
    pub(super) fn pieces(&self) -> impl Iterator<Item = &'static str> {
        self.classes.iter().flatten().copied().chain([",", "."])
    }

    fn draw_any(&self, rng: &mut ChaCha8Rng) -> &'static str {
        let words = &self.classes[below(rng, self.classes.len() as u64) as usize];
        words[below(rng, words.len() as u64) as usize]
    }

    fn draw(&self, class: Class, rng: &mut ChaCha8Rng) -> &'static str {
        let words = &self.classes[class as usize];
        words[below(rng, words.len() as u64) as usize]
    }
}

/// The words that begin a sentence.
const OPENER_TABLES: [&str; 3] = [words::OPENERS, words::PRONOUN_OPENERS, words::ADVERB_OPENERS];

fn words_of(table: &'static str) -> WordsOf {
    WordsOf { table, at: 0 }
}

/// Words of a table with their leading spaces.
struct WordsOf {
    table: &'static str,
    at: usize,
}

impl Iterator for WordsOf {
    type Item = &'static str;

    fn next(&mut self) -> Option<&'static str> {
        let rest = &self.table[self.at..];
        if rest.is_empty() {
            return None;
        }
        let end = rest[1..].find(' ').map_or(rest.len(), |space| space + 1);
        self.at += end;
        Some(&rest[..end])
    }
}

/// Whether a piece is a word, not a mark.
pub(super) fn is_word(piece: &str) -> bool {
    piece.starts_with(' ')
}

/// An endless text, piece by piece. Every word has its leading space, the very first one too.
pub(super) struct Prose<'a> {
    lexicon: &'a Lexicon,
    rng: ChaCha8Rng,
    style: CorpusStyle,
    sentence: Vec<&'static str>,
    at: usize,
    begun: bool,
}

impl<'a> Prose<'a> {
    pub(super) fn new(lexicon: &'a Lexicon, style: CorpusStyle, rng: ChaCha8Rng) -> Self {
        Self { lexicon, rng, style, sentence: Vec::with_capacity(48), at: 0, begun: false }
    }

    fn word(&mut self, class: Class) {
        let word = self.lexicon.draw(class, &mut self.rng);
        self.sentence.push(word);
    }

    fn chance(&mut self, percent: u64) -> bool {
        below(&mut self.rng, 100) < percent
    }

    fn write_sentence(&mut self) {
        self.sentence.clear();
        self.at = 0;
        if self.style == CorpusStyle::Random {
            let word = self.lexicon.draw_any(&mut self.rng);
            self.sentence.push(word);
            return;
        }
        let opened = self.chance(22);
        if opened {
            self.word(Class::AdverbOpener);
            self.sentence.push(",");
        }
        self.clause(!opened);
        if self.chance(40) {
            if self.chance(50) {
                self.sentence.push(",");
            }
            self.word(Class::Conjunction);
            self.clause(false);
        }
        self.sentence.push(".");
    }

    fn clause(&mut self, opens_sentence: bool) {
        if self.chance(20) {
            self.word(if opens_sentence { Class::PronounOpener } else { Class::Pronoun });
        } else {
            self.word(if opens_sentence { Class::Opener } else { Class::Determiner });
            self.described(Class::Noun);
        }
        if self.chance(75) {
            self.word(Class::Transitive);
            self.thing();
        } else {
            self.word(Class::Intransitive);
            if self.chance(50) {
                self.word(Class::Adverb);
            }
        }
        if self.chance(45) {
            self.word(Class::Preposition);
            self.thing();
        }
    }

    fn thing(&mut self) {
        if self.chance(25) {
            self.word(Class::Number);
            self.described(Class::Plural);
        } else {
            self.word(Class::Determiner);
            self.described(Class::Noun);
        }
    }

    fn described(&mut self, noun: Class) {
        if self.chance(40) {
            self.word(Class::Adjective);
        }
        self.word(noun);
    }

    /// A word of any sentence, to put in place of a mark.
    pub(super) fn spare_word(&mut self) -> &'static str {
        self.lexicon.draw(Class::Noun, &mut self.rng)
    }

    /// Appends `count` pieces to `text`, the last of them a full stop (unless it is the only one).
    ///
    /// The text begins without a space when `text` is empty, so that it stands at the start of a message.
    pub(super) fn write(&mut self, count: u32, text: &mut String) {
        // A little above what the tables come to on average.
        text.reserve(count as usize * 7);
        for left in (0..count).rev() {
            let piece = match (left, self.next_piece()) {
                (0, _) if count > 1 => ".",
                (1, mark) if !is_word(mark) => self.spare_word(),
                (_, piece) => piece,
            };
            text.push_str(if text.is_empty() { piece.trim_start() } else { piece });
        }
    }

    /// The next piece.
    pub(super) fn next_piece(&mut self) -> &'static str {
        if self.at == self.sentence.len() {
            self.write_sentence();
            let first = self.sentence[0];
            if !std::mem::replace(&mut self.begun, true) && !self.lexicon.openers.contains(&first) {
                let openers = &self.lexicon.openers;
                self.sentence[0] = openers[below(&mut self.rng, openers.len() as u64) as usize];
            }
        }
        self.at += 1;
        self.sentence[self.at - 1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Seed;

    #[test]
    fn every_piece_is_one_token() {
        let o200k = tiktoken_rs::o200k_base_singleton();
        let cl100k = tiktoken_rs::cl100k_base_singleton();
        let one = |text: &str| o200k.count_ordinary(text) == 1 && cl100k.count_ordinary(text) == 1;
        let wrong: Vec<_> = TABLES.into_iter().flat_map(words_of).filter(|word| !one(word)).collect();
        assert!(wrong.is_empty(), "more than one token: {wrong:?}");
        let bare: Vec<_> =
            OPENER_TABLES.into_iter().flat_map(words_of).filter(|word| !one(word.trim_start())).collect();
        assert!(bare.is_empty(), "more than one token without a space: {bare:?}");
        assert!(one(".") && one(","));
    }

    #[test]
    fn tables_are_well_formed() {
        for table in TABLES {
            assert!(table.starts_with(' ') && !table.contains("  ") && !table.ends_with(' '), "{table:?}");
            let words: Vec<_> = words_of(table).collect();
            assert_eq!(words.concat(), table);
            assert!(words.iter().all(|w| w[1..].bytes().all(|b| b.is_ascii_alphabetic())), "{table:?}");
        }
        let distinct: std::collections::HashSet<_> = TABLES.into_iter().flat_map(words_of).collect();
        assert!(distinct.len() > 1_200, "{}", distinct.len());
    }

    #[test]
    fn n_pieces_are_n_tokens() {
        let o200k = tiktoken_rs::o200k_base_singleton();
        let cl100k = tiktoken_rs::cl100k_base_singleton();
        let lengths = (1..=300).chain((301..=5000).step_by(97));
        for (index, length) in lengths.enumerate() {
            let mut text = String::new();
            Prose::new(Lexicon::all(), CorpusStyle::Sonnet, Seed(11).stream_at("test", index as u64))
                .write(length, &mut text);
            assert_eq!(o200k.count_ordinary(&text), length as usize, "{text}");
            assert_eq!(cl100k.count_ordinary(&text), length as usize, "{text}");
        }
    }

    #[test]
    fn short_prompts_of_many_seeds_are_exact() {
        let o200k = tiktoken_rs::o200k_base_singleton();
        for index in 0..4000u64 {
            let length = 1 + (index % 40) as u32;
            let mut text = String::new();
            Prose::new(Lexicon::all(), CorpusStyle::Sonnet, Seed(12).stream_at("test", index))
                .write(length, &mut text);
            assert_eq!(o200k.count_ordinary(&text), length as usize, "{text}");
            assert!(text.starts_with(|c: char| c.is_ascii_uppercase()), "{text}");
        }
    }

    #[test]
    fn reads_as_sentences() {
        let mut text = String::new();
        Prose::new(Lexicon::all(), CorpusStyle::Sonnet, Seed(1).stream("test")).write(60, &mut text);
        assert_eq!(
            text,
            "The company paid the useless artist in any southern pen. \
             Some color wandered quickly. \
             Some smell climbed ten seeds, and she hid twelve outer walls into ten mutual parents. \
             Your truck ordered no liquid leg against each third luck. \
             The square calendar caught the late victory beside the political artist. \
             My strong city."
        );
    }

    #[test]
    fn a_reduced_lexicon_fills_its_gaps() {
        let short = Lexicon::keeping(|word| word.len() <= 4, |word| word == "cat").expect("short words");
        let mut prose = Prose::new(&short, CorpusStyle::Random, Seed(1).stream("test"));
        assert_eq!(prose.next_piece(), " cat");
        for _ in 0..500 {
            assert!(prose.next_piece().len() <= 4);
        }
        assert!(Lexicon::keeping(|word| word == " the", |_| true).is_none());
    }
}
