//! Recorded traces: when requests came, how long they were, and which prefixes they shared. The texts are
//! made here, the same ones for the same seed.

pub(super) mod bailian;
pub(super) mod mooncake;
pub(super) mod rows;

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use serde_json::value::RawValue;

use super::config::MAX_TEXT_TOKENS;
use super::file::LoadContext;
use super::lengths::{Normal, output_of};
use super::prompt::PromptWriter;
use super::{Prompt, Session, Source, Turn};
use crate::schedule::TraceInstant;
use crate::seed::Seed;

/// What a record's prompt is made of.
enum Asked {
    /// A text of this many tokens, beginning with the blocks of these ids.
    Length { tokens: u32, blocks: Box<[u64]> },
    /// The text itself.
    Text(Arc<str>),
    /// Messages (and tools) that take the place of ours in the body.
    Messages(Arc<serde_json::Map<String, serde_json::Value>>),
    /// The whole body.
    Body(Arc<RawValue>),
}

/// One request of a trace.
struct Record {
    asked: Asked,
    output_tokens: Option<u32>,
    at: Option<Duration>,
    delay: Duration,
    extra: Option<Arc<serde_json::Map<String, serde_json::Value>>>,
}

/// A trace: compact records; texts are made when a session is asked for.
pub(super) struct Trace {
    records: Vec<Record>,
    /// Records of each session, with its name where the trace has one.
    sessions: Vec<(Option<Arc<str>>, Range<usize>)>,
    /// Rows of the file left out.
    skipped: u64,
    block_tokens: u32,
    output: Option<Normal>,
    seed: Seed,
    writer: PromptWriter,
    system: Option<Arc<str>>,
}

impl Trace {
    /// `groups` are the sessions' records in order.
    fn new(
        groups: Vec<(Option<Arc<str>>, Vec<Record>)>,
        block_tokens: u32,
        context: &LoadContext<'_>,
    ) -> Self {
        let mut records = Vec::new();
        let mut sessions = Vec::with_capacity(groups.len());
        for (id, group) in groups {
            let from = records.len();
            records.extend(group);
            sessions.push((id, from..records.len()));
        }
        Self {
            records,
            sessions,
            skipped: 0,
            block_tokens: context.config.prompt.isl_block_size.unwrap_or(block_tokens),
            output: output_of(&context.config.prompt),
            seed: context.seed,
            writer: context.writer.clone(),
            system: context.prefixes.system(),
        }
    }

    /// A text of `tokens` tokens. A block's bytes follow from its id, so prompts that begin with the same
    /// ids begin with the same bytes; what no id covers belongs to this record alone.
    fn text(&self, record: usize, tokens: u32, blocks: &[u64]) -> (String, u32) {
        let own = self.seed.stream_at("trace text", record as u64);
        if blocks.is_empty() {
            return self.writer.prompt(own, tokens);
        }
        let mut text = String::with_capacity(tokens as usize * 7);
        let mut left = tokens;
        for id in blocks {
            let block = left.min(self.block_tokens);
            self.writer.append(self.seed.stream_at("trace block", *id), block, &mut text);
            left -= block;
        }
        self.writer.append(own, left, &mut text);
        let measured = self.writer.measure(&text, tokens);
        (text, measured)
    }

    fn turn(&self, index: usize) -> Turn {
        let record = &self.records[index];
        let mut extra = record.extra.clone();
        let (prompt, input_tokens) = match &record.asked {
            Asked::Length { tokens, blocks } => {
                let (text, count) = self.text(index, *tokens, blocks);
                (Prompt::Texts { texts: vec![Arc::from(text)], images: Vec::new() }, Some(count))
            }
            Asked::Text(text) => (Prompt::Texts { texts: vec![text.clone()], images: Vec::new() }, None),
            Asked::Messages(messages) => {
                let mut merged = messages.as_ref().clone();
                merged.extend(record.extra.iter().flat_map(|extra| extra.as_ref().clone()));
                extra = Some(Arc::new(merged));
                (Prompt::Texts { texts: vec![Arc::from("")], images: Vec::new() }, None)
            }
            Asked::Body(body) => (Prompt::Body(Arc::clone(body)), None),
        };
        Turn {
            prompt,
            input_tokens,
            output_tokens: record.output_tokens.or_else(|| {
                self.output
                    .map(|output| output.draw(&mut self.seed.stream_at("file output lengths", index as u64)))
            }),
            delay: record.delay,
            at: record.at,
            model: None,
            extra,
        }
    }
}

/// Why ids and length do not belong together, if they do not.
///
/// The last block may be partly filled, or not hashed at all; but an id for which no token is left means
/// that the block size is another one.
fn check_blocks(tokens: u32, blocks: usize, block_tokens: u32) -> Result<(), String> {
    if tokens > MAX_TEXT_TOKENS {
        return Err(format!("has {tokens} input tokens, more than the {MAX_TEXT_TOKENS} that can be made"));
    }
    let needed = tokens.div_ceil(block_tokens) as usize;
    if blocks > needed {
        return Err(format!(
            "has {blocks} hash_ids, but {tokens} tokens fill only {needed} blocks of {block_tokens}: \
             is `--isl-block-size` right?"
        ));
    }
    Ok(())
}

impl Source for Trace {
    fn entries(&self) -> Option<u64> {
        Some(self.sessions.len() as u64)
    }

    fn entry(&self, index: u64) -> Session {
        // `file::load` refuses an empty trace, so there is a first session.
        let (id, records) = &self.sessions[(index % self.sessions.len().max(1) as u64) as usize];
        Session {
            id: id.clone().unwrap_or_else(|| super::session_id(index)),
            system: self.system.clone(),
            context: None,
            turns: records.clone().map(|record| self.turn(record)).collect(),
            self_contained: true,
        }
    }

    fn turns(&self, index: u64) -> u32 {
        self.sessions.get(index as usize).map_or(1, |(_, records)| records.len() as u32)
    }

    fn turns_mean(&self) -> f64 {
        self.records.len() as f64 / self.sessions.len().max(1) as f64
    }

    fn instants(&self) -> Vec<TraceInstant> {
        let begin = |(index, (_, records)): (usize, &(Option<Arc<str>>, Range<usize>))| {
            Some(TraceInstant { at: self.records.get(records.start)?.at?, session: index as u64 })
        };
        self.sessions.iter().enumerate().filter_map(begin).collect()
    }

    fn skipped(&self) -> u64 {
        self.skipped
    }
}
