//! `single_turn` and `multi_turn`: texts and images, one session or one request a line.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use serde::Deserialize;

use super::error::DatasetError;
use super::file::{LoadContext, base_of, for_each_record};
use super::lengths::{Normal, output_of};
use super::{Image, Prompt, Session, Source, Turn, image, scaled_delay};
use crate::schedule::TraceInstant;

/// Sessions kept in memory.
pub(super) struct Sessions {
    pub(super) sessions: Vec<Session>,
    /// Entries of the file left out.
    pub(super) skipped: u64,
}

impl Source for Sessions {
    fn entries(&self) -> Option<u64> {
        Some(self.sessions.len() as u64)
    }

    fn entry(&self, index: u64) -> Session {
        let index = (index % self.sessions.len().max(1) as u64) as usize;
        // `file::load` refuses an empty file, so there is a first session.
        self.sessions[index].clone()
    }

    fn turns(&self, index: u64) -> u32 {
        self.sessions.get(index as usize).map_or(1, |session| session.turns.len() as u32)
    }

    fn turns_mean(&self) -> f64 {
        let turns: usize = self.sessions.iter().map(|session| session.turns.len()).sum();
        turns as f64 / self.sessions.len().max(1) as f64
    }

    fn instants(&self) -> Vec<TraceInstant> {
        let at = |(index, session): (usize, &Session)| {
            Some(TraceInstant { at: session.turns.first()?.at?, session: index as u64 })
        };
        self.sessions.iter().enumerate().filter_map(at).collect()
    }

    fn skipped(&self) -> u64 {
        self.skipped
    }
}

/// One text, or several under a name (`query`, `passages` for rankings).
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Texts {
    Plain(String),
    Named {
        #[serde(default)]
        name: Option<String>,
        contents: Vec<String>,
    },
}

/// One image, or several.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Images {
    Plain(String),
    Named { contents: Vec<String> },
}

/// One request of a file. Unknown fields are refused: a misspelt one would change the run silently.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    #[serde(rename = "type")]
    _type: Option<String>,
    text: Option<String>,
    texts: Option<Vec<Texts>>,
    image: Option<String>,
    images: Option<Vec<Images>>,
    audio: Option<serde_json::Value>,
    audios: Option<serde_json::Value>,
    video: Option<serde_json::Value>,
    videos: Option<serde_json::Value>,
    role: Option<String>,
    /// Milliseconds.
    timestamp: Option<f64>,
    /// Milliseconds.
    delay: Option<f64>,
    pub(super) session_id: Option<String>,
    output_length: Option<u32>,
    model: Option<String>,
    extra: Option<serde_json::Map<String, serde_json::Value>>,
}

/// What an entry shows.
pub(super) struct Media {
    pub(super) texts: Vec<(Option<String>, Arc<str>)>,
    pub(super) images: Vec<Image>,
}

impl Entry {
    /// Texts and images, or why there are none.
    pub(super) fn media(&mut self, base: &Path) -> Result<Media, String> {
        let both = |name: &str| Err(format!("`{name}` and `{name}s` exclude each other"));
        if self.text.is_some() && self.texts.is_some() {
            return both("text");
        }
        if self.image.is_some() && self.images.is_some() {
            return both("image");
        }
        for (name, value) in [
            ("audio", &self.audio),
            ("audios", &self.audios),
            ("video", &self.video),
            ("videos", &self.videos),
        ] {
            if value.is_some() {
                return Err(format!("`{name}` is not supported: only text and images are"));
            }
        }
        let mut texts: Vec<(Option<String>, Arc<str>)> = Vec::new();
        texts.extend(self.text.take().map(|text| (None, Arc::from(text))));
        for item in self.texts.take().unwrap_or_default() {
            match item {
                Texts::Plain(text) => texts.push((None, Arc::from(text))),
                Texts::Named { name, contents } => {
                    texts.extend(contents.into_iter().map(|text| (name.clone(), Arc::from(text))));
                }
            }
        }
        let mut paths: Vec<String> = Vec::new();
        paths.extend(self.image.take());
        for item in self.images.take().unwrap_or_default() {
            match item {
                Images::Plain(path) => paths.push(path),
                Images::Named { contents } => paths.extend(contents),
            }
        }
        let images = paths.iter().map(|path| image::from_entry(path, base)).collect::<Result<Vec<_>, _>>()?;
        if texts.is_empty() && images.is_empty() {
            return Err("has neither `text`, `texts`, `image` nor `images`".to_owned());
        }
        Ok(Media { texts, images })
    }

