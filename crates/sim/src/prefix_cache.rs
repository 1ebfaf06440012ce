//! A prefix cache over 64-character blocks: which prompts share their beginning with earlier ones.

use std::collections::{HashSet, VecDeque};

use crate::payload::Payload;
use crate::vocabulary::{count_words, hash_bytes};

/// Characters (bytes of UTF-8) of one block.
pub const BLOCK_BYTES: usize = 64;

/// Remembered blocks; each one's key covers everything before it. The oldest go first.
#[derive(Default)]
pub struct PrefixCache {
    capacity: usize,
    known: HashSet<u64>,
    order: VecDeque<u64>,
}

impl PrefixCache {
    /// A cache of so many blocks.
    pub fn new(capacity: usize) -> Self {
        Self { capacity, known: HashSet::new(), order: VecDeque::new() }
    }

    /// Tokens (words) of the prompt that lie fully inside remembered leading blocks, then
    /// remembers the prompt's blocks. Never the whole prompt: the last token is always computed.
    pub fn look_up(&mut self, payload: &Payload<'_>) -> u32 {
        let mut text = Vec::with_capacity(payload.prompt_bytes() as usize + 16);
        for piece in payload.prompt_pieces() {
            text.extend_from_slice(piece.as_bytes());
            text.push(b'\n');
        }
        let mut key = 0;
        let mut hit_bytes = 0;
        let mut missed = false;
        for block in text.chunks_exact(BLOCK_BYTES) {
            key = hash_bytes(key, block);
            missed |= !self.known.contains(&key);
            if missed {
                self.remember(key);
            } else {
                hit_bytes += BLOCK_BYTES;
            }
        }
        if hit_bytes == 0 {
            return 0;
        }
        // A word cut by the block's end is not cached.
        let cut = text[hit_bytes - 1..].iter().take(2).filter(|b| !b.is_ascii_whitespace()).count() == 2;
        let words = count_words(&String::from_utf8_lossy(&text[..hit_bytes]));
        words.saturating_sub(u32::from(cut)).min(payload.prompt_tokens().saturating_sub(1))
    }

    fn remember(&mut self, key: u64) {
        if !self.known.insert(key) {
            return;
        }
        self.order.push_back(key);
        if self.order.len() > self.capacity
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look_up(cache: &mut PrefixCache, prompt: &str) -> u32 {
        let body = format!(r#"{{"prompt":"{prompt}"}}"#);
        cache.look_up(&serde_json::from_str(&body).expect("valid body"))
    }

    #[test]
    fn only_shared_leading_blocks_count() {
        let mut cache = PrefixCache::new(1000);
        // 3 characters and a blank: 16 words a block.
        let long = "abc ".repeat(64);
        assert_eq!(look_up(&mut cache, &long), 0);
        assert_eq!(look_up(&mut cache, &long), 63, "the last token is never cached");
        let other_end = format!("{}{}", "abc ".repeat(32), "xyz ".repeat(32));
        assert_eq!(look_up(&mut cache, &other_end), 32);
        let other_start = format!("xyz {}", "abc ".repeat(63));
        assert_eq!(look_up(&mut cache, &other_start), 0);
    }

    #[test]
    fn words_across_a_block_end_are_not_cached() {
        let mut cache = PrefixCache::new(1000);
        let prompt = "abcd ".repeat(20);
        look_up(&mut cache, &prompt);
        // 64 = 12 words of 5 characters, and 4 characters of the 13th, which ends there.
        assert_eq!(look_up(&mut cache, &prompt), 13);
        let prompt = "abcdef ".repeat(20);
        look_up(&mut cache, &prompt);
        // 128 = 18 words of 7 characters, and 2 characters of the 19th, which goes on.
        assert_eq!(look_up(&mut cache, &prompt), 18);
    }

    #[test]
    fn the_oldest_blocks_are_forgotten() {
        let mut cache = PrefixCache::new(2);
        let first = "abc ".repeat(32);
        look_up(&mut cache, &first);
        look_up(&mut cache, &"xyz ".repeat(32));
        assert_eq!(look_up(&mut cache, &first), 0);
    }
}
