//! The words the simulator answers with, and how it counts tokens.
//!
//! One token is one whitespace-separated word, in prompts and in answers, so that a client can
//! predict every count without a tokenizer. The words are short common English ones, which are
//! single tokens of the usual byte-pair vocabularies too.

/// Words of answers; a power of two, so that an index is a mask.
const WORDS: [&str; 128] = [
    "the", "of", "and", "to", "in", "is", "it", "you", "that", "he", "was", "for", "on", "are", "with", "as",
    "his", "they", "be", "at", "one", "have", "this", "from", "or", "had", "by", "hot", "but", "some",
    "what", "there", "we", "can", "out", "other", "were", "all", "your", "when", "up", "use", "word", "how",
    "said", "an", "each", "she", "which", "do", "their", "time", "if", "will", "way", "about", "many",
    "then", "them", "would", "write", "like", "so", "these", "her", "long", "make", "thing", "see", "him",
    "two", "has", "look", "more", "day", "could", "go", "come", "did", "my", "sound", "no", "most", "number",
    "who", "over", "know", "water", "than", "call", "first", "people", "may", "down", "side", "been", "now",
    "find", "any", "new", "work", "part", "take", "get", "place", "made", "live", "where", "after", "back",
    "little", "only", "round", "man", "year", "came", "show", "every", "good", "me", "give", "our", "under",
    "name", "very", "through", "just", "form",
];

/// The word of token `index` in the answer with this seed.
pub fn word(seed: u64, index: u32) -> &'static str {
    WORDS[mix(seed ^ u64::from(index)) as usize & (WORDS.len() - 1)]
}

/// Whitespace-separated words of `text`.
pub fn count_words(text: &str) -> u32 {
    if !text.is_ascii() {
        return text.split_whitespace().count() as u32;
    }
    // A word starts where a blank is followed by none. Counted in bytes over short runs, which the
    // compiler turns into vector instructions.
    let bytes = text.as_bytes();
    let mut starts = 0;
    let mut rest = bytes;
    while rest.len() > 1 {
        // The last byte of a run is the first of the next.
        let run = &rest[..rest.len().min(256)];
        let ends = run.iter().zip(&run[1..]);
        starts += u32::from(ends.fold(0u8, |n, (&a, &b)| n + u8::from(is_blank(a) & !is_blank(b))));
        rest = &rest[run.len() - 1..];
    }
    starts + u32::from(bytes.first().is_some_and(|&byte| !is_blank(byte)))
}

fn is_blank(byte: u8) -> bool {
    (byte == b' ') | (byte.wrapping_sub(b'\t') < 5)
}

/// SplitMix64's finalizer: spreads neighbouring inputs over all bits.
pub fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A 64-bit hash of bytes (FNV-1a over words, finalized); stable across runs and machines.
pub fn hash_bytes(seed: u64, bytes: &[u8]) -> u64 {
    let mut hash = seed ^ 0xcbf2_9ce4_8422_2325;
    let mut chunks = bytes.chunks_exact(8);
    for chunk in &mut chunks {
        let mut word = [0; 8];
        word.copy_from_slice(chunk);
        hash = (hash ^ u64::from_le_bytes(word)).wrapping_mul(0x0000_0100_0000_01b3);
        hash ^= hash >> 29;
    }
    for &byte in chunks.remainder() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    mix(hash ^ bytes.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_agree_with_the_definition() {
        let long = "a bc ".repeat(1000);
        for text in [
            "",
            " ",
            "x",
            "one",
            " one  two\tthree\nfour ",
            "zwei W\u{f6}rter",
            "a\u{a0}b",
            &long,
            &"x".repeat(600),
        ] {
            assert_eq!(count_words(text) as usize, text.split_whitespace().count(), "{text:?}");
        }
        for cut in 0..600 {
            assert_eq!(
                count_words(&long[cut..]) as usize,
                long[cut..].split_whitespace().count(),
                "from {cut}"
            );
        }
    }

    #[test]
    fn answers_depend_on_seed_and_index_only() {
        let answer = |seed| (0..32).map(|i| word(seed, i)).collect::<Vec<_>>();
        assert_eq!(answer(1), answer(1));
        assert_ne!(answer(1), answer(2));
    }
}
