//! Text that prompts share: a system message, a pool of prefixes, a context of each user.

use std::sync::Arc;

use super::config::PrefixConfig;
use super::error::DatasetError;
use super::prompt::PromptWriter;
use crate::seed::{Seed, below};

/// Shared texts of a dataset.
pub(super) struct Prefixes {
    seed: Seed,
    writer: PromptWriter,
    system: Option<Arc<str>>,
    /// Prefixes with their token counts.
    pool: Vec<(String, u32)>,
    context_tokens: Option<u32>,
}

impl Prefixes {
    pub(super) fn new(config: &PrefixConfig, seed: Seed, writer: PromptWriter) -> Result<Self, DatasetError> {
        let system =
            match (&config.system_prompt, &config.system_prompt_file, config.shared_system_prompt_length) {
                (Some(text), ..) => Some(Arc::from(text.as_str())),
                (None, Some(path), _) => {
                    let text =
                        std::fs::read_to_string(path).map_err(|source| DatasetError::read(path, source))?;
                    if text.trim().is_empty() {
                        return Err(DatasetError::file(path, "the system prompt is empty"));
                    }
                    Some(Arc::from(text))
                }
                (None, None, Some(tokens)) => {
                    Some(Arc::from(writer.prompt(seed.stream("system prompt"), tokens).0))
                }
                (None, None, None) => None,
            };
        let prefix = |index| writer.prompt(seed.stream_at("prefix pool", index), config.prefix_prompt_length);
        let pool = (0..u64::from(config.num_prefix_prompts)).map(prefix).collect();
        Ok(Self { seed, system, pool, context_tokens: config.user_context_prompt_length, writer })
    }

    /// The system message of every session.
    pub(super) fn system(&self) -> Option<Arc<str>> {
        self.system.clone()
    }

    /// The context of one session, different from all others.
    pub(super) fn context(&self, session: u64) -> Option<Arc<str>> {
        let tokens = self.context_tokens?;
        Some(Arc::from(self.writer.prompt(self.seed.stream_at("user context", session), tokens).0))
    }

    /// Puts the prefix that the session draws before its first text and returns the tokens added.
    pub(super) fn put_before(&self, session: u64, text: &mut String) -> u32 {
        let index = below(&mut self.seed.stream_at("prefix choice", session), self.pool.len() as u64);
        let Some((prefix, tokens)) = self.pool.get(index as usize) else { return 0 };
        // The space belongs to the text's first word: no token is added or lost at the seam.
        text.insert(0, ' ');
        text.insert_str(0, prefix);
        *tokens
    }
}
