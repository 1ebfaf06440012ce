//! Finished request bodies: `inputs.json` of an earlier run and `raw_payload` files, sent byte for byte.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::error::DatasetError;
use super::file::{files_of, for_each_line, parse, read_text};
use super::messages::Sessions;
use super::{Prompt, Session, Turn};

fn session(id: Arc<str>, bodies: Vec<Box<RawValue>>) -> Session {
    let turn = |body| Turn {
        prompt: Prompt::Body(Arc::from(body)),
        input_tokens: None,
        output_tokens: None,
        delay: Duration::ZERO,
        at: None,
        model: None,
        extra: None,
    };
    let turns = bodies.into_iter().map(turn).collect();
    Session { id, system: None, context: None, turns, self_contained: true }
}

/// A body must be a JSON object.
fn check(body: Box<RawValue>) -> Result<Box<RawValue>, String> {
    if body.get().starts_with('{') { Ok(body) } else { Err("is not a JSON object".to_owned()) }
}

/// `inputs.json`: sessions with one body for each turn.
pub(super) fn inputs_json(path: &Path) -> Result<Sessions, DatasetError> {
    #[derive(Deserialize)]
    struct Inputs {
        data: Vec<Entry>,
    }
    #[derive(Deserialize)]
    struct Entry {
        session_id: String,
        payloads: Vec<Box<RawValue>>,
    }
    let text = read_text(path)?;
    let inputs: Inputs = serde_json::from_str(&text)
        .map_err(|error| DatasetError::line(path, error.line() as u64, error.to_string()))?;
    let mut seen = HashSet::new();
    let mut sessions = Vec::with_capacity(inputs.data.len());
    for (index, entry) in inputs.data.into_iter().enumerate() {
        let wrong = |reason: &str| DatasetError::file(path, format!("data[{index}]: {reason}"));
        if entry.payloads.is_empty() {
            return Err(wrong("`payloads` is empty"));
        }
        if !seen.insert(entry.session_id.clone()) {
            return Err(wrong(&format!("`session_id` {} was used before", entry.session_id)));
        }
        let bodies = entry
            .payloads
            .into_iter()
            .enumerate()
            .map(|(turn, body)| check(body).map_err(|reason| wrong(&format!("payloads[{turn}] {reason}"))))
            .collect::<Result<Vec<_>, _>>()?;
        sessions.push(session(Arc::from(entry.session_id), bodies));
    }
    Ok(Sessions { sessions, skipped: 0 })
}

/// `raw_payload`: one body a line; each file of a directory is a session whose lines are its turns.
pub(super) fn raw_payload(path: &Path) -> Result<Sessions, DatasetError> {
    if !path.is_dir() {
        let bodies = read_bodies(path)?;
        let numbered = bodies.into_iter().enumerate();
        let sessions = numbered.map(|(n, body)| session(super::session_id(n as u64), vec![body])).collect();
        return Ok(Sessions { sessions, skipped: 0 });
    }
    let mut sessions = Vec::new();
    for file in files_of(path)? {
        let bodies = read_bodies(&file)?;
        if bodies.is_empty() {
            return Err(DatasetError::file(&file, "holds no entries"));
        }
        let stem = file.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
        sessions.push(session(Arc::from(stem), bodies));
    }
    Ok(Sessions { sessions, skipped: 0 })
}

fn read_bodies(path: &Path) -> Result<Vec<Box<RawValue>>, DatasetError> {
    let mut bodies = Vec::new();
    for_each_line(path, |_, line| {
        bodies.push(check(parse(line)?)?);
        Ok(())
    })?;
    Ok(bodies)
}
