//! What is asked of the server: sessions of turns, from a generator or a file.

mod bodies;
mod cache_bust;
pub mod config;
mod error;
mod file;
mod image;
mod infer;
mod lengths;
mod messages;
mod pool;
mod prefix;
mod prompt;
mod prose;
mod sampling;
mod sharegpt;
mod synthetic;
mod trace;
mod words;

use std::sync::Arc;
use std::time::Duration;

pub use config::{CacheBust, Content, CorpusStyle, DatasetConfig, DatasetFormat, SamplingStrategy};
pub use error::DatasetError;

use crate::schedule::TraceInstant;
use crate::seed::Seed;
use crate::tokenizer::Tokenizer;

/// One image part of a chat turn.
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    /// `data:` URL or http(s) URL, as sent.
    pub url: Arc<str>,
}

/// What one turn asks.
#[derive(Clone, Debug)]
pub enum Prompt {
    /// Texts of one user message (more than one with `--batch-size`), with optional images.
    Texts {
        /// Texts.
        texts: Vec<Arc<str>>,
        /// Images of the same message.
        images: Vec<Image>,
    },
    /// A query with passages to rank.
    Ranking {
        /// The query.
        query: Arc<str>,
        /// The passages.
        passages: Vec<Arc<str>>,
    },
    /// Token ids instead of text (completions).
    TokenIds(Arc<[u32]>),
    /// A complete request body, sent as it is (`raw_payload`, `inputs_json`).
    Body(Arc<serde_json::value::RawValue>),
}

/// One request of a session.
#[derive(Clone, Debug)]
pub struct Turn {
    /// What is asked.
    pub prompt: Prompt,
    /// Tokens of the prompt's texts as the dataset's tokenizer counts them, where known.
    pub input_tokens: Option<u32>,
    /// Longest answer asked for, in tokens.
    pub output_tokens: Option<u32>,
    /// Pause between the end of the previous turn and this one.
    pub delay: Duration,
    /// Instant in the trace, relative to its first request (fixed schedule).
    pub at: Option<Duration>,
    /// Model of this turn, when the data names one.
    pub model: Option<Arc<str>>,
    /// Fields merged into the body, when the data has some.
    pub extra: Option<Arc<serde_json::Map<String, serde_json::Value>>>,
}

/// A conversation: one or more turns of one user.
#[derive(Clone, Debug)]
pub struct Session {
    /// `session_id` of `inputs.json`, `conversation_id` of the records.
    pub id: Arc<str>,
    /// System message shared by all turns.
    pub system: Option<Arc<str>>,
    /// First user message put before the turns (user context), if any.
    pub context: Option<Arc<str>>,
    /// The turns, in order. Never empty.
    pub turns: Vec<Turn>,
    /// Whether each turn is complete by itself (finished bodies, traces with whole prompt lengths): earlier
    /// turns and answers are not sent again with it.
    pub self_contained: bool,
}

/// Sessions by index: generated, or read from a file that was checked to its end.
trait Source: Send + Sync {
    /// How many there are; `None` is without end.
    fn entries(&self) -> Option<u64>;

    /// Session `index`, always the same for the same seed.
    fn entry(&self, index: u64) -> Session;

    /// Turns of session `index`.
    fn turns(&self, index: u64) -> u32;

    /// Turns of a session on average.
    fn turns_mean(&self) -> f64;

    /// When each session begins, where the file says so.
    fn instants(&self) -> Vec<TraceInstant> {
        Vec::new()
    }

    /// Entries of the file that hold nothing to send.
    fn skipped(&self) -> u64 {
        0
    }
}

/// First entry used for warmup of an endless dataset: far from any that a run reaches.
const WARMUP_ENTRIES: u64 = 1 << 40;

/// All sessions of a run. Any session can be had at any time, by any shard or machine, from its number
/// alone; nothing is kept but what came from a file.
pub struct Dataset {
    source: Box<dyn Source>,
    sampler: Option<sampling::Sampler>,
    buster: Option<cache_bust::CacheBuster>,
    instants: Vec<TraceInstant>,
    format: Option<DatasetFormat>,
}

