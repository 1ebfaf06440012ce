//! ShareGPT: a JSON list of conversations; each question with its answer is a turn, whose answer gives the
//! length asked for.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use super::error::DatasetError;
use super::file::{LoadContext, parse, read_text};
use super::lengths::output_of;
use super::messages::Sessions;
use super::{Prompt, Session, Turn};

#[derive(Deserialize)]
struct Conversation {
    #[serde(default)]
    conversations: Vec<Message>,
}

#[derive(Deserialize)]
struct Message {
    from: Option<String>,
    value: Option<String>,
}

impl Message {
    fn is(&self, words: [&str; 2]) -> bool {
        self.from.as_deref().is_some_and(|from| words.contains(&from))
    }
}

/// The conversations that have a question with an answer.
pub(super) fn load(path: &Path, context: &LoadContext<'_>) -> Result<Sessions, DatasetError> {
    let text = read_text(path)?;
    let conversations: Vec<Conversation> = if text.trim_start().starts_with('[') {
        serde_json::from_str(&text)
            .map_err(|error| DatasetError::line(path, error.line() as u64, error.to_string()))?
    } else {
        let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        lines
            .map(|(index, line)| {
                parse(line).map_err(|why: String| DatasetError::line(path, index as u64 + 1, why))
            })
            .collect::<Result<_, _>>()?
    };
    let output = output_of(&context.config.prompt);
    let mut lengths = context.seed.stream("file output lengths");
    let (mut sessions, mut skipped) = (Vec::new(), 0);
    for (index, conversation) in conversations.iter().enumerate() {
        let turns: Vec<_> = pairs(&conversation.conversations)
            .map(|(question, answer)| Turn {
                prompt: Prompt::Texts { texts: vec![Arc::from(question)], images: Vec::new() },
                input_tokens: Some(context.tokenizer.count(question) as u32),
                output_tokens: Some(match output {
                    Some(output) => output.draw(&mut lengths),
                    None => (context.tokenizer.count(answer) as u32).max(1),
                }),
                delay: Duration::ZERO,
                at: None,
                model: None,
                extra: None,
            })
            .collect();
        if turns.is_empty() {
            skipped += 1;
            continue;
        }
        sessions.push(Session {
            id: super::session_id(index as u64),
            system: context.prefixes.system(),
            context: None,
            turns,
            self_contained: false,
        });
    }
    if sessions.is_empty() {
        return Err(DatasetError::file(path, "holds no conversation with a question and an answer"));
    }
    Ok(Sessions { sessions, skipped })
}

/// Questions directly followed by their answers.
fn pairs(messages: &[Message]) -> impl Iterator<Item = (&str, &str)> {
    messages.windows(2).filter_map(|pair| {
        let [question, answer] = pair else { return None };
        if !question.is(["human", "user"]) || !answer.is(["gpt", "assistant"]) {
            return None;
        }
        let filled =
            |message: &'_ Message| message.value.as_deref().is_some_and(|text| !text.trim().is_empty());
        if !filled(question) || !filled(answer) {
            return None;
        }
        question.value.as_deref().zip(answer.value.as_deref())
    })
}
