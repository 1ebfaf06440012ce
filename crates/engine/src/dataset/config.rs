//! The input flags of `tokmeter profile`, as data.
//!
//! Field names follow the flags, units too (tokens, milliseconds where AIPerf uses them); `None` means
//! that the flag was not given. [`DatasetConfig::check`] refuses combinations that contradict each other.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::error::DatasetError;
use crate::choice::choice;

/// `--isl` when not given, in tokens.
pub const DEFAULT_INPUT_TOKENS: f64 = 550.0;
/// Tokens of one text at most: more than any model reads, little enough to be made.
pub const MAX_TEXT_TOKENS: u32 = 1 << 24;
/// Texts, images or passages of one turn, and turns of a session, at most.
const MAX_ITEMS: f64 = 100_000.0;
/// `--num-dataset-entries` when neither it nor a request count is given.
pub const DEFAULT_ENTRIES: u64 = 100;

/// What a turn holds; follows from the endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// Texts, with images where asked for.
    #[default]
    Text,
    /// A query and passages to rank.
    Ranking,
}

/// Everything that says what is asked of the server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DatasetConfig {
    /// `--input-file`: file or directory; synthetic prompts when not given.
    pub input_file: Option<PathBuf>,
    /// `--custom-dataset-type`: inferred from the file when not given.
    pub custom_dataset_type: Option<DatasetFormat>,
    /// `--num-dataset-entries`: sessions of a synthetic or random-pool dataset. When not given, as many
    /// as the run asks for, each different from all others.
    pub num_dataset_entries: Option<u64>,
    /// `--dataset-sampling-strategy`: sequential for files and synthetic data when not given.
    pub dataset_sampling_strategy: Option<SamplingStrategy>,
    /// What a turn holds.
    pub content: Content,
    /// Lengths and number of texts.
    pub prompt: PromptConfig,
    /// Text in front of the prompts.
    pub prefix: PrefixConfig,
    /// Turns of a session.
    pub turns: TurnsConfig,
    /// Synthetic images.
    pub image: ImageConfig,
    /// Synthetic queries and passages.
    pub rankings: RankingsConfig,
    /// `--cache-bust`.
    pub cache_bust: CacheBust,
}

choice! {
    /// Formats of `--custom-dataset-type`.
    pub enum DatasetFormat {
        /// JSON lines, one request each.
        SingleTurn = "single-turn",
        /// JSON lines, one session each.
        MultiTurn = "multi-turn",
        /// JSON lines to draw from; a directory gives one pool for each file.
        RandomPool = "random-pool",
        /// ShareGPT's JSON list of conversations.
        Sharegpt = "sharegpt",
        /// JSON lines of the Mooncake trace: timestamps, lengths, block hashes.
        MooncakeTrace = "mooncake-trace",
        /// JSON lines of Alibaba's Bailian trace.
        BailianTrace = "bailian-trace",
        /// CSV of BurstGPT (`Timestamp,Request tokens,Response tokens`).
        BurstGptTrace = "burst-gpt-trace",
        /// CSV of Azure's LLM inference traces (`TIMESTAMP,ContextTokens,GeneratedTokens`).
        AzureTrace = "azure-trace",
        /// `inputs.json` of an earlier run, sent again as it is.
        InputsJson = "inputs-json",
        /// JSON lines, one request body each; a directory holds one session in each file.
        RawPayload = "raw-payload",
    }
}

choice! {
    /// In which order entries are used.
    pub enum SamplingStrategy {
        /// In the order of the dataset, from the start again at the end.
        Sequential = "sequential",
        /// Drawn with replacement.
        Random = "random",
        /// All in random order, then all again in another.
        Shuffle = "shuffle",
    }
}

impl DatasetFormat {
    /// Whether entries are finished request bodies, sent byte for byte.
    #[must_use]
    pub fn is_verbatim(self) -> bool {
        matches!(self, Self::InputsJson | Self::RawPayload)
    }

