//! The outcome of a check (an SLO, a gate) and a list of them, for people and for CI systems.

use serde::Serialize;

pub mod junit;
pub mod step_summary;

/// What a check came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It holds, with the confidence asked for.
    Met,
    /// It does not hold, with the confidence asked for.
    Broken,
    /// Neither is proven: the bound lies on the other side of the estimate.
    Unproven,
    /// The sample is too small to say anything.
    NotEnoughSamples,
    /// The run has no such figure.
    NoData,
}

impl Verdict {
    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Met => "met",
            Verdict::Broken => "broken",
            Verdict::Unproven => "not proven",
            Verdict::NotEnoughSamples => "not enough samples",
            Verdict::NoData => "no data",
        }
    }
}

/// One check and its outcome.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Check {
    /// The check as it was written.
    pub name: String,
    /// What it came to.
    pub verdict: Verdict,
    /// In one sentence, with the numbers.
    pub message: String,
    /// The figure it is about, in the unit of the metric (a gate: the change in %); absent when the sample is too
    /// small for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimate: Option<f64>,
    /// The confidence bound it was decided on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bound: Option<f64>,
    /// The limit.
    pub limit: f64,
    /// Unit of the three.
    pub unit: String,
    /// Confidence of the bound, 0 to 1.
    pub confidence: f64,
    /// Values behind it.
    pub samples: u64,
}

impl Check {
    /// Whether it is passed. With `allow_unproven`, what is merely not proven passes too; what is broken or has no data
    /// never does.
    pub fn passed(&self, allow_unproven: bool) -> bool {
        match self.verdict {
            Verdict::Met => true,
            Verdict::Broken | Verdict::NoData => false,
            Verdict::Unproven | Verdict::NotEnoughSamples => allow_unproven,
        }
    }
}

/// A number for people: two decimals, four significant digits when small.
pub(crate) fn number(value: f64) -> String {
    match value.abs() {
        _ if !value.is_finite() => value.to_string(),
        0.0 => "0".to_owned(),
        size if size >= 10.0 => format!("{value:.2}"),
        size if size >= 0.01 => format!("{value:.4}"),
        _ => format!("{value:.3e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One check of each verdict, with characters that must be escaped.
    pub(super) fn checks() -> Vec<Check> {
        [Verdict::Met, Verdict::Broken, Verdict::Unproven, Verdict::NotEnoughSamples, Verdict::NoData]
            .into_iter()
            .map(|verdict| Check {
                name: "time_to_first_token_p99<500ms".into(),
                verdict,
                message: format!("{} & \"<so>\" | on\nand on", verdict.as_str()),
                estimate: (verdict != Verdict::NoData).then_some(431.25),
                bound: (verdict != Verdict::NotEnoughSamples).then_some(507.5),
                limit: 500.0,
                unit: "ms".into(),
                confidence: 0.95,
                samples: 300,
            })
            .collect()
    }

    #[test]
    fn only_what_is_unproven_can_be_allowed() {
        let passed = |allow| checks().iter().map(|check| check.passed(allow)).collect::<Vec<_>>();
        assert_eq!(passed(false), [true, false, false, false, false]);
        assert_eq!(passed(true), [true, false, true, true, false]);
    }

    #[test]
    fn numbers_stay_readable() {
        for (value, shown) in [
            (0.0, "0"),
            (1234.567, "1234.57"),
            (-12.3456, "-12.35"),
            (0.123_456, "0.1235"),
            (0.000_012_345, "1.234e-5"),
            (f64::INFINITY, "inf"),
        ] {
            assert_eq!(number(value), shown);
        }
    }
}
