//! Rerankers: Cohere (also vLLM and Jina), Hugging Face text-embeddings-inference, NVIDIA NIM.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::EndpointType;
use super::body::{BodyInput, BodyWriter, text_size, write_list, write_string};
use super::chat::is_error;
use super::reading::{Reading, Shape};
use super::usage::WireUsage;
use super::wire::{Few, Number, Text};
use crate::dataset::Prompt;

/// Cohere: `model`, `query`, `documents`. TEI: `query`, `texts`, no model. NIM: objects with `text`.
pub(super) fn body(kind: EndpointType, input: &BodyInput<'_>) -> Vec<u8> {
    let prompt = &input.turn.prompt;
    let mut body = BodyWriter::new(input, text_size(prompt));
    // `Endpoint::accepts` refuses other prompts before a run.
    let (query, passages): (&str, &[Arc<str>]) = match prompt {
        Prompt::Ranking { query, passages } => (query, passages),
        _ => ("", &[]),
    };
    let plain = |out: &mut Vec<u8>| write_list(out, passages, |out, text| write_string(out, text));
    match kind {
        EndpointType::HfTeiRankings => {
            body.string("query", query);
            body.field("texts", plain);
        }
        EndpointType::NimRankings => {
            body.string("model", input.model());
            body.field("query", |out| write_text_object(out, query));
            body.field("passages", |out| {
                write_list(out, passages, |out, text| write_text_object(out, text));
            });
        }
        _ => {
            body.string("model", input.model());
            body.string("query", query);
            body.field("documents", plain);
        }
    }
    body.finish()
}

fn write_text_object(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(b"{\"text\":");
    write_string(out, text);
    out.push(b'}');
}

#[derive(Deserialize)]
struct Rankings<'a> {
    #[serde(default)]
    results: Few<Rank>,
    #[serde(default)]
    rankings: Few<Rank>,
    #[serde(default)]
    usage: Option<WireUsage>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
    #[serde(borrow, default)]
    object: Text<'a>,
}

#[derive(Deserialize)]
struct Rank {
    #[serde(default)]
    index: Number,
    #[serde(default)]
    relevance_score: Number,
    #[serde(default)]
    score: Number,
    #[serde(default)]
    logit: Number,
}

pub(super) fn read(
    kind: EndpointType,
    text: &str,
    reading: &mut Reading,
) -> Result<Shape, serde_json::Error> {
    // TEI answers with the bare list.
    if kind == EndpointType::HfTeiRankings && text.starts_with('[') {
        let ranks: Few<Rank> = serde_json::from_str(text)?;
        return Ok(report(kind, &ranks, reading));
    }
    let answer: Rankings<'_> = serde_json::from_str(text)?;
    if is_error(answer.error, &answer.object) {
        reading.error_event(text);
        return Ok(Shape::Known);
    }
    if let Some(usage) = &answer.usage {
        reading.usage(usage);
    }
    let ranks = if kind == EndpointType::NimRankings { &answer.rankings } else { &answer.results };
    Ok(report(kind, ranks, reading))
}

fn report(kind: EndpointType, ranks: &Few<Rank>, reading: &mut Reading) -> Shape {
    let score = |rank: &Rank| match kind {
        EndpointType::NimRankings => rank.logit,
        EndpointType::HfTeiRankings => rank.score,
        _ => rank.relevance_score,
    };
    let whole = ranks.iter().all(|rank| rank.index.count().is_some() && score(rank).0.is_some());
    if !ranks.present || !whole {
        return Shape::Unknown;
    }
    if ranks.iter().next().is_some() {
        reading.values();
    }
    Shape::Known
}