impl Dataset {
    /// Opens the dataset: checks the flags, and reads and checks the whole input file where there is one.
    ///
    /// # Errors
    /// Contradicting flags; a file that cannot be read; the first bad line with file, line and reason.
    pub fn open(config: &DatasetConfig, seed: Seed, tokenizer: &Tokenizer) -> Result<Self, DatasetError> {
        config.check()?;
        let seed = seed.derive("dataset", 0);
        let writer = prompt::PromptWriter::new(tokenizer, config.prompt.corpus);
        let prefixes = prefix::Prefixes::new(&config.prefix, seed, writer.clone())?;
        let (source, format): (Box<dyn Source>, _) = match &config.input_file {
            None => (Box::new(synthetic::Synthetic::new(config, seed, writer, prefixes)?), None),
            Some(path) => {
                let loaded = file::load(path, config, seed, writer, tokenizer, &prefixes)?;
                (loaded.source, Some(loaded.format))
            }
        };
        let strategy = config.dataset_sampling_strategy.unwrap_or_default();
        let buster = cache_bust::CacheBuster::new(config.cache_bust, Seed::from_entropy(), tokenizer.clone());
        if buster.is_some() && format.is_some_and(DatasetFormat::is_verbatim) {
            let reason =
                "cannot mark finished request bodies: leave it out with this `--input-file`".to_owned();
            return Err(DatasetError::Config { flag: "--cache-bust", reason });
        }
        let sampler = source.entries().map(|entries| sampling::Sampler::new(strategy, seed, entries));
        let instants = source.instants();
        Ok(Self { source, sampler, buster, instants, format })
    }

    /// Sessions in the dataset; `None` when it is endless (synthetic without `--num-dataset-entries`).
    #[must_use]
    pub fn entries(&self) -> Option<u64> {
        self.source.entries()
    }

    /// Session `index` in the order of the dataset, as `inputs.json` lists it: no sampling, no marker.
    #[must_use]
    pub fn entry(&self, index: u64) -> Arc<Session> {
        Arc::new(self.source.entry(index))
    }

    /// The session that the run sends as its `number`-th, counted over the whole profiling phase and all
    /// machines.
    #[must_use]
    pub fn session(&self, number: u64) -> Arc<Session> {
        self.marked(number, self.index_of(number), false)
    }

    /// The session of an entry that a fixed schedule names: its order is the trace's, not the sampler's.
    #[must_use]
    pub fn traced_session(&self, entry: u64) -> Arc<Session> {
        self.marked(entry, entry, false)
    }

    /// The same for the warmup. An endless dataset has other sessions here than in [`Dataset::session`], so
    /// that the warmup does not fill the server's cache with what is measured afterwards.
    #[must_use]
    pub fn warmup_session(&self, number: u64) -> Arc<Session> {
        let index = match self.sampler {
            Some(_) => self.index_of(number),
            None => WARMUP_ENTRIES + number,
        };
        self.marked(WARMUP_ENTRIES + number, index, true)
    }

    fn index_of(&self, number: u64) -> u64 {
        self.sampler.map_or(number, |sampler| sampler.entry(number).0)
    }

    fn marked(&self, number: u64, index: u64, warmup: bool) -> Arc<Session> {
        let mut session = self.source.entry(index);
        if let Some(buster) = &self.buster {
            buster.mark(number, warmup, &mut session);
        }
        Arc::new(session)
    }

    /// Turns of the session that [`Dataset::session`] gives for a number, without making its texts.
    #[must_use]
    pub fn turns_of(&self, number: u64) -> u32 {
        self.source.turns(self.index_of(number))
    }

    /// Turns of a session on average.
    #[must_use]
    pub fn turns_mean(&self) -> f64 {
        self.source.turns_mean()
    }

    /// When each session of a trace begins; empty without timestamps.
    #[must_use]
    pub fn instants(&self) -> &[TraceInstant] {
        &self.instants
    }

    /// Format of the input file, inferred or given; `None` for synthetic data.
    #[must_use]
    pub fn format(&self) -> Option<DatasetFormat> {
        self.format
    }

    /// Entries of the file that hold nothing to send and were left out: ShareGPT conversations without a
    /// question and an answer, CSV rows of no tokens (how BurstGPT records failures).
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.source.skipped()
    }
}

impl std::fmt::Debug for Dataset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dataset")
            .field("format", &self.format)
            .field("entries", &self.entries())
            .finish_non_exhaustive()
    }
}

/// `session_000042`; warmup sessions of endless data count from 0 under their own name.
fn session_id(index: u64) -> Arc<str> {
    match index.checked_sub(WARMUP_ENTRIES) {
        Some(warmup) => format!("warmup_{warmup:06}").into(),
        None => format!("session_{index:06}").into(),
    }
}

/// A delay of `millis` milliseconds with `--session-delay-ratio` and `--inter-turn-delay-cap-seconds`.
fn scaled_delay(millis: f64, turns: &config::TurnsConfig) -> Duration {
    let seconds = millis / 1e3 * turns.delay_ratio;
    Duration::try_from_secs_f64(seconds.min(turns.delay_cap.unwrap_or(f64::INFINITY)).max(0.0))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
