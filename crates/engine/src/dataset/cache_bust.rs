//! Markers that make a session's prompt differ from all others, so that a prefix cache cannot help.

use std::sync::Arc;

use rand::rand_core::Rng;

use super::config::CacheBust;
use super::{Prompt, Session};
use crate::seed::Seed;
use crate::tokenizer::Tokenizer;

const WARMUP_MARKER: &str = "[warmup]\n\n";

/// Where a marker goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    System,
    FirstTurn,
}

/// Puts markers into sessions.
#[derive(Clone)]
pub(super) struct CacheBuster {
    target: CacheBust,
    /// New in each run, also with a fixed seed: the last run's cache must not match.
    run: Seed,
    tokenizer: Tokenizer,
}

impl CacheBuster {
    pub(super) fn new(target: CacheBust, run: Seed, tokenizer: Tokenizer) -> Option<Self> {
        (target != CacheBust::None).then_some(Self { target, run, tokenizer })
    }

    /// Marks session `number` of the run. Warmup and profiling count their sessions together, so no two
    /// sessions of a run have the same marker.
    pub(super) fn mark(&self, number: u64, warmup: bool, session: &mut Session) {
        let digits = || {
            let draw = self.run.stream_at("cache bust", number).next_u64();
            format!("[rid:{:012x}]", draw & 0xffff_ffff_ffff)
        };
        match self.target {
            CacheBust::None => {}
            CacheBust::SystemPrefix => self.insert(session, Place::System, &(digits() + "\n\n"), true),
            CacheBust::SystemSuffix => {
                self.insert(session, Place::System, &format!("\n\n{}", digits()), false)
            }
            CacheBust::FirstTurnPrefix => self.insert(session, Place::FirstTurn, &(digits() + "\n\n"), true),
            CacheBust::FirstTurnSuffix => {
                self.insert(session, Place::FirstTurn, &format!("\n\n{}", digits()), false);
            }
            CacheBust::WarmupIsolationSystem if warmup => {
                self.insert(session, Place::System, WARMUP_MARKER, true);
            }
            CacheBust::WarmupIsolationFirstTurn if warmup => {
                self.insert(session, Place::FirstTurn, WARMUP_MARKER, true);
            }
            CacheBust::WarmupIsolationSystem | CacheBust::WarmupIsolationFirstTurn => {}
        }
    }

    fn insert(&self, session: &mut Session, place: Place, marker: &str, before: bool) {
        let join = |text: &str| {
            let joined = if before { format!("{marker}{text}") } else { format!("{text}{marker}") };
            Arc::<str>::from(joined)
        };
        if place == Place::System {
            // Without a system message the marker alone becomes one.
            session.system =
                Some(session.system.as_ref().map_or_else(|| Arc::from(marker.trim()), |text| join(text)));
            return;
        }
        let Some(turn) = session.turns.first_mut() else { return };
        let text = match &mut turn.prompt {
            Prompt::Texts { texts, .. } => texts.first_mut(),
            Prompt::Ranking { query, .. } => Some(query),
            // Ids and finished bodies have no place for text: `Dataset::new` refuses the combination.
            Prompt::TokenIds(_) | Prompt::Body(_) => None,
        };
        let Some(text) = text else { return };
        let marked = join(text);
        if let Some(tokens) = turn.input_tokens {
            // Measured: how the marker's edge meets the text is the tokenizer's business.
            let added = self.tokenizer.count(&marked).saturating_sub(self.tokenizer.count(text));
            turn.input_tokens = Some(tokens.saturating_add(added as u32));
        }
        *text = marked;
    }
}