    /// Whether entries are those of a recorded trace (no `inputs.json` is written for them).
    #[must_use]
    pub fn is_trace(self) -> bool {
        matches!(self, Self::MooncakeTrace | Self::BailianTrace | Self::BurstGptTrace | Self::AzureTrace)
    }
}

/// Texts of a synthetic turn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PromptConfig {
    /// `--isl`: tokens of a prompt on average.
    pub isl: Option<f64>,
    /// `--isl-stddev`.
    pub isl_stddev: Option<f64>,
    /// `--isl-block-size`: tokens of a hashed block in a trace; 512 (Mooncake) or 16 (Bailian).
    pub isl_block_size: Option<u32>,
    /// `--osl`: longest answer asked for; entries of a file that state their own keep it.
    pub osl: Option<f64>,
    /// `--osl-stddev`.
    pub osl_stddev: Option<f64>,
    /// `--seq-dist`: pairs of lengths with probabilities.
    pub seq_dist: Option<String>,
    /// `--random-range-ratio`: lengths drawn evenly from a window around the means.
    pub random_range_ratio: Option<String>,
    /// `--random-corpus-style`: which window `random_range_ratio` means.
    pub random_corpus_style: RangeStyle,
    /// `--prompt-corpus`.
    pub corpus: CorpusStyle,
    /// `--batch-size`: texts of a turn.
    pub batch_size: u32,
}

impl Default for PromptConfig {
    fn default() -> Self {
        Self {
            isl: None,
            isl_stddev: None,
            isl_block_size: None,
            osl: None,
            osl_stddev: None,
            seq_dist: None,
            random_range_ratio: None,
            random_corpus_style: RangeStyle::Vllm,
            corpus: CorpusStyle::Sonnet,
            batch_size: 1,
        }
    }
}

choice! {
    /// What synthetic prompts are made of (`--prompt-corpus`).
    pub enum CorpusStyle {
        /// Sentences. (AIPerf's name; the text is tokmeter's own.)
        Sonnet = "sonnet",
        /// Words in no order: the least likely to meet a cache.
        Random = "random",
    }
}

choice! {
    /// Window of `--random-range-ratio` r around a mean m.
    pub enum RangeStyle {
        /// From floor(m(1-r)) to ceil(m(1+r)), as `vllm bench serve`.
        Vllm = "vllm",
        /// From max(1, floor(mr)) to m, as SGLang.
        Sglang = "sglang",
    }
}

/// Text in front of the prompts, none of it counted in `--isl`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PrefixConfig {
    /// `--num-prefix-prompts`: prefixes to draw from for the first turn of a session.
    pub num_prefix_prompts: u32,
    /// `--prefix-prompt-length`: tokens of each.
    pub prefix_prompt_length: u32,
    /// `--shared-system-prompt-length`: tokens of one system message for all sessions.
    pub shared_system_prompt_length: Option<u32>,
    /// `--user-context-prompt-length`: tokens of a first message that each session has of its own.
    pub user_context_prompt_length: Option<u32>,
    /// `--system-prompt`: a system message in your own words.
    pub system_prompt: Option<String>,
    /// `--system-prompt-file`: the same from a file.
    pub system_prompt_file: Option<PathBuf>,
}

/// Turns of a synthetic session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TurnsConfig {
    /// `--session-turns-mean`.
    pub mean: f64,
    /// `--session-turns-stddev`.
    pub stddev: f64,
    /// `--session-turn-delay-mean`: milliseconds between an answer and the next turn.
    pub delay_mean: f64,
    /// `--session-turn-delay-stddev`: milliseconds.
    pub delay_stddev: f64,
    /// `--session-delay-ratio`: factor on every delay, those of files too.
    pub delay_ratio: f64,
    /// `--inter-turn-delay-cap-seconds`: longest delay, in seconds.
    pub delay_cap: Option<f64>,
}

impl Default for TurnsConfig {
    fn default() -> Self {
        Self { mean: 1.0, stddev: 0.0, delay_mean: 0.0, delay_stddev: 0.0, delay_ratio: 1.0, delay_cap: None }
    }
}

