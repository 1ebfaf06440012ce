//! How long prompts and answers are: normal, from a list of pairs, or evenly from a window.

use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use serde::Deserialize;

use super::config::{DEFAULT_INPUT_TOKENS, MAX_TEXT_TOKENS, PromptConfig, RangeStyle};
use super::error::DatasetError;
use crate::seed::{below, unit};

/// A normal distribution of whole numbers, 1 or more.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Normal {
    pub(super) mean: f64,
    pub(super) stddev: f64,
}

impl Normal {
    /// Draws again what falls below 1, so that the tail is not heaped on 1; after 16 draws it is.
    pub(super) fn draw(self, rng: &mut ChaCha8Rng) -> u32 {
        (self.draw_from(rng, 1.0) as u32).min(MAX_TEXT_TOKENS)
    }

    /// A number of at least `least`, not rounded down to it but drawn again.
    pub(super) fn draw_from(self, rng: &mut ChaCha8Rng, least: f64) -> f64 {
        if self.stddev == 0.0 {
            return self.mean.round().max(least);
        }
        for _ in 0..16 {
            let normal: f64 = StandardNormal.sample(rng);
            let value = (self.mean + self.stddev * normal).round();
            if value >= least {
                return value;
            }
        }
        least
    }
}

/// Lengths of a request: input tokens, and output tokens where they are asked for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Lengths {
    Normal {
        input: Normal,
        output: Option<Normal>,
    },
    /// Pairs with their cumulated probability, up to 1.
    Pairs(Vec<(f64, Normal, Option<Normal>)>),
    Window {
        input: (u32, u32),
        output: (u32, u32),
    },
}

impl Lengths {
    pub(super) fn new(config: &PromptConfig) -> Result<Self, DatasetError> {
        let input = Normal {
            mean: config.isl.unwrap_or(DEFAULT_INPUT_TOKENS),
            stddev: config.isl_stddev.unwrap_or(0.0),
        };
        let output = output_of(config);
        if let Some(pairs) = &config.seq_dist {
            return parse_pairs(pairs)
                .map(Self::Pairs)
                .map_err(|reason| DatasetError::Config { flag: "--seq-dist", reason });
        }
        if let Some(ratio) = &config.random_range_ratio {
            let wrong = |reason| DatasetError::Config { flag: "--random-range-ratio", reason };
            let (for_input, for_output) = parse_ratio(ratio, config.random_corpus_style).map_err(wrong)?;
            let output = output.unwrap_or(input);
            return Ok(Self::Window {
                input: window(input.mean, for_input, config.random_corpus_style),
                output: window(output.mean, for_output, config.random_corpus_style),
            });
        }
        Ok(Self::Normal { input, output })
    }

    /// Input and output tokens of one request.
    pub(super) fn draw(&self, rng: &mut ChaCha8Rng) -> (u32, Option<u32>) {
        match self {
            Self::Normal { input, output } => (input.draw(rng), output.map(|output| output.draw(rng))),
            Self::Pairs(pairs) => {
                let at = unit(rng);
                let chosen = pairs.iter().find(|(until, ..)| at < *until).or(pairs.last());
                chosen.map_or((1, None), |(_, input, output)| {
                    (input.draw(rng), output.map(|output| output.draw(rng)))
                })
            }
            Self::Window { input, output } => {
                let mut within = |(low, high): (u32, u32)| low + below(rng, u64::from(high - low) + 1) as u32;
                (within(*input).max(1), Some(within(*output).max(1)))
            }
        }
    }
}

/// `--osl` with its deviation, for requests that do not state their own.
pub(super) fn output_of(config: &PromptConfig) -> Option<Normal> {
    config.osl.map(|mean| Normal { mean, stddev: config.osl_stddev.unwrap_or(0.0) })
}

fn window(mean: f64, ratio: f64, style: RangeStyle) -> (u32, u32) {
    match style {
        RangeStyle::Vllm => ((mean * (1.0 - ratio)).floor() as u32, (mean * (1.0 + ratio)).ceil() as u32),
        RangeStyle::Sglang => {
            let high = mean as u32;
            (((mean * ratio) as u32).clamp(1, high.max(1)), high.max(1))
        }
    }
}

