//! `random_pool`: requests put together from entries drawn at random; a directory gives one pool for each
//! file, and a request has one draw from each.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::config::DEFAULT_ENTRIES;
use super::error::DatasetError;
use super::file::{LoadContext, base_of, files_of, for_each_record};
use super::lengths::{Normal, output_of};
use super::messages::{Entry, Media, prompt_of};
use super::{Image, Session, Source, Turn};
use crate::seed::{Seed, below};

/// Pools to draw from.
pub(super) struct RandomPool {
    pools: Vec<Vec<Media>>,
    seed: Seed,
    entries: u64,
    batch_size: u32,
    output: Option<Normal>,
    system: Option<Arc<str>>,
}

impl RandomPool {
    pub(super) fn load(path: &Path, context: &LoadContext<'_>) -> Result<Self, DatasetError> {
        let pools = if path.is_dir() {
            let stem = |path: &Path| path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
            files_of(path)?.iter().map(|file| read_pool(file, stem(file))).collect::<Result<Vec<_>, _>>()?
        } else {
            vec![read_pool(path, None)?]
        };
        if pools.is_empty() {
            return Err(DatasetError::file(path, "holds no files to draw from"));
        }
        if pools.len() > 1 && context.config.prompt.batch_size > 1 {
            let reason = "above 1 draws from one pool: give a single file, or leave it out".to_owned();
            return Err(DatasetError::Config { flag: "--batch-size", reason });
        }
        let pool = Self {
            pools,
            seed: context.seed,
            entries: context.config.num_dataset_entries.unwrap_or(DEFAULT_ENTRIES),
            batch_size: context.config.prompt.batch_size,
            output: output_of(&context.config.prompt),
            system: context.prefixes.system(),
        };
        // What a draw makes of these pools depends on their names alone, so one draw tells.
        prompt_of(pool.draw(0)).map_err(|reason| DatasetError::file(path, format!("a request {reason}")))?;
        Ok(pool)
    }

    fn draw(&self, index: u64) -> Media {
        let mut rng = self.seed.stream_at("random pool", index);
        let mut drawn = Media { texts: Vec::new(), images: Vec::new() };
        for pool in &self.pools {
            for _ in 0..self.batch_size {
                // `read_pool` refuses an empty file.
                let media = &pool[below(&mut rng, pool.len() as u64) as usize];
                drawn.texts.extend(media.texts.iter().cloned());
                drawn.images.extend(media.images.iter().map(Image::clone));
            }
        }
        drawn
    }
}

/// Entries of one file. Texts without a name of their own get the name of the file's stem.
fn read_pool(path: &Path, name: Option<String>) -> Result<Vec<Media>, DatasetError> {
    let mut pool = Vec::new();
    for_each_record(path, |_, mut entry: Entry| {
        if entry.session_id.is_some() {
            return Err("`session_id` has no meaning in a random pool".to_owned());
        }
        let mut media = entry.media(base_of(path))?;
        for (text_name, _) in &mut media.texts {
            *text_name = text_name.take().or_else(|| name.clone());
        }
        pool.push(media);
        Ok(())
    })?;
    if pool.is_empty() {
        return Err(DatasetError::file(path, "holds no entries"));
    }
    Ok(pool)
}

impl Source for RandomPool {
    fn entries(&self) -> Option<u64> {
        Some(self.entries)
    }

    fn entry(&self, index: u64) -> Session {
        let media = self.draw(index);
        let texts = media.texts.iter().map(|(_, text)| Arc::clone(text)).collect();
        let images = media.images.clone();
        // Named texts that make no ranking were refused at loading; plain texts always work.
        let prompt = prompt_of(media).unwrap_or(super::Prompt::Texts { texts, images });
        Session {
            id: super::session_id(index),
            system: self.system.clone(),
            context: None,
            turns: vec![Turn {
                prompt,
                input_tokens: None,
                output_tokens: self
                    .output
                    .map(|output| output.draw(&mut self.seed.stream_at("file output lengths", index))),
                delay: Duration::ZERO,
                at: None,
                model: None,
                extra: None,
            }],
            self_contained: false,
        }
    }

    fn turns(&self, _: u64) -> u32 {
        1
    }

    fn turns_mean(&self) -> f64 {
        1.0
    }
}
