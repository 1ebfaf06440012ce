//! Token counts of a request: the server's own, or a tokenizer's (DESIGN section 4).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::dataset::{Prompt, Session};
use crate::endpoint::{Message, Reply};
use crate::tokenizer::Tokenizer;

/// Where token counts come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenSource {
    /// The `usage` object of the answer.
    Server,
    /// The tokenizer asked for with `--tokenizer`.
    Tokenizer,
    /// The built-in vocabulary, because the server said nothing.
    Builtin,
}

/// Token counts of one request. Absent: not known, or none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TokenCounts {
    /// All input, history and system message included.
    pub input: Option<u64>,
    /// Answer without reasoning.
    pub output: Option<u64>,
    /// Reasoning.
    pub reasoning: Option<u64>,
    /// Where the output counts came from; absent for failures.
    pub source: Option<TokenSource>,
    /// Whether the counts are ours, so that the server's can be compared with them.
    pub compare_with_usage: bool,
}

impl TokenCounts {
    /// OSL: answer plus reasoning; absent when neither is known.
    pub(crate) fn output_sequence(&self) -> Option<u64> {
        match (self.output, self.reasoning) {
            (None, None) => None,
            (output, reasoning) => Some(output.unwrap_or(0) + reasoning.unwrap_or(0)),
        }
    }
}

/// How this run counts.
#[derive(Debug)]
pub(crate) enum TokenCounting {
    /// `--use-server-token-count`: usage or nothing.
    Server,
    /// `--tokenizer`: count everything ourselves.
    Tokenizer(Arc<Tokenizer>),
    /// Neither: usage where the server gives it, else the built-in vocabulary.
    Auto(Arc<Tokenizer>),
    /// The endpoint has no token output (embeddings, rankings).
    InputOnly(Arc<Tokenizer>),
}

impl TokenCounting {
    /// Whether answers must keep their text to be counted.
    pub(crate) fn needs_text(&self) -> bool {
        matches!(self, TokenCounting::Tokenizer(_) | TokenCounting::Auto(_))
    }

    /// Counts the tokens of one request.
    pub(crate) fn count(
        &self,
        session: &Session,
        turn: u32,
        history: &[Message],
        reply: &Reply,
    ) -> TokenCounts {
        let usage = reply.usage.as_ref();
        let answered = reply.events > 0 || !reply.deltas.is_empty();
        match self {
            TokenCounting::Server => from_usage(reply),
            TokenCounting::Tokenizer(tokenizer) => TokenCounts {
                input: Some(input(tokenizer, session, turn, history)),
                source: answered.then_some(TokenSource::Tokenizer),
                compare_with_usage: true,
                ..output(tokenizer, reply)
            },
            TokenCounting::Auto(_) if usage.is_some_and(|usage| usage.completion.is_some()) => {
                from_usage(reply)
            }
            TokenCounting::Auto(tokenizer) => TokenCounts {
                input: Some(input(tokenizer, session, turn, history)),
                source: answered.then_some(TokenSource::Builtin),
                ..output(tokenizer, reply)
            },
            TokenCounting::InputOnly(tokenizer) => TokenCounts {
                input: match usage.and_then(|usage| usage.prompt) {
                    Some(tokens) => Some(tokens.max(0) as u64),
                    None => Some(input(tokenizer, session, turn, history)),
                },
                ..TokenCounts::default()
            },
        }
    }
}

fn from_usage(reply: &Reply) -> TokenCounts {
    let Some(usage) = &reply.usage else { return TokenCounts::default() };
    let count = |tokens: Option<i64>| tokens.map(|tokens| tokens.max(0) as u64);
    let reasoning = count(usage.reasoning);
    TokenCounts {
        input: count(usage.prompt),
        output: count(usage.completion).map(|completion| completion.saturating_sub(reasoning.unwrap_or(0))),
        reasoning,
        source: Some(TokenSource::Server),
        compare_with_usage: false,
    }
}

fn output(tokenizer: &Tokenizer, reply: &Reply) -> TokenCounts {
    let count = |text: &str| Some(counted(tokenizer, text)).filter(|&tokens| tokens > 0);
    let content = match reply.tool_calls.is_empty() && reply.more_choices.is_empty() {
        true => count(&reply.content),
        false => count(&format!("{}{}{}", reply.content, reply.more_choices.concat(), reply.tool_calls)),
    };
    TokenCounts { output: content, reasoning: count(&reply.reasoning), ..TokenCounts::default() }
}

/// An empty text costs nothing: the built-in vocabulary is not loaded for it.
fn counted(tokenizer: &Tokenizer, text: &str) -> u64 {
    match text.is_empty() {
        true => 0,
        false => tokenizer.count(text) as u64,
    }
}

/// Tokens of every text of the request, joined by single blanks (METRICS: `input_sequence_length`).
fn input(tokenizer: &Tokenizer, session: &Session, turn_index: u32, history: &[Message]) -> u64 {
    let turn = &session.turns[turn_index as usize];
    let alone = history.is_empty() && session.system.is_none() && session.context.is_none();
    if let (true, Some(known)) = (alone, turn.input_tokens) {
        return u64::from(known);
    }
    let mut texts: Vec<&str> = Vec::new();
    texts.extend(session.system.as_deref());
    texts.extend(session.context.as_deref());
    for message in history {
        match message {
            Message::User { turn } => push_texts(&mut texts, &session.turns[*turn].prompt),
            Message::Assistant { content } => texts.push(content),
        }
    }
    if let Prompt::TokenIds(ids) = &turn.prompt {
        return ids.len() as u64;
    }
    push_texts(&mut texts, &turn.prompt);
    counted(tokenizer, &texts.join(" "))
}

fn push_texts<'a>(texts: &mut Vec<&'a str>, prompt: &'a Prompt) {
    match prompt {
        Prompt::Texts { texts: own, .. } => texts.extend(own.iter().map(|text| &**text)),
        Prompt::Ranking { query, passages } => {
            texts.push(query);
            texts.extend(passages.iter().map(|passage| &**passage));
        }
        Prompt::TokenIds(_) => {}
        Prompt::Body(body) => texts.push(body.get()),
    }
}