/// A number, or `{"input": 0.3, "output": 0.5}`.
fn parse_ratio(text: &str, style: RangeStyle) -> Result<(f64, f64), String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Ratios {
        input: f64,
        output: f64,
    }
    let (input, output) = if let Ok(ratio) = text.trim().parse::<f64>() {
        (ratio, ratio)
    } else if style == RangeStyle::Sglang {
        return Err(format!("is `{text}`; with `--random-corpus-style sglang` it must be one number"));
    } else {
        let ratios: Ratios = serde_json::from_str(text).map_err(|_| {
            format!("is `{text}`, but must be a number or `{{\"input\": 0.3, \"output\": 0.5}}`")
        })?;
        (ratios.input, ratios.output)
    };
    let fits = |ratio: f64| (0.0..1.0).contains(&ratio) || (style == RangeStyle::Sglang && ratio == 1.0);
    if fits(input) && fits(output) {
        Ok((input, output))
    } else {
        Err(format!("is `{text}`, but must be from 0 to below 1"))
    }
}

/// One pair of `--seq-dist` as JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pair {
    isl: f64,
    #[serde(default)]
    isl_stddev: f64,
    osl: f64,
    #[serde(default)]
    osl_stddev: f64,
    prob: f64,
}

/// `256,128:40;512|20,256|10:60`, the same as `[(256,128):40,(512|20,256|10):60]`, or
/// `{"pairs": [{"isl": 256, "osl": 128, "prob": 40}]}`. Probabilities are percent and sum to 100.
fn parse_pairs(text: &str) -> Result<Vec<(f64, Normal, Option<Normal>)>, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Document {
        pairs: Vec<Pair>,
    }
    let text = text.trim();
    let pairs = if text.starts_with('{') {
        serde_json::from_str::<Document>(text).map_err(|e| format!("is no list of pairs: {e}"))?.pairs
    } else if let Some(inside) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let plain = inside.replace(['(', ')'], "");
        // Commas stand between pairs here: the one after each probability.
        let mut parts = Vec::new();
        let mut rest = plain.as_str();
        while !rest.trim().is_empty() {
            let colon = rest.find(':').ok_or_else(|| expected(text))?;
            let end = rest[colon..].find(',').map_or(rest.len(), |comma| colon + comma);
            parts.push(parse_pair(&rest[..end]).ok_or_else(|| expected(text))?);
            rest = rest.get(end + 1..).unwrap_or("");
        }
        parts
    } else {
        let parts = text.split(';').filter(|part| !part.trim().is_empty());
        parts.map(|part| parse_pair(part).ok_or_else(|| expected(text))).collect::<Result<_, _>>()?
    };
    let mut cumulated = 0.0;
    let mut table = Vec::with_capacity(pairs.len());
    for pair in &pairs {
        let numbers = [pair.isl, pair.osl, pair.isl_stddev, pair.osl_stddev, pair.prob];
        if numbers.iter().any(|n| !n.is_finite() || *n < 0.0)
            || pair.isl < 1.0
            || pair.osl < 1.0
            || pair.isl > f64::from(MAX_TEXT_TOKENS)
        {
            return Err(format!(
                "`{text}`: lengths must be between 1 and {MAX_TEXT_TOKENS}, deviations and percentages not negative"
            ));
        }
        cumulated += pair.prob / 100.0;
        let output = Normal { mean: pair.osl, stddev: pair.osl_stddev };
        table.push((cumulated, Normal { mean: pair.isl, stddev: pair.isl_stddev }, Some(output)));
    }
    if (cumulated - 1.0).abs() > 1e-6 {
        return Err(format!(
            "`{text}`: the probabilities are percent and must sum to 100, not {}",
            cumulated * 100.0
        ));
    }
    Ok(table)
}

fn expected(text: &str) -> String {
    format!(
        "is `{text}`, but must look like `256,128:40;512,256:60` (input,output:percent; deviation as `256|10`)"
    )
}

