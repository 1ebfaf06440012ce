//! What the server says of the prompts it got, against what was asked: lengths, and the prefix cache.
//!
//! A prefix cache can only return what it has seen. So the run remembers which beginnings of request bodies
//! it has sent, and knows how much of its own input a cache could have returned at most. A server that
//! returns more was warm before the run began.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

/// A body is cut at these distances: one short piece first, because bodies of short prompts are short.
const FIRST_PIECE: usize = 64;
const PIECE: usize = 256;
/// Bytes of a body that are looked at.
const MOST_BYTES: usize = 1 << 18;
/// Beginnings that are remembered, about 16 MiB.
const MOST_KNOWN: usize = 1 << 20;

/// Beginnings of bodies that the run has sent.
#[derive(Debug, Default)]
pub(crate) struct SentPrefixes(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    hashes: HashSet<u64, BuildHasherDefault<Already>>,
    full: bool,
}

/// The values are hashes already.
#[derive(Default)]
struct Already(u64);

impl Hasher for Already {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = mixed(self.0, u64::from(byte));
        }
    }
    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

fn mixed(state: u64, word: u64) -> u64 {
    let product = u128::from(state ^ word ^ 0x9e37_79b9_7f4a_7c15) * u128::from(0xd6e8_feb8_6659_fd93u64);
    (product >> 64) as u64 ^ product as u64
}

impl SentPrefixes {
    /// The share of a body, 0 to 1, that an earlier one of this run began with too; and remembers it.
    /// `None` when no more can be remembered, so that the share is not known.
    pub fn share_sent_before(&self, body: &[u8]) -> Option<f64> {
        let body = &body[..body.len().min(MOST_BYTES)];
        let hashes = beginnings(body);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut repeated = 0;
        for (end, hash) in hashes {
            if known.hashes.contains(&hash) {
                repeated = end;
            } else if known.hashes.len() < MOST_KNOWN {
                known.hashes.insert(hash);
            } else {
                known.full = true;
            }
        }
        (!known.full).then(|| repeated as f64 / body.len().max(1) as f64)
    }
}

/// Ends of the pieces with the hash of all that comes before.
fn beginnings(body: &[u8]) -> Vec<(usize, u64)> {
    let first = body.len().min(FIRST_PIECE);
    let (mut state, mut end) = (piece(0, &body[..first]), first);
    let mut found = vec![(end, state)];
    for bytes in body[first..].chunks(PIECE) {
        state = piece(state, bytes);
        end += bytes.len();
        found.push((end, state));
    }
    found
}

fn piece(state: u64, bytes: &[u8]) -> u64 {
    let words = bytes.chunks(8).map(|chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        u64::from_le_bytes(word)
    });
    words.fold(mixed(state, bytes.len() as u64), mixed)
}

/// Token facts of one success.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TokenFacts {
    /// Input tokens that were asked for; known where the request is one text made to that length.
    pub asked_input: Option<u64>,
    /// Output tokens that were asked for.
    pub asked_output: Option<u64>,
    /// Input tokens by the server.
    pub prompt: Option<u64>,
    /// Output tokens, reasoning included.
    pub output: Option<u64>,
    /// Input tokens that the server found in its cache.
    pub cached: Option<u64>,
    /// The share of the request that this run had sent before, 0 to 1.
    pub sent_before: Option<f64>,
}

/// Asked and measured lengths, summed over the requests that know both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Lengths {
    /// Tokens asked for.
    pub asked_tokens: u64,
    /// Tokens by the server.
    pub measured_tokens: u64,
    /// Requests compared.
    pub requests: u64,
}

impl Lengths {
    fn add(&mut self, asked: Option<u64>, measured: Option<u64>) {
        if let (Some(asked), Some(measured)) = (asked, measured) {
            self.asked_tokens += asked;
            self.measured_tokens += measured;
            self.requests += 1;
        }
    }

    /// Measured over asked, minus 1; `None` when nothing was compared.
    #[must_use]
    pub fn difference(&self) -> Option<f64> {
        (self.asked_tokens > 0).then(|| self.measured_tokens as f64 / self.asked_tokens as f64 - 1.0)
    }
}

