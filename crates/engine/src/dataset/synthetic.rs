//! Synthetic sessions: every one drawn from the seed and its own index, none kept in memory.

use std::sync::Arc;
use std::time::Duration;

use rand_chacha::ChaCha8Rng;

use super::config::{Content, DatasetConfig, ImageConfig, RankingsConfig, TurnsConfig};
use super::error::DatasetError;
use super::lengths::{Lengths, Normal};
use super::prefix::Prefixes;
use super::prompt::PromptWriter;
use super::{Image, Prompt, Session, Source, Turn, image};
use crate::seed::{Seed, below};

/// Generator of synthetic sessions.
pub(super) struct Synthetic {
    seed: Seed,
    writer: PromptWriter,
    lengths: Lengths,
    batch_size: u32,
    content: Content,
    entries: Option<u64>,
    turns: TurnsConfig,
    image: ImageConfig,
    /// Images of `--image-source`, to draw from instead of noise.
    gallery: Vec<Image>,
    rankings: RankingsConfig,
    prefixes: Prefixes,
}

impl Synthetic {
    pub(super) fn new(
        config: &DatasetConfig,
        seed: Seed,
        writer: PromptWriter,
        prefixes: Prefixes,
    ) -> Result<Self, DatasetError> {
        Ok(Self {
            seed,
            writer,
            lengths: Lengths::new(&config.prompt)?,
            batch_size: config.prompt.batch_size,
            content: config.content,
            entries: config.num_dataset_entries,
            turns: config.turns.clone(),
            image: config.image.clone(),
            gallery: config.image.source.as_deref().map(image::gallery).transpose()?.unwrap_or_default(),
            rankings: config.rankings.clone(),
            prefixes,
        })
    }

    fn turn_count(&self, index: u64) -> u32 {
        Normal { mean: self.turns.mean, stddev: self.turns.stddev }
            .draw(&mut self.seed.stream_at("turns", index))
    }

    fn turn(&self, session: u64, number: u32, lengths: &mut ChaCha8Rng) -> Turn {
        let delay = if number == 0 { Duration::ZERO } else { self.delay(session, number) };
        let (prompt, input_tokens, output_tokens) = match self.content {
            Content::Text => self.texts(session, number, lengths),
            Content::Ranking => self.ranking(session, number),
        };
        Turn {
            prompt,
            input_tokens: Some(input_tokens),
            output_tokens,
            delay,
            at: None,
            model: None,
            extra: None,
        }
    }

    /// Stream of one text: sessions, turns and texts of a turn never share one.
    fn text(&self, session: u64, number: u32, text: u32, tokens: u32) -> (String, u32) {
        let turn = self.seed.derive("texts", session);
        self.writer.prompt(turn.stream_at("text", u64::from(number) << 32 | u64::from(text)), tokens)
    }

    fn texts(&self, session: u64, number: u32, lengths: &mut ChaCha8Rng) -> (Prompt, u32, Option<u32>) {
        let (tokens, output) = self.lengths.draw(lengths);
        let mut total = 0u32;
        let texts = (0..self.batch_size)
            .map(|index| {
                let (mut text, mut count) = self.text(session, number, index, tokens);
                if number == 0 && index == 0 {
                    count += self.prefixes.put_before(session, &mut text);
                }
                total = u32::saturating_add(total, count);
                Arc::from(text)
            })
            .collect();
        (Prompt::Texts { texts, images: self.images(session, number) }, total, output)
    }

    fn ranking(&self, session: u64, number: u32) -> (Prompt, u32, Option<u32>) {
        let config = &self.rankings;
        let mut rng = self.seed.stream_at("rankings", session);
        let normal = |mean, stddev| Normal { mean, stddev };
        let (query, mut total) = self.text(
            session,
            number,
            0,
            normal(config.query_tokens_mean, config.query_tokens_stddev).draw(&mut rng),
        );
        let passages = normal(config.passages_mean, config.passages_stddev).draw(&mut rng);
        let passages = (0..passages)
            .map(|index| {
                let tokens = normal(config.passage_tokens_mean, config.passage_tokens_stddev).draw(&mut rng);
                let (text, count) = self.text(session, number, index + 1, tokens);
                total = u32::saturating_add(total, count);
                Arc::from(text)
            })
            .collect();
        (Prompt::Ranking { query: query.into(), passages }, total, None)
    }

    fn images(&self, session: u64, number: u32) -> Vec<Image> {
        let config = &self.image;
        let noise = config.width_mean > 0.0 && config.height_mean > 0.0;
        if !noise && self.gallery.is_empty() {
            return Vec::new();
        }
        let seed = self.seed.derive("images", session);
        (0..config.batch_size)
            .map(|index| {
                let mut rng = seed.stream_at("image", u64::from(number) << 32 | u64::from(index));
                if !self.gallery.is_empty() {
                    return self.gallery[below(&mut rng, self.gallery.len() as u64) as usize].clone();
                }
                let width = Normal { mean: config.width_mean, stddev: config.width_stddev }.draw(&mut rng);
                let height = Normal { mean: config.height_mean, stddev: config.height_stddev }.draw(&mut rng);
                image::noise(width, height, &mut rng)
            })
            .collect()
    }

    fn delay(&self, session: u64, number: u32) -> Duration {
        if self.turns.delay_mean <= 0.0 {
            return Duration::ZERO;
        }
        let mut rng = self.seed.derive("delays", session).stream_at("delay", u64::from(number));
        let normal = Normal { mean: self.turns.delay_mean, stddev: self.turns.delay_stddev };
        super::scaled_delay(normal.draw_from(&mut rng, 0.0), &self.turns)
    }
}

impl Source for Synthetic {
    fn entries(&self) -> Option<u64> {
        self.entries
    }

    fn entry(&self, index: u64) -> Session {
        let mut lengths = self.seed.stream_at("lengths", index);
        let turns =
            (0..self.turn_count(index)).map(|number| self.turn(index, number, &mut lengths)).collect();
        Session {
            id: super::session_id(index),
            system: self.prefixes.system(),
            context: self.prefixes.context(index),
            turns,
            self_contained: false,
        }
    }

    fn turns(&self, index: u64) -> u32 {
        self.turn_count(index)
    }

    fn turns_mean(&self) -> f64 {
        self.turns.mean
    }
}
