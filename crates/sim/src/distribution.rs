//! Random quantities of a script: times in milliseconds and token counts.

use std::fmt;
use std::str::FromStr;

use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution as _, Exp, LogNormal, Normal, Uniform};
use serde::{Deserialize, Serialize};

/// A non-negative random quantity. Samples below zero are cut to zero.
///
/// Text form, as on the command line: `50`, `uniform:10,20`, `normal:50,5`, `lognormal:50,0.3`,
/// `exponential:50`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "shape", deny_unknown_fields)]
pub enum Distribution {
    /// Always the same.
    Constant {
        /// The value.
        value: f64,
    },
    /// Evenly spread over `[min, max]`.
    Uniform {
        /// Smallest value.
        min: f64,
        /// Largest value.
        max: f64,
    },
    /// Gaussian, cut at zero.
    Normal {
        /// Mean before the cut.
        mean: f64,
        /// Standard deviation before the cut.
        stddev: f64,
    },
    /// Log-normal: `median * exp(sigma * N(0, 1))`.
    LogNormal {
        /// Median.
        median: f64,
        /// Standard deviation of the logarithm.
        sigma: f64,
    },
    /// Exponential: gaps of a Poisson process.
    Exponential {
        /// Mean.
        mean: f64,
    },
}

impl Distribution {
    /// Always `value`.
    pub const fn constant(value: f64) -> Self {
        Self::Constant { value }
    }

    /// The value, when it is always the same.
    pub fn as_constant(&self) -> Option<f64> {
        match *self {
            Self::Constant { value } => Some(value),
            _ => None,
        }
    }

    /// Why the parameters make no distribution, if they do not.
    pub fn problem(&self) -> Option<String> {
        let fine = match *self {
            Self::Constant { value } => value.is_finite() && value >= 0.0,
            Self::Uniform { min, max } => min.is_finite() && max.is_finite() && 0.0 <= min && min <= max,
            Self::Normal { mean, stddev } => {
                mean.is_finite() && stddev.is_finite() && mean >= 0.0 && stddev >= 0.0
            }
            Self::LogNormal { median, sigma } => {
                median.is_finite() && sigma.is_finite() && median > 0.0 && sigma >= 0.0
            }
            Self::Exponential { mean } => mean.is_finite() && mean > 0.0,
        };
        (!fine).then(|| format!("no distribution has the parameters `{self}`"))
    }

    /// Draws one value; never negative or NaN. Parameters refused by [`Distribution::problem`]
    /// give zero.
    pub fn sample(&self, rng: &mut ChaCha8Rng) -> f64 {
        let drawn = match *self {
            Self::Constant { value } => value,
            Self::Uniform { min, max } => Uniform::new_inclusive(min, max).map_or(0.0, |d| d.sample(rng)),
            Self::Normal { mean, stddev } => Normal::new(mean, stddev).map_or(0.0, |d| d.sample(rng)),
            Self::LogNormal { median, sigma } => {
                LogNormal::new(median.ln(), sigma).map_or(0.0, |d| d.sample(rng))
            }
            Self::Exponential { mean } => Exp::new(1.0 / mean).map_or(0.0, |d| d.sample(rng)),
        };
        if drawn > 0.0 { drawn } else { 0.0 }
    }
}

impl fmt::Display for Distribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Constant { value } => write!(f, "{value}"),
            Self::Uniform { min, max } => write!(f, "uniform:{min},{max}"),
            Self::Normal { mean, stddev } => write!(f, "normal:{mean},{stddev}"),
            Self::LogNormal { median, sigma } => write!(f, "lognormal:{median},{sigma}"),
            Self::Exponential { mean } => write!(f, "exponential:{mean}"),
        }
    }
}

impl FromStr for Distribution {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (shape, parameters) = text.split_once(':').unwrap_or(("constant", text));
        let numbers: Vec<f64> = parameters
            .split(',')
            .map(|n| n.trim().parse().map_err(|_| format!("`{n}` is not a number in `{text}`")))
            .collect::<Result<_, _>>()?;
        let parsed = match (shape, numbers.as_slice()) {
            ("constant", &[value]) => Self::Constant { value },
            ("uniform", &[min, max]) => Self::Uniform { min, max },
            ("normal", &[mean, stddev]) => Self::Normal { mean, stddev },
            ("lognormal", &[median, sigma]) => Self::LogNormal { median, sigma },
            ("exponential", &[mean]) => Self::Exponential { mean },
            _ => {
                return Err(format!(
                    "`{text}` is none of N, uniform:MIN,MAX, normal:MEAN,STDDEV, lognormal:MEDIAN,SIGMA, exponential:MEAN"
                ));
            }
        };
        parsed.problem().map_or(Ok(parsed), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::rand_core::SeedableRng;

    #[test]
    fn text_form_is_read_back() {
        for text in ["50", "uniform:10,20", "normal:50,5", "lognormal:50,0.3", "exponential:12.5"] {
            let parsed: Distribution = text.parse().expect(text);
            assert_eq!(parsed.to_string(), text);
        }
        for text in ["", "-1", "normal:5", "uniform:20,10", "exponential:0", "beta:1,2", "NaN"] {
            assert!(text.parse::<Distribution>().is_err(), "{text} was accepted");
        }
    }

    #[test]
    fn samples_have_the_asked_mean() {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        for (text, mean) in [("uniform:10,20", 15.0), ("normal:50,5", 50.0), ("exponential:8", 8.0)] {
            let shape: Distribution = text.parse().expect(text);
            let sum: f64 = (0..20_000).map(|_| shape.sample(&mut rng)).sum();
            assert!((sum / 20_000.0 / mean - 1.0).abs() < 0.03, "{text}: mean {}", sum / 20_000.0);
        }
    }
}