/// The server's prefix cache in this run, by its usage objects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct CacheUse {
    /// Input tokens of the requests that tell of the cache.
    pub prompt_tokens: u64,
    /// Those among them that were found in the cache.
    pub cached_tokens: u64,
    /// What a cache could have found at most if it had been empty before the run.
    pub repeated_tokens: u64,
    /// Requests that tell of the cache.
    pub requests: u64,
}

/// Token truth of the measured phase.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct TokenTruth {
    /// Input tokens.
    pub input: Lengths,
    /// Output tokens.
    pub output: Lengths,
    /// The prefix cache; all zero when the server does not tell.
    pub cache: CacheUse,
    /// The share of all input that this run had sent before, 0 to 1.
    pub repeated_share: f64,
    /// The run was too long to remember all it sent; the cache cannot be judged.
    pub prefixes_overflowed: bool,
    #[serde(skip)]
    shares: u64,
}

impl TokenTruth {
    pub(crate) fn add(&mut self, facts: &TokenFacts) {
        self.input.add(facts.asked_input, facts.prompt);
        self.output.add(facts.asked_output, facts.output);
        let Some(share) = facts.sent_before else {
            self.prefixes_overflowed = true;
            return;
        };
        self.shares += 1;
        self.repeated_share += (share - self.repeated_share) / self.shares as f64;
        if let (Some(prompt), Some(cached)) = (facts.prompt, facts.cached) {
            self.cache.prompt_tokens += prompt;
            self.cache.cached_tokens += cached;
            self.cache.repeated_tokens += (prompt as f64 * share).round() as u64;
            self.cache.requests += 1;
        }
    }

    /// How much more of its input than this run could have put there itself was found in the cache, as a share
    /// of all input; `None` unless that is too much for chance and rounding.
    #[must_use]
    pub fn warm_share(&self) -> Option<f64> {
        /// Caches work in blocks of about 16 tokens, and a chat template begins every prompt alike.
        const SLACK_TOKENS: u64 = 32;
        const SLACK_SHARE: f64 = 0.1;
        let cache = &self.cache;
        let excess =
            cache.cached_tokens.checked_sub(cache.repeated_tokens + SLACK_TOKENS * cache.requests)?;
        let share = excess as f64 / cache.prompt_tokens.max(1) as f64;
        (!self.prefixes_overflowed && share > SLACK_SHARE).then_some(share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_sent_before_is_that_of_the_common_beginning() {
        let sent = SentPrefixes::default();
        let body = |tail: char| format!("{}{}", "a".repeat(1_344), tail.to_string().repeat(1_344));
        assert_eq!(sent.share_sent_before(body('b').as_bytes()), Some(0.0));
        assert_eq!(sent.share_sent_before(body('b').as_bytes()), Some(1.0));
        let share = sent.share_sent_before(body('c').as_bytes()).unwrap();
        assert!((share - 0.5).abs() < 0.06, "half of it is new: {share}");
        assert_eq!(sent.share_sent_before(b"something else"), Some(0.0));
    }

    fn facts(prompt: u64, cached: u64, sent_before: f64) -> TokenFacts {
        TokenFacts {
            asked_input: Some(1_000),
            prompt: Some(prompt),
            cached: Some(cached),
            sent_before: Some(sent_before),
            ..TokenFacts::default()
        }
    }

    #[test]
    fn a_cache_that_knows_more_than_the_run_has_sent_was_warm() {
        let mut cold = TokenTruth::default();
        let mut warm = TokenTruth::default();
        for _ in 0..10 {
            // A shared system prompt of half the length: a cold cache may find it.
            cold.add(&facts(1_010, 500, 0.5));
            warm.add(&facts(1_010, 1_000, 0.5));
        }
        assert_eq!(cold.warm_share(), None);
        assert!((warm.warm_share().unwrap() - 0.463).abs() < 0.01);
        assert!((cold.input.difference().unwrap() - 0.01).abs() < 1e-9);
        warm.add(&TokenFacts::default());
        assert_eq!(warm.warm_share(), None, "what is not known is not judged");
    }
}
