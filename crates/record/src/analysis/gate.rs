//! A regression gate: `time_to_first_token_p95=5%` lets the p95 get at most 5 % worse than in a baseline run.
//!
//! It is *met* when the change for the worse is below the limit with the confidence asked for, *broken* when it is above
//! with that confidence, and *not proven* in between: more requests, or a wider limit, decide it.

use std::str::FromStr;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::analysis::compare::{change, change_draws, draw_at};
use crate::analysis::run_sample::RunSample;
use crate::analysis::statistic::{Figure, FigureError};
use crate::analysis::verdict::{Check, Verdict, number};

/// How far a figure may get worse.
#[derive(Clone, Debug, PartialEq)]
pub struct MaxRegress {
    text: String,
    /// The figure.
    pub figure: Figure,
    /// Most it may get worse, %; for the error rate in percentage points.
    pub limit_pct: f64,
}

/// Why a text is no such limit.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum MaxRegressError {
    /// There is no `=`, or no percentage behind it.
    #[error("{0:?}: expected a figure and a percentage, such as ttft_p95=5%")]
    Form(String),
    /// The figure is unknown.
    #[error("{text:?}: {source}")]
    Figure {
        /// The limit.
        text: String,
        /// Why.
        source: FigureError,
    },
}

impl FromStr for MaxRegress {
    type Err = MaxRegressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let form = || MaxRegressError::Form(text.to_owned());
        let (figure, limit) = text.split_once('=').ok_or_else(form)?;
        let limit = limit.trim().strip_suffix('%').ok_or_else(form)?;
        let limit_pct: f64 = limit.trim().parse().map_err(|_| form())?;
        if !(limit_pct.is_finite() && limit_pct >= 0.0) {
            return Err(form());
        }
        let figure =
            figure.parse().map_err(|source| MaxRegressError::Figure { text: text.to_owned(), source })?;
        Ok(MaxRegress { text: text.to_owned(), figure, limit_pct })
    }
}

/// Draws for each gate.
const DRAWS: usize = 20_000;

impl MaxRegress {
    /// The limit as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Decides the gate: one-sided, with the given confidence (0.5 to 1).
    pub fn check(&self, baseline: &RunSample, candidate: &RunSample, confidence: f64, seed: u64) -> Check {
        let mut check = Check {
            name: self.text.clone(),
            verdict: Verdict::NoData,
            message: String::new(),
            estimate: None,
            bound: None,
            limit: self.limit_pct,
            unit: "%".to_owned(),
            confidence,
            samples: 0,
        };
        let (Some(from), Some(to)) = (baseline.estimate(self.figure), candidate.estimate(self.figure)) else {
            let missing = if baseline.estimate(self.figure).is_none() { baseline } else { candidate };
            check.message = format!("{}: {} has no such figure", self.figure, missing.name);
            return check;
        };
        check.samples = from.samples.min(to.samples);
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let draws = change_draws(self.figure, baseline, candidate, DRAWS, &mut random);
        let (Some(change), Some(draws)) = (change(self.figure, from.value, to.value), draws) else {
            check.verdict = Verdict::NotEnoughSamples;
            check.message = format!(
                "{}: not enough samples to compare ({} against {})",
                self.figure, from.samples, to.samples
            );
            return check;
        };
        // From here on, positive is worse.
        let upward = self.figure.metric.def().larger_is_better();
        let (worse, low, high) = if upward {
            (-change, -draw_at(&draws, confidence), -draw_at(&draws, 1.0 - confidence))
        } else {
            (change, draw_at(&draws, 1.0 - confidence), draw_at(&draws, confidence))
        };
        check.estimate = Some(worse);
        let unit = self.figure.metric.def().unit;
        let values = format!("{} to {} {unit}", number(from.value), number(to.value));
        let percent = 100.0 * confidence;
        let told = |pct: f64| {
            if pct >= 0.0 { format!("{pct:.2}% worse") } else { format!("{:.2}% better", -pct) }
        };
        if high <= self.limit_pct {
            (check.verdict, check.bound) = (Verdict::Met, Some(high));
            check.message = format!(
                "{}: {} ({values}), with {percent}% confidence no more than {}",
                self.figure,
                told(worse),
                told(high)
            );
        } else if low > self.limit_pct {
            (check.verdict, check.bound) = (Verdict::Broken, Some(low));
            check.message = format!(
                "{}: {} ({values}), with {percent}% confidence at least {}; {}% are allowed",
                self.figure,
                told(worse),
                told(low),
                self.limit_pct
            );
        } else {
            (check.verdict, check.bound) = (Verdict::Unproven, Some(high));
            let more = more_samples(worse, high, self.limit_pct);
            check.message = format!(
                "{}: {} ({values}), but with {percent}% confidence it may be {}; {}% are allowed{more}",
                self.figure,
                told(worse),
                told(high),
                self.limit_pct
            );
        }
        check
    }
}

/// How many times as many requests would decide it, if the estimate stayed where it is.
fn more_samples(worse: f64, high: f64, limit: f64) -> String {
    let (width, room) = (high - worse, (limit - worse).abs());
    if room <= 0.0 || width <= room {
        return String::new();
    }
    let times = (width / room).powi(2);
    if times > 1_000.0 {
        String::new()
    } else {
        format!(" (about {times:.0} times as many requests would decide it)")
    }
}
