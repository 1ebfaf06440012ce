//! The Mooncake trace format: JSON lines with `timestamp` (ms), `input_length`, `output_length` and
//! `hash_ids` of 512-token blocks, and AIPerf's additions to it (texts, messages, bodies, sessions).
//! Format: <https://github.com/kvcache-ai/Mooncake>.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::error::DatasetError;
use super::super::file::{LoadContext, for_each_record};
use super::super::messages::{duration_ms, millis};
use super::super::scaled_delay;
use super::{Asked, Record, Trace, check_blocks};

/// Tokens of a block.
const BLOCK_TOKENS: u32 = 512;

#[derive(Deserialize)]
struct Line {
    timestamp: Option<f64>,
    delay: Option<f64>,
    input_length: Option<u32>,
    text_input: Option<String>,
    messages: Option<Vec<serde_json::Map<String, serde_json::Value>>>,
    tools: Option<Vec<serde_json::Value>>,
    payload: Option<Box<RawValue>>,
    output_length: Option<u32>,
    hash_ids: Option<Vec<i64>>,
    session_id: Option<String>,
    extra: Option<serde_json::Map<String, serde_json::Value>>,
}

impl Line {
    fn asked(&mut self, block_tokens: u32) -> Result<Asked, String> {
        let given = [
            self.input_length.is_some(),
            self.text_input.is_some(),
            self.messages.is_some(),
            self.payload.is_some(),
        ];
        if given.iter().filter(|given| **given).count() != 1 {
            return Err("needs exactly one of `input_length`, `text_input`, `messages`, `payload`".to_owned());
        }
        if self.hash_ids.is_some() && self.input_length.is_none() {
            return Err("`hash_ids` need `input_length`".to_owned());
        }
        if self.tools.is_some() && self.messages.is_none() {
            return Err("`tools` need `messages`".to_owned());
        }
        if let Some(tokens) = self.input_length {
            if tokens == 0 {
                return Err("`input_length` must be 1 or more".to_owned());
            }
            let ids = self.hash_ids.take().unwrap_or_default();
            check_blocks(tokens, ids.len(), block_tokens)?;
            return Ok(Asked::Length { tokens, blocks: ids.into_iter().map(i64::cast_unsigned).collect() });
        }
        if let Some(text) = self.text_input.take() {
            return Ok(Asked::Text(Arc::from(text)));
        }
        if let Some(messages) = self.messages.take() {
            if messages.is_empty() || messages.iter().any(|message| !message.contains_key("role")) {
                return Err("`messages` must be a list of objects with a `role`, not empty".to_owned());
            }
            let mut fields = serde_json::Map::new();
            let messages = messages.into_iter().map(serde_json::Value::Object).collect();
            fields.insert("messages".to_owned(), serde_json::Value::Array(messages));
            fields.extend(self.tools.take().map(|tools| ("tools".to_owned(), tools.into())));
            return Ok(Asked::Messages(Arc::new(fields)));
        }
        match self.payload.take() {
            Some(body) if body.get().starts_with('{') => Ok(Asked::Body(Arc::from(body))),
            _ => Err("`payload` must be an object".to_owned()),
        }
    }
}

/// Reads the trace; lines with the same `session_id` are turns of one session.
pub(in super::super) fn load(path: &Path, context: &LoadContext<'_>) -> Result<Trace, DatasetError> {
    let block_tokens = context.config.prompt.isl_block_size.unwrap_or(BLOCK_TOKENS);
    let mut groups: Vec<(Option<Arc<str>>, Vec<Record>)> = Vec::new();
    let mut by_id: HashMap<Arc<str>, usize> = HashMap::new();
    for_each_record(path, |_, mut line: Line| {
        if line.output_length == Some(0) {
            return Err("`output_length` must be 1 or more".to_owned());
        }
        let record = Record {
            asked: line.asked(block_tokens)?,
            output_tokens: line.output_length,
            at: millis(line.timestamp, "timestamp")?.map(duration_ms),
            delay: millis(line.delay, "delay")?
                .map_or(Duration::ZERO, |delay| scaled_delay(delay, &context.config.turns)),
            extra: line.extra.map(Arc::new),
        };
        let id: Option<Arc<str>> = line.session_id.map(Arc::from);
        match id.as_ref().and_then(|id| by_id.get(id)) {
            Some(at) => groups[*at].1.push(record),
            None => {
                by_id.extend(id.clone().map(|id| (id, groups.len())));
                groups.push((id, vec![record]));
            }
        }
        Ok(())
    })?;
    let timed = groups.iter().filter(|(_, records)| records[0].at.is_some()).count();
    if timed != 0 && timed != groups.len() {
        let reason =
            format!("{timed} of {} sessions have a `timestamp`: all must have one, or none", groups.len());
        return Err(DatasetError::file(path, reason));
    }
    Ok(Trace::new(groups, BLOCK_TOKENS, context))
}