/// `512|20,256|10:60`
fn parse_pair(text: &str) -> Option<Pair> {
    let (lengths, prob) = text.split_once(':')?;
    let (input, output) = lengths.split_once(',')?;
    let number = |text: &str| text.trim().parse::<f64>().ok();
    let with_deviation = |text: &str| match text.split_once('|') {
        Some((mean, deviation)) => Some((number(mean)?, number(deviation)?)),
        None => Some((number(text)?, 0.0)),
    };
    let ((isl, isl_stddev), (osl, osl_stddev)) = (with_deviation(input)?, with_deviation(output)?);
    Some(Pair { isl, isl_stddev, osl, osl_stddev, prob: number(prob)? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Seed;

    fn draws(config: &PromptConfig, count: u64) -> Vec<(u32, Option<u32>)> {
        let lengths = Lengths::new(config).expect("valid");
        (0..count).map(|index| lengths.draw(&mut Seed(9).stream_at("lengths", index))).collect()
    }

    #[test]
    fn without_deviation_every_length_is_the_mean() {
        let config = PromptConfig { isl: Some(128.0), osl: Some(16.0), ..PromptConfig::default() };
        assert!(draws(&config, 50).iter().all(|pair| *pair == (128, Some(16))));
        assert!(draws(&PromptConfig::default(), 5).iter().all(|pair| *pair == (550, None)));
    }

    #[test]
    fn a_normal_has_its_mean_and_deviation_and_stays_positive() {
        let config = PromptConfig { isl: Some(200.0), isl_stddev: Some(30.0), ..PromptConfig::default() };
        let inputs: Vec<f64> = draws(&config, 20_000).iter().map(|pair| f64::from(pair.0)).collect();
        let mean = inputs.iter().sum::<f64>() / 20_000.0;
        let stddev = (inputs.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 20_000.0).sqrt();
        assert!((mean - 200.0).abs() < 1.0 && (stddev - 30.0).abs() < 1.0, "{mean} {stddev}");
        let low = PromptConfig { isl: Some(2.0), isl_stddev: Some(50.0), ..PromptConfig::default() };
        assert!(draws(&low, 5_000).iter().all(|pair| pair.0 >= 1));
    }

    #[test]
    fn all_spellings_of_pairs_agree() {
        let spellings = [
            "256,128:40;512|20,256|10:60",
            "[(256,128):40,(512|20,256|10):60]",
            r#"{"pairs":[{"isl":256,"osl":128,"prob":40},{"isl":512,"isl_stddev":20,"osl":256,"osl_stddev":10,"prob":60}]}"#,
        ];
        let parsed = spellings.map(|text| parse_pairs(text).expect("valid"));
        assert_eq!(parsed[0], parsed[1]);
        assert_eq!(parsed[0], parsed[2]);
        let config = PromptConfig { seq_dist: Some(spellings[0].into()), ..PromptConfig::default() };
        let draws = draws(&config, 10_000);
        let first = draws.iter().filter(|pair| **pair == (256, Some(128))).count();
        assert!((3_800..4_200).contains(&first), "{first}");
        assert!(draws.iter().any(|pair| pair.0 > 520));
    }

    #[test]
    fn wrong_pairs_say_why() {
        for (text, part) in [
            ("256,128", "must look like"),
            ("256,128:40", "sum to 100, not 40"),
            ("0,128:100", "between 1 and"),
            ("[(256,128:x)]", "must look like"),
            ("{\"pairs\":[{\"isl\":1}]}", "no list of pairs"),
            ("", "sum to 100, not 0"),
        ] {
            let message = parse_pairs(text).expect_err("wrong");
            assert!(message.contains(part), "{text}: {message}");
        }
    }

    #[test]
    fn windows_are_those_of_their_tools() {
        let config = |ratio: &str, style| PromptConfig {
            isl: Some(100.0),
            osl: Some(10.0),
            random_range_ratio: Some(ratio.into()),
            random_corpus_style: style,
            ..PromptConfig::default()
        };
        let window = |ratio: &str, style| Lengths::new(&config(ratio, style)).expect("valid");
        assert_eq!(window("0.25", RangeStyle::Vllm), Lengths::Window { input: (75, 125), output: (7, 13) });
        assert_eq!(window("0.25", RangeStyle::Sglang), Lengths::Window { input: (25, 100), output: (2, 10) });
        let both = window(r#"{"input": 0.5, "output": 0}"#, RangeStyle::Vllm);
        assert_eq!(both, Lengths::Window { input: (50, 150), output: (10, 10) });
        assert!(Lengths::new(&config("1.5", RangeStyle::Vllm)).is_err());
        assert!(Lengths::new(&config(r#"{"input": 0.5, "output": 0}"#, RangeStyle::Sglang)).is_err());
        let drawn = draws(&config("0.25", RangeStyle::Vllm), 4_000);
        assert_eq!(drawn.iter().map(|pair| pair.0).min(), Some(75));
        assert_eq!(drawn.iter().map(|pair| pair.0).max(), Some(125));
    }
}
