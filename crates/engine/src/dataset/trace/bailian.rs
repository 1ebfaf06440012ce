//! Alibaba's Bailian trace: JSON lines with `chat_id`, `parent_chat_id` (-1 begins a conversation), `turn`,
//! `timestamp` (s), lengths and `hash_ids` of 16-token blocks.
//! Format: <https://github.com/alibaba-edu/qwen-bailian-usagetraces-anon>.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use super::super::error::DatasetError;
use super::super::file::{LoadContext, for_each_record};
use super::super::messages::{duration_ms, millis};
use super::{Asked, Record, Trace, check_blocks};

/// Tokens of a block.
const BLOCK_TOKENS: u32 = 16;

#[derive(Deserialize)]
struct Line {
    chat_id: i64,
    #[serde(default = "no_parent")]
    parent_chat_id: i64,
    timestamp: f64,
    input_length: u32,
    output_length: u32,
    #[serde(default = "first_turn")]
    turn: i64,
    #[serde(default)]
    hash_ids: Vec<i64>,
}

fn no_parent() -> i64 {
    -1
}

fn first_turn() -> i64 {
    1
}

/// Reads the trace; requests that descend from the same root are turns of one session.
pub(in super::super) fn load(path: &Path, context: &LoadContext<'_>) -> Result<Trace, DatasetError> {
    let block_tokens = context.config.prompt.isl_block_size.unwrap_or(BLOCK_TOKENS);
    // (order in the session, record) of each session; sessions in the order of their first line.
    let mut groups: Vec<Vec<(i64, Record)>> = Vec::new();
    // A child follows its parent in time, so its parent's session is known when it comes.
    let mut session_of: HashMap<i64, usize> = HashMap::new();
    for_each_record(path, |_, line: Line| {
        if line.input_length == 0 || line.output_length == 0 {
            return Err("lengths must be 1 or more".to_owned());
        }
        check_blocks(line.input_length, line.hash_ids.len(), block_tokens)?;
        let record = Record {
            asked: Asked::Length {
                tokens: line.input_length,
                blocks: line.hash_ids.iter().map(|id| id.cast_unsigned()).collect(),
            },
            output_tokens: Some(line.output_length),
            at: millis(Some(line.timestamp * 1e3), "timestamp")?.map(duration_ms),
            delay: Duration::ZERO,
            extra: None,
        };
        let parent = Some(line.parent_chat_id).filter(|parent| *parent != -1);
        let session = parent.and_then(|parent| session_of.get(&parent).copied()).unwrap_or_else(|| {
            groups.push(Vec::new());
            groups.len() - 1
        });
        groups[session].push((line.turn, record));
        if session_of.insert(line.chat_id, session).is_some() {
            return Err(format!("chat_id {} was used before", line.chat_id));
        }
        Ok(())
    })?;
    let groups = groups
        .into_iter()
        .map(|mut group| {
            group.sort_by_key(|(turn, record)| (*turn, record.at));
            (None, group.into_iter().map(|(_, record)| record).collect())
        })
        .collect();
    Ok(Trace::new(groups, BLOCK_TOKENS, context))
}