/// Synthetic images (PNG of noise).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ImageConfig {
    /// `--image-width-mean`: pixels; no images unless both means are above 0.
    pub width_mean: f64,
    /// `--image-width-stddev`.
    pub width_stddev: f64,
    /// `--image-height-mean`.
    pub height_mean: f64,
    /// `--image-height-stddev`.
    pub height_stddev: f64,
    /// `--image-batch-size`: images of a turn.
    pub batch_size: u32,
    /// `--image-source`: a directory of images to draw from instead of noise.
    pub source: Option<PathBuf>,
}

impl Default for ImageConfig {
    fn default() -> Self {
        Self {
            width_mean: 0.0,
            width_stddev: 0.0,
            height_mean: 0.0,
            height_stddev: 0.0,
            batch_size: 1,
            source: None,
        }
    }
}

/// Synthetic queries and passages.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RankingsConfig {
    /// `--rankings-passages-mean`.
    pub passages_mean: f64,
    /// `--rankings-passages-stddev`.
    pub passages_stddev: f64,
    /// `--rankings-passages-prompt-token-mean`.
    pub passage_tokens_mean: f64,
    /// `--rankings-passages-prompt-token-stddev`.
    pub passage_tokens_stddev: f64,
    /// `--rankings-query-prompt-token-mean`.
    pub query_tokens_mean: f64,
    /// `--rankings-query-prompt-token-stddev`.
    pub query_tokens_stddev: f64,
}

impl Default for RankingsConfig {
    fn default() -> Self {
        Self {
            passages_mean: 1.0,
            passages_stddev: 0.0,
            passage_tokens_mean: DEFAULT_INPUT_TOKENS,
            passage_tokens_stddev: 0.0,
            query_tokens_mean: DEFAULT_INPUT_TOKENS,
            query_tokens_stddev: 0.0,
        }
    }
}

choice! {
    /// Where a marker that no other session has goes, so that a server's prefix cache cannot help.
    pub enum CacheBust {
        /// Nowhere.
        None = "none",
        /// Before the system message (which is made when there is none).
        SystemPrefix = "system-prefix",
        /// After the system message.
        SystemSuffix = "system-suffix",
        /// Before the first turn's text.
        FirstTurnPrefix = "first-turn-prefix",
        /// After the first turn's text.
        FirstTurnSuffix = "first-turn-suffix",
        /// A constant marker before the system message of warmup sessions only.
        WarmupIsolationSystem = "warmup-isolation-system",
        /// A constant marker before the first turn of warmup sessions only.
        WarmupIsolationFirstTurn = "warmup-isolation-first-turn",
    }
}

impl DatasetConfig {
    /// Whether texts come from the generator.
    #[must_use]
    pub fn is_synthetic(&self) -> bool {
        self.input_file.is_none()
    }

    /// Refuses contradictions; the message names the flags.
    ///
    /// # Errors
    /// The first rule of CLI.md section 4 about input that does not hold.
    pub fn check(&self) -> Result<(), DatasetError> {
        let refuse =
            |flag: &'static str, reason: &str| Err(DatasetError::Config { flag, reason: reason.to_owned() });
        if self.is_synthetic() {
            if self.custom_dataset_type.is_some() {
                return refuse("--custom-dataset-type", "says how to read a file: add `--input-file`");
            }
        } else {
            let synthetic_only = [
                (self.prompt.isl.is_some(), "--isl"),
                (self.prompt.isl_stddev.is_some(), "--isl-stddev"),
                (self.prompt.seq_dist.is_some(), "--seq-dist"),
                (self.prompt.random_range_ratio.is_some(), "--random-range-ratio"),
                (self.turns.mean != 1.0, "--session-turns-mean"),
                (self.turns.stddev != 0.0, "--session-turns-stddev"),
                (self.turns.delay_mean != 0.0, "--session-turn-delay-mean"),
                (self.turns.delay_stddev != 0.0, "--session-turn-delay-stddev"),
                (self.prefix.num_prefix_prompts != 0, "--num-prefix-prompts"),
                (self.prefix.user_context_prompt_length.is_some(), "--user-context-prompt-length"),
                (self.image.width_mean > 0.0 || self.image.height_mean > 0.0, "--image-width-mean"),
            ];
            if let Some((_, flag)) = synthetic_only.iter().find(|(set, _)| *set) {
                return refuse(
                    flag,
                    "shapes synthetic prompts and cannot change those of `--input-file`: leave one out",
                );
            }
        }
        if self.prompt.seq_dist.is_some() && self.prompt.random_range_ratio.is_some() {
            return refuse("--seq-dist", "and `--random-range-ratio` exclude each other: leave one out");
        }
        if self.prompt.random_range_ratio.is_some()
            && (self.prompt.isl.is_none() || self.prompt.osl.is_none())
        {
            return refuse("--random-range-ratio", "needs both `--isl` and `--osl`");
        }
        self.check_prefix()?;
        self.check_numbers()
    }

