//! Judging the pairs: the difference of each stage with its confidence interval.

use rand::rand_core::Rng;
use serde::Serialize;
use tokmeter_record::analysis::confidence::{Sample, Side};

use super::load::{Pair, Stage};

/// Resamples for intervals of the 99th percentile.
const DRAWS: usize = 4_000;

/// An estimate and the interval that holds the truth with the report's `interval_confidence`, ms.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// The estimate.
    pub estimate: f64,
    /// Lower bound; absent when the sample is too small for one.
    pub low: Option<f64>,
    /// Upper bound; absent when the sample is too small for one.
    pub high: Option<f64>,
}

/// What the interval of the median says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Finding {
    /// The gateway adds time: the whole interval is above zero.
    Slower,
    /// The gateway saves time: the whole interval is below zero.
    Faster,
    /// The interval holds zero: no difference was found.
    NoDifference,
    /// Too few pairs for an interval.
    TooFewSamples,
}

impl Finding {
    /// In words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Finding::Slower => "slower",
            Finding::Faster => "faster",
            Finding::NoDifference => "no difference",
            Finding::TooFewSamples => "too few samples",
        }
    }
}

/// Times of one way, ms.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ArmFigures {
    /// Mean.
    pub mean: f64,
    /// Median.
    pub p50: f64,
    /// 99th percentile.
    pub p99: f64,
}

/// One stage of a cell, all times in ms.
#[derive(Clone, Debug, Serialize)]
pub struct StageFigures {
    /// Which.
    pub stage: Stage,
    /// Pairs that have it on both ways.
    pub pairs: u64,
    /// Straight to the server.
    pub direct: ArmFigures,
    /// Through the gateway.
    pub through: ArmFigures,
    /// Mean of the differences within pairs (Student's t over batch means).
    pub added_mean: Interval,
    /// Median of the differences within pairs (bounds are order statistics).
    pub added_p50: Interval,
    /// 99th percentile through the gateway minus that of the direct way (bootstrap).
    pub added_p99: Interval,
    /// What the median's interval says.
    pub finding: Finding,
}

/// Stages that occur in these pairs.
pub(super) fn stages_seen(pairs: &[Pair]) -> usize {
    (0..Stage::ALL.len()).filter(|stage| pairs.iter().any(|pair| both(pair, *stage).is_some())).count()
}

/// The figures of every stage that occurs.
pub(super) fn stages(pairs: &[Pair], confidence: f64, random: &mut impl Rng) -> Vec<StageFigures> {
    let figures = |(index, stage): (usize, &Stage)| {
        let times: Vec<(f64, f64)> = pairs.iter().filter_map(|pair| both(pair, index)).collect();
        stage_figures(*stage, &times, confidence, random)
    };
    Stage::ALL.iter().enumerate().filter_map(figures).collect()
}

fn both(pair: &Pair, stage: usize) -> Option<(f64, f64)> {
    Some((pair.direct[stage]?, pair.through[stage]?))
}

fn stage_figures(
    stage: Stage,
    times: &[(f64, f64)],
    confidence: f64,
    random: &mut impl Rng,
) -> Option<StageFigures> {
    let direct = Sample::new(times.iter().map(|(direct, _)| *direct));
    let through = Sample::new(times.iter().map(|(_, through)| *through));
    let added = Sample::new(times.iter().map(|(direct, through)| through - direct));
    // Two bounds, each with half of the doubt.
    let each = 1.0 - (1.0 - confidence) / 2.0;
    let added_p50 = Interval {
        estimate: added.quantile(0.5)?,
        low: added.quantile_bound(0.5, each, Side::Lower),
        high: added.quantile_bound(0.5, each, Side::Upper),
    };
    Some(StageFigures {
        stage,
        pairs: times.len() as u64,
        direct: arm(&direct)?,
        through: arm(&through)?,
        added_mean: Interval {
            estimate: added.mean()?,
            low: added.mean_bound(each, Side::Lower),
            high: added.mean_bound(each, Side::Upper),
        },
        finding: finding(&added_p50),
        added_p50,
        added_p99: tail(&direct, &through, each, random)?,
    })
}

fn arm(sample: &Sample) -> Option<ArmFigures> {
    Some(ArmFigures { mean: sample.mean()?, p50: sample.quantile(0.5)?, p99: sample.quantile(0.99)? })
}

fn finding(median: &Interval) -> Finding {
    match (median.low, median.high) {
        (Some(low), _) if low > 0.0 => Finding::Slower,
        (_, Some(high)) if high < 0.0 => Finding::Faster,
        (Some(_), Some(_)) => Finding::NoDifference,
        _ => Finding::TooFewSamples,
    }
}

fn tail(direct: &Sample, through: &Sample, each: f64, random: &mut impl Rng) -> Option<Interval> {
    let estimate = through.quantile(0.99)? - direct.quantile(0.99)?;
    let draws = direct
        .quantile_draws(0.99, DRAWS, random)
        .zip(through.quantile_draws(0.99, DRAWS, random))
        .map(|(direct, through)| Sample::new(through.iter().zip(&direct).map(|(t, d)| t - d)));
    let at = |q: f64| draws.as_ref().and_then(|draws| draws.quantile(q));
    Some(Interval { estimate, low: at(1.0 - each), high: at(each) })
}

#[cfg(test)]
mod tests {
    use rand_distr::{Distribution as _, LogNormal};

    use super::*;
    use crate::seed::Seed;

    /// Pairs with noise of a long tail on both ways and `added` ms on the second.
    fn pairs(seed: u64, count: usize, added: f64) -> Vec<(f64, f64)> {
        let noise = LogNormal::new(0.0, 0.5).unwrap();
        let mut random = Seed(seed).stream("pairs");
        (0..count)
            .map(|_| (20.0 + noise.sample(&mut random), 20.0 + added + noise.sample(&mut random)))
            .collect()
    }

    fn judged(seed: u64, count: usize, added: f64) -> StageFigures {
        let mut random = Seed(seed).stream("draws");
        stage_figures(Stage::Ttfb, &pairs(seed, count, added), 0.95, &mut random).unwrap()
    }

    #[test]
    fn intervals_hold_the_truth_as_often_as_they_say() {
        let (mut median, mut mean, mut tail, runs) = (0, 0, 0, 200);
        for seed in 0..runs {
            let figures = judged(seed, 600, 0.3);
            let holds =
                |interval: Interval| u32::from(interval.low.unwrap() <= 0.3 && 0.3 <= interval.high.unwrap());
            median += holds(figures.added_p50);
            mean += holds(figures.added_mean);
            tail += holds(figures.added_p99);
            assert_eq!(figures.finding, Finding::Slower, "0.3 ms is far from zero at 600 pairs");
        }
        // 190 of 200 are expected; 180 is more than three standard deviations below.
        assert!(median >= 180 && mean >= 180 && tail >= 180, "{median} {mean} {tail}");
    }

    #[test]
    fn nothing_is_found_where_nothing_is() {
        let found = (0..200).filter(|seed| judged(1_000 + seed, 300, 0.0).finding != Finding::NoDifference);
        let found = found.count();
        assert!(found <= 20, "{found} of 200 at a confidence of 95 %");
        assert_eq!(judged(1, 600, -0.3).finding, Finding::Faster);
    }

    #[test]
    fn few_pairs_prove_nothing() {
        let figures = judged(7, 4, 50.0);
        assert_eq!(figures.finding, Finding::TooFewSamples);
        assert_eq!((figures.added_p99.low, figures.added_mean.low), (None, None));
        assert_eq!(stages(&[], 0.95, &mut Seed(1).stream("none")).len(), 0);
    }
}
