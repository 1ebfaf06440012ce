//! Whether a prefix cache shows: the same long prompt twice.

use std::fmt::Write;

use serde::Serialize;
use tokmeter_engine::seed::Seed;

use super::probe::{Answer, Probe};

/// About 1300 tokens: hosted caches begin at 1024, small models end at 2048.
const LINES: usize = 130;
/// The second first token comes this much earlier, as a share and in ms, before it is called a sign of a cache.
const EARLIER_SHARE: f64 = 0.7;
const EARLIER_MS: f64 = 5.0;

/// The two answers.
#[derive(Debug, Default, Serialize)]
pub struct PrefixCache {
    /// What they show.
    pub visible: Visible,
    /// Prompt tokens of the second, by the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_tokens: Option<i64>,
    /// Of these found in the cache, by the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cached_tokens: Option<i64>,
    /// First token of the new prompt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_ms: Option<f64>,
    /// First token of the same prompt again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub again_ms: Option<f64>,
    /// Why nothing can be said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// What is seen of a prefix cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Visible {
    /// The server counts cached tokens.
    Counted,
    /// The server counts none, but the second first token came much earlier.
    Faster,
    /// Neither.
    #[default]
    No,
    /// The long prompt was not answered.
    Unknown,
}

/// Sends a prompt that nobody has sent before, twice.
pub fn look(probe: &Probe) -> PrefixCache {
    let prompt = prompt(Seed::from_entropy().0);
    let first = probe.ask(&prompt, 2, true);
    if let Some(problem) = first.problem() {
        return PrefixCache { visible: Visible::Unknown, problem: Some(problem), ..PrefixCache::default() };
    }
    let again = probe.ask(&prompt, 2, true);
    if let Some(problem) = again.problem() {
        return PrefixCache { visible: Visible::Unknown, problem: Some(problem), ..PrefixCache::default() };
    }
    compare(&first, &again)
}

fn compare(first: &Answer, again: &Answer) -> PrefixCache {
    let usage = again.reply.as_ref().and_then(|reply| reply.usage.as_ref());
    let cached_tokens = usage.and_then(|usage| usage.cache_read);
    let (first_ms, again_ms) = (first.first_token_ms(), again.first_token_ms());
    let faster = first_ms
        .zip(again_ms)
        .is_some_and(|(first, again)| again < first * EARLIER_SHARE && first - again > EARLIER_MS);
    let visible = match cached_tokens {
        Some(tokens) if tokens > 0 => Visible::Counted,
        _ if faster => Visible::Faster,
        _ => Visible::No,
    };
    let prompt_tokens = usage.and_then(|usage| usage.prompt);
    PrefixCache { visible, prompt_tokens, cached_tokens, first_ms, again_ms, problem: None }
}

/// Begins with what makes it new.
fn prompt(nonce: u64) -> String {
    let mut prompt = format!("List {nonce:016x}.\n");
    for line in 0..LINES {
        let number = nonce.rotate_left(line as u32 % 64) % 1000;
        // Writing to a string does not fail.
        let _ = writeln!(prompt, "Item {line} has number {number}.");
    }
    prompt.push_str("Which number has item 7?");
    prompt
}