    fn check_prefix(&self) -> Result<(), DatasetError> {
        let refuse =
            |flag: &'static str, reason: &str| Err(DatasetError::Config { flag, reason: reason.to_owned() });
        let prefix = &self.prefix;
        let own_system =
            if prefix.system_prompt.is_some() { "--system-prompt" } else { "--system-prompt-file" };
        if prefix.system_prompt.is_some() && prefix.system_prompt_file.is_some() {
            return refuse("--system-prompt", "and `--system-prompt-file` exclude each other: leave one out");
        }
        if prefix.system_prompt.is_some() || prefix.system_prompt_file.is_some() {
            if prefix.shared_system_prompt_length.is_some() {
                return refuse(
                    own_system,
                    "and `--shared-system-prompt-length` exclude each other: leave one out",
                );
            }
            if prefix.num_prefix_prompts > 0 {
                return refuse(own_system, "and `--num-prefix-prompts` exclude each other: leave one out");
            }
        }
        match (prefix.num_prefix_prompts, prefix.prefix_prompt_length) {
            (0, 0) => Ok(()),
            (0, _) => refuse("--prefix-prompt-length", "needs `--num-prefix-prompts`"),
            (_, 0) => refuse("--num-prefix-prompts", "needs `--prefix-prompt-length`"),
            _ => Ok(()),
        }
    }