    /// The turn of this entry.
    fn turn(
        mut self,
        base: &Path,
        context: &LoadContext<'_>,
        output: Option<Normal>,
        lengths: &mut ChaCha8Rng,
    ) -> Result<Turn, String> {
        if let Some(role) = self.role.as_deref().filter(|role| *role != "user") {
            return Err(format!("role `{role}` is not supported: each entry is a request of the user"));
        }
        if self.output_length == Some(0) {
            return Err("`output_length` must be 1 or more".to_owned());
        }
        if self.timestamp.is_some() && self.delay.is_some() {
            return Err("`timestamp` and `delay` exclude each other".to_owned());
        }
        let media = self.media(base)?;
        Ok(Turn {
            prompt: prompt_of(media)?,
            input_tokens: None,
            output_tokens: self.output_length.or_else(|| output.map(|output| output.draw(lengths))),
            delay: millis(self.delay, "delay")?
                .map_or(Duration::ZERO, |delay| scaled_delay(delay, &context.config.turns)),
            at: millis(self.timestamp, "timestamp")?.map(duration_ms),
            model: self.model.map(Arc::from),
            extra: self.extra.map(Arc::new),
        })
    }
}

/// A query with passages when the texts are named so, else texts and images of one message.
pub(super) fn prompt_of(media: Media) -> Result<Prompt, String> {
    let is = |name: &Option<String>, word: &str| name.as_deref().is_some_and(|name| name.starts_with(word));
    if !media.texts.iter().any(|(name, _)| is(name, "query")) {
        let texts = media.texts.into_iter().map(|(_, text)| text).collect();
        return Ok(Prompt::Texts { texts, images: media.images });
    }
    let named = |word: &str| -> Vec<Arc<str>> {
        let texts = media.texts.iter().filter(|(name, _)| is(name, word));
        texts.map(|(_, text)| Arc::clone(text)).collect()
    };
    let (queries, passages) = (named("query"), named("passage"));
    match (queries.as_slice(), passages.is_empty()) {
        ([query], false) => Ok(Prompt::Ranking { query: Arc::clone(query), passages }),
        ([_], true) => Err("has a `query` but no `passages`".to_owned()),
        _ => Err("has more than one `query`".to_owned()),
    }
}

pub(super) fn millis(value: Option<f64>, field: &str) -> Result<Option<f64>, String> {
    match value {
        Some(value) if !(value.is_finite() && (0.0..1e15).contains(&value)) => {
            Err(format!("`{field}` is {value}, but must be a number of milliseconds, not negative"))
        }
        _ => Ok(value),
    }
}

pub(super) fn duration_ms(millis: f64) -> Duration {
    Duration::from_nanos((millis * 1e6).round() as u64)
}

/// `single_turn`: one request a line; lines with the same `session_id` are sent one after the other.
pub(super) fn single_turn(path: &Path, context: &LoadContext<'_>) -> Result<Sessions, DatasetError> {
    let output = output_of(&context.config.prompt);
    let mut lengths = context.seed.stream("file output lengths");
    let mut sessions: Vec<Session> = Vec::new();
    let mut by_id: HashMap<String, usize> = HashMap::new();
    for_each_record(path, |_, mut entry: Entry| {
        let id = entry.session_id.take();
        let turn = entry.turn(base_of(path), context, output, &mut lengths)?;
        if let Some(session) = id.as_ref().and_then(|id| by_id.get(id)).and_then(|at| sessions.get_mut(*at)) {
            session.turns.push(turn);
            return Ok(());
        }
        let named = id.clone();
        let at = sessions.len();
        sessions.push(Session {
            id: id.map_or_else(|| super::session_id(at as u64), Arc::from),
            system: context.prefixes.system(),
            context: None,
            turns: vec![turn],
            self_contained: true,
        });
        by_id.extend(named.map(|id| (id, at)));
        Ok(())
    })?;
    Ok(Sessions { sessions, skipped: 0 })
}

/// `multi_turn`: one session a line.
pub(super) fn multi_turn(path: &Path, context: &LoadContext<'_>) -> Result<Sessions, DatasetError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Line {
        #[serde(rename = "type")]
        _type: Option<String>,
        session_id: Option<String>,
        turns: Vec<Entry>,
    }
    let output = output_of(&context.config.prompt);
    let mut lengths = context.seed.stream("file output lengths");
    let mut sessions: Vec<Session> = Vec::new();
    let mut seen: HashMap<String, u64> = HashMap::new();
    for_each_record(path, |number, line: Line| {
        if line.turns.is_empty() {
            return Err("`turns` is empty".to_owned());
        }
        if let Some(first) = line.session_id.as_ref().and_then(|id| seen.insert(id.clone(), number)) {
            return Err(format!("has the same `session_id` as line {first}"));
        }
        let turns = line
            .turns
            .into_iter()
            .enumerate()
            .map(|(index, entry)| {
                let turn = entry.turn(base_of(path), context, output, &mut lengths);
                turn.map_err(|reason| format!("turn {index}: {reason}"))
            })
            .collect::<Result<Vec<_>, _>>()?;
        sessions.push(Session {
            id: line.session_id.map_or_else(|| super::session_id(sessions.len() as u64), Arc::from),
            system: context.prefixes.system(),
            context: None,
            turns,
            self_contained: false,
        });
        Ok(())
    })?;
    Ok(Sessions { sessions, skipped: 0 })
}