    fn check_numbers(&self) -> Result<(), DatasetError> {
        let within = |flag: &'static str, value: f64, least: f64, most: f64| {
            if value >= least && value <= most {
                Ok(())
            } else {
                let reason = format!("is {value}, but must be between {least} and {most}");
                Err(DatasetError::Config { flag, reason })
            }
        };
        let (prompt, turns, rankings, prefix) = (&self.prompt, &self.turns, &self.rankings, &self.prefix);
        let length = |tokens: Option<u32>| tokens.map_or(1.0, f64::from);
        for (flag, tokens) in [
            ("--isl", prompt.isl.unwrap_or(1.0)),
            ("--osl", prompt.osl.unwrap_or(1.0)),
            ("--isl-block-size", length(prompt.isl_block_size)),
            ("--prefix-prompt-length", f64::from(prefix.prefix_prompt_length.max(1))),
            ("--shared-system-prompt-length", length(prefix.shared_system_prompt_length)),
            ("--user-context-prompt-length", length(prefix.user_context_prompt_length)),
            ("--rankings-passages-prompt-token-mean", rankings.passage_tokens_mean),
            ("--rankings-query-prompt-token-mean", rankings.query_tokens_mean),
        ] {
            within(flag, tokens, 1.0, f64::from(MAX_TEXT_TOKENS))?;
        }
        for (flag, count) in [
            ("--batch-size", f64::from(prompt.batch_size)),
            ("--session-turns-mean", turns.mean),
            ("--rankings-passages-mean", rankings.passages_mean),
            ("--num-prefix-prompts", f64::from(prefix.num_prefix_prompts.max(1))),
            ("--image-batch-size", f64::from(self.image.batch_size)),
        ] {
            within(flag, count, 1.0, MAX_ITEMS)?;
        }
        for (flag, value) in [
            ("--isl-stddev", prompt.isl_stddev.unwrap_or(0.0)),
            ("--osl-stddev", prompt.osl_stddev.unwrap_or(0.0)),
            ("--session-turns-stddev", turns.stddev),
            ("--session-turn-delay-mean", turns.delay_mean),
            ("--session-turn-delay-stddev", turns.delay_stddev),
            ("--session-delay-ratio", turns.delay_ratio),
            ("--inter-turn-delay-cap-seconds", turns.delay_cap.unwrap_or(0.0)),
            ("--rankings-passages-stddev", rankings.passages_stddev),
            ("--rankings-passages-prompt-token-stddev", rankings.passage_tokens_stddev),
            ("--rankings-query-prompt-token-stddev", rankings.query_tokens_stddev),
            ("--image-width-mean", self.image.width_mean),
            ("--image-width-stddev", self.image.width_stddev),
            ("--image-height-mean", self.image.height_mean),
            ("--image-height-stddev", self.image.height_stddev),
        ] {
            within(flag, value, 0.0, 1e9)?;
        }
        match self.num_dataset_entries {
            Some(0) => within("--num-dataset-entries", 0.0, 1.0, 1e12),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut DatasetConfig)) -> String {
        let mut config = DatasetConfig::default();
        change(&mut config);
        config.check().expect_err("contradiction").to_string()
    }

    #[test]
    fn defaults_are_fine() {
        DatasetConfig::default().check().expect("no flags");
    }

    #[test]
    fn contradictions_name_their_flags() {
        let file = || Some(PathBuf::from("prompts.jsonl"));
        let message = refused(|c| c.custom_dataset_type = Some(DatasetFormat::SingleTurn));
        assert!(message.contains("--custom-dataset-type") && message.contains("--input-file"), "{message}");
        let message = refused(|c| (c.input_file, c.prompt.isl) = (file(), Some(100.0)));
        assert!(message.contains("--isl") && message.contains("--input-file"), "{message}");
        let message = refused(|c| {
            (c.prompt.seq_dist, c.prompt.random_range_ratio) = (Some("1,1:100".into()), Some("0.5".into()));
        });
        assert!(message.contains("--seq-dist") && message.contains("--random-range-ratio"), "{message}");
        let message = refused(|c| c.prompt.random_range_ratio = Some("0.5".into()));
        assert!(message.contains("needs both `--isl` and `--osl`"), "{message}");
        let message = refused(|c| {
            (c.prefix.system_prompt, c.prefix.shared_system_prompt_length) = (Some("Hi".into()), Some(5));
        });
        assert!(message.contains("--system-prompt") && message.contains("--shared-system"), "{message}");
        let message = refused(|c| c.prefix.num_prefix_prompts = 3);
        assert!(message.contains("needs `--prefix-prompt-length`"), "{message}");
        let message = refused(|c| c.prompt.isl = Some(0.0));
        assert!(message.contains("`--isl` is 0"), "{message}");
        let message = refused(|c| c.prompt.isl = Some(1e9));
        assert!(message.contains("between 1 and 16777216"), "{message}");
        let message = refused(|c| c.num_dataset_entries = Some(0));
        assert!(message.contains("--num-dataset-entries"), "{message}");
        let message = refused(|c| c.turns.delay_mean = f64::NAN);
        assert!(message.contains("--session-turn-delay-mean"), "{message}");
    }

    #[test]
    fn unknown_keys_are_refused() {
        let config: DatasetConfig =
            serde_json::from_str(r#"{"prompt":{"isl":128},"cache_bust":"system_prefix"}"#)
                .expect("known keys");
        assert_eq!(config.prompt.isl, Some(128.0));
        assert_eq!(config.cache_bust, CacheBust::SystemPrefix);
        assert!(serde_json::from_str::<DatasetConfig>(r#"{"prompt":{"islx":128}}"#).is_err());
    }
}
