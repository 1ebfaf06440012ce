//! SLOs of a whole run: `time_to_first_token_p99<500ms`, decided on a confidence bound.
//!
//! (The SLOs of single requests, which goodput counts, are [`crate::metric::slo`].)
//!
//! A run is a sample of what the server does. `p99 < 500ms` is *met* when the upper confidence bound of the p99 is
//! below 500 ms, *broken* when the lower one is not, and *not proven* in between; a sample that is too small for a
//! bound gives no number at all. Minima and maxima, and figures of which only a summary is known, are decided as they
//! are.

use std::str::FromStr;

use crate::analysis::confidence::Side;
use crate::analysis::filter::Operator;
use crate::analysis::quantity::{self, Quantity, QuantityError};
use crate::analysis::run_sample::{Bound, RunSample};
use crate::analysis::statistic::{Figure, FigureError};
use crate::analysis::verdict::{Check, Verdict, number};

/// Confidence without `@`.
pub const DEFAULT_CONFIDENCE: f64 = 0.95;

/// An SLO of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct RunSlo {
    text: String,
    /// What is bounded.
    pub figure: Figure,
    /// `<`, `<=`, `>` or `>=`.
    pub operator: Operator,
    /// The limit, in the metric's file unit.
    pub limit: f64,
    /// One-sided confidence, 0.5 to 1.
    pub confidence: f64,
}

/// Why a text is no SLO.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RunSloError {
    /// There is no operator.
    #[error("{0:?}: expected a figure, one of < <= > >=, and a limit, such as time_to_first_token_p99<500ms")]
    NoComparison(String),
    /// Equality of measurements says nothing.
    #[error("{0:?}: a measured figure is never equal to a limit: use < <= > or >=")]
    Equality(String),
    /// The figure is unknown.
    #[error("{text:?}: {source}")]
    Figure {
        /// The SLO.
        text: String,
        /// Why.
        source: FigureError,
    },
    /// The limit is no quantity.
    #[error("{text:?}: {source}")]
    Limit {
        /// The SLO.
        text: String,
        /// Why.
        source: QuantityError,
    },
    /// The limit has another dimension than the metric.
    #[error("{text:?}: {metric} is measured in {unit}")]
    Unit {
        /// The SLO.
        text: String,
        /// The metric.
        metric: &'static str,
        /// Its unit.
        unit: &'static str,
    },
    /// The confidence is no percentage from 50 to below 100.
    #[error("{0:?}: the confidence behind @ is a percentage from 50% to below 100%, such as @95%")]
    Confidence(String),
}

impl FromStr for RunSlo {
    type Err = RunSloError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let owned = || text.to_owned();
        let (comparison, confidence) = match text.split_once('@') {
            Some((comparison, confidence)) => {
                let confidence = confidence.trim();
                let pct: f64 = confidence
                    .strip_suffix('%')
                    .unwrap_or(confidence)
                    .trim()
                    .parse()
                    .map_err(|_| RunSloError::Confidence(owned()))?;
                if !(50.0..100.0).contains(&pct) {
                    return Err(RunSloError::Confidence(owned()));
                }
                (comparison, pct / 100.0)
            }
            None => (text, DEFAULT_CONFIDENCE),
        };
        let at = comparison.find(['<', '>', '=', '!']).ok_or_else(|| RunSloError::NoComparison(owned()))?;
        let (figure, rest) = comparison.split_at(at);
        let (operator, length) =
            Operator::at_start(rest).ok_or_else(|| RunSloError::NoComparison(owned()))?;
        if matches!(operator, Operator::Equal | Operator::NotEqual) {
            return Err(RunSloError::Equality(owned()));
        }
        let figure: Figure =
            figure.parse().map_err(|source| RunSloError::Figure { text: owned(), source })?;
        let quantity = Quantity::parse(&rest[length..])
            .map_err(|source| RunSloError::Limit { text: owned(), source })?;
        let def = figure.metric.def();
        let base = quantity.for_unit(def.unit).ok_or_else(|| RunSloError::Unit {
            text: owned(),
            metric: def.tag,
            unit: def.unit,
        })?;
        let limit = base / quantity::unit(def.unit).1;
        Ok(RunSlo { text: owned(), figure, operator, limit, confidence })
    }
}

impl RunSlo {
    /// The SLOs of a file: one on a line; empty lines and what follows `#` are passed over, and so is a leading `- `,
    /// so that a YAML list is read too.
    ///
    /// # Errors
    /// The first bad line, with its number.
    pub fn parse_file(content: &str) -> Result<Vec<RunSlo>, (usize, RunSloError)> {
        content
            .lines()
            .enumerate()
            .map(|(index, line)| (index + 1, line.split('#').next().unwrap_or_default().trim()))
            .map(|(number, line)| {
                (number, line.strip_prefix("- ").unwrap_or(line).trim_matches(['"', '\'', ' ']))
            })
            .filter(|(_, line)| !line.is_empty())
            .map(|(number, line)| line.parse().map_err(|error| (number, error)))
            .collect()
    }

    /// The SLO as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether the figure has to stay below the limit.
    fn is_ceiling(&self) -> bool {
        matches!(self.operator, Operator::Less | Operator::LessOrEqual)
    }

    /// Decides the SLO for a run.
    pub fn check(&self, run: &RunSample) -> Check {
        let unit = self.figure.metric.def().unit;
        let (prove, refute) =
            if self.is_ceiling() { (Side::Upper, Side::Lower) } else { (Side::Lower, Side::Upper) };
        let mut check = Check {
            name: self.text.clone(),
            verdict: Verdict::NoData,
            message: String::new(),
            estimate: None,
            bound: None,
            limit: self.limit,
            unit: unit.to_owned(),
            confidence: self.confidence,
            samples: 0,
        };
        let (Some(estimate), Some(bound)) =
            (run.estimate(self.figure), run.bound(self.figure, self.confidence, prove))
        else {
            check.message = format!("{}: the run has no {}", self.text, self.figure);
            return check;
        };
        check.samples = estimate.samples;
        let holds = |value| self.operator.holds(value, self.limit);
        let shown = |value| format!("{} {unit}", number(value));
        let percent = 100.0 * self.confidence;
        let refuted = || match run.bound(self.figure, self.confidence, refute) {
            Some(Bound::At(other)) if !holds(other) => Some(other),
            _ => None,
        };
        match bound {
            Bound::Exact => {
                check.estimate = Some(estimate.value);
                check.verdict = if holds(estimate.value) { Verdict::Met } else { Verdict::Broken };
                check.message = format!("{}: {} as seen", self.figure, shown(estimate.value));
            }
            Bound::At(bound) if holds(bound) => {
                (check.estimate, check.bound, check.verdict) =
                    (Some(estimate.value), Some(bound), Verdict::Met);
                check.message = format!(
                    "{}: {}, and with {percent}% confidence {} {}",
                    self.figure,
                    shown(estimate.value),
                    if self.is_ceiling() { "at most" } else { "at least" },
                    shown(bound),
                );
            }
            Bound::At(bound) => {
                check.estimate = Some(estimate.value);
                let refuted = refuted();
                check.bound = Some(refuted.unwrap_or(bound));
                check.verdict = if refuted.is_some() { Verdict::Broken } else { Verdict::Unproven };
                check.message = match refuted {
                    Some(other) => format!(
                        "{}: {}, and with {percent}% confidence {} {}: the limit {} is broken",
                        self.figure,
                        shown(estimate.value),
                        if self.is_ceiling() { "at least" } else { "at most" },
                        shown(other),
                        shown(self.limit),
                    ),
                    None => format!(
                        "{}: {}, but with {percent}% confidence it may be {}: too close to the limit {} for {} \
                         samples",
                        self.figure,
                        shown(estimate.value),
                        shown(bound),
                        shown(self.limit),
                        estimate.samples,
                    ),
                };
            }
            Bound::TooFew(needed) => match refuted() {
                // Too few to prove it, enough to refute it.
                Some(other) => {
                    (check.estimate, check.bound, check.verdict) =
                        (Some(estimate.value), Some(other), Verdict::Broken);
                    check.message = format!(
                        "{}: with {percent}% confidence {} {}: the limit {} is broken",
                        self.figure,
                        if self.is_ceiling() { "at least" } else { "at most" },
                        shown(other),
                        shown(self.limit),
                    );
                }
                None => {
                    check.verdict = Verdict::NotEnoughSamples;
                    let needed =
                        needed.map_or(String::new(), |needed| format!(", {needed} or more are needed"));
                    check.message = format!(
                        "{}: not enough samples for a bound with {percent}% confidence: {}{needed}",
                        self.figure, estimate.samples
                    );
                }
            },
        }
        check
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::catalogue as c;
    use crate::request::RequestRecord;
    use crate::time::WallNs;

    /// A run whose latencies are 1, 2, ... `count` ms in scattered order.
    fn run(count: u64) -> RunSample {
        let mut run = RunSample::new("run");
        for index in 0..count {
            let mut record = RequestRecord::default();
            record.metadata.request_end_ns = WallNs(index * 1_000_000);
            record.metrics.float(c::REQUEST_LATENCY, (index * 7_919 % count + 1) as f64);
            run.add(&record);
        }
        run
    }

    fn check(slo: &str, run: &RunSample) -> Check {
        slo.parse::<RunSlo>().unwrap().check(run)
    }

    #[test]
    fn the_bound_decides_not_the_estimate() {
        let run = run(1_000);
        // p99 is 990.01; its 95 % bounds are about 985 and 995.
        for (slo, verdict) in [
            ("latency_p99<1s", Verdict::Met),
            ("latency_p99<991ms", Verdict::Unproven),
            ("latency_p99<989ms", Verdict::Unproven),
            ("latency_p99<980ms", Verdict::Broken),
            ("latency_p99>980ms", Verdict::Met),
            ("latency_p99>989ms", Verdict::Unproven),
            ("latency_p99>999ms", Verdict::Broken),
            ("latency_avg<=0.6s", Verdict::Met),
            ("latency_avg<400", Verdict::Broken),
            ("latency_max<=1000", Verdict::Met),
            ("latency_max<1000", Verdict::Broken),
            ("error_rate<1%", Verdict::Met),
            ("error_rate<0.1%", Verdict::Unproven),
            ("ttft_p50<1s", Verdict::NoData),
        ] {
            let check = check(slo, &run);
            assert_eq!(check.verdict, verdict, "{slo}: {}", check.message);
            assert_eq!(check.name, slo);
        }
    }

    #[test]
    fn a_small_sample_gives_no_number() {
        let few = check("latency_p99<1s", &run(100));
        assert_eq!((few.verdict, few.estimate, few.bound), (Verdict::NotEnoughSamples, None, None));
        assert!(few.message.contains("100, 299 or more are needed"), "{}", few.message);
        // But a hundred are enough to refute, and with less confidence to prove.
        assert_eq!(check("latency_p99<50ms", &run(100)).verdict, Verdict::Broken);
        assert_eq!(check("latency_p99<1s@60%", &run(100)).verdict, Verdict::Met);
    }

    #[test]
    fn more_confidence_needs_a_farther_bound() {
        let run = run(1_000);
        let bound = |slo| check(slo, &run).bound.unwrap();
        assert!(bound("latency_p50<2s@99%") > bound("latency_p50<2s@95%"));
        assert!(bound("latency_p50<2s") == bound("latency_p50<2s @ 95 %"));
        assert!(bound("latency_p50>1ms@99%") < bound("latency_p50>1ms@95%"));
    }

    #[test]
    fn limits_are_read_in_the_unit_of_the_metric() {
        let slo = |text: &str| text.parse::<RunSlo>().unwrap();
        assert_eq!(slo("ttft_p99<0.5s").limit, 500.0);
        assert_eq!(slo("ttft_p99<500").limit, 500.0);
        assert_eq!(slo("error_rate<1%").limit, 1.0);
        assert_eq!(slo("error_rate<1").limit, 1.0);
        assert_eq!(slo("adj_request_latency_p99<1s").limit, 1_000.0);
        assert_eq!(slo("request_throughput>=10 requests/s").limit, 10.0);
        assert!((slo("ttft_p99<500ms@99.9%").confidence - 0.999).abs() < 1e-12);
    }

    #[test]
    fn mistakes_are_named() {
        let error = |text: &str| text.parse::<RunSlo>().unwrap_err().to_string();
        assert!(error("ttft_p99").contains("expected a figure"));
        assert!(error("ttft_p99=5ms").contains("never equal"));
        assert!(error("ttft_p99!=5ms").contains("never equal"));
        assert!(error("ttft<5ms").contains("say which statistic"));
        assert!(error("ttfft_p99<5ms").contains("no metric is named"));
        assert!(error("ttft_p99<").contains("expected a number"));
        assert!(error("ttft_p99<5KB").contains("is measured in ms"));
        assert!(error("ttft_p99<5ms@").contains("confidence"));
        assert!(error("ttft_p99<5ms@40%").contains("confidence"));
        assert!(error("ttft_p99<5ms@100%").contains("confidence"));
        assert!(error("<5ms").contains("no metric is named"));
    }

    #[test]
    fn files_hold_one_on_a_line() {
        let slos = RunSlo::parse_file("# ours\n\n- 'ttft_p99<500ms'  # the tail\nerror_rate<1%\n").unwrap();
        assert_eq!(slos.iter().map(RunSlo::text).collect::<Vec<_>>(), ["ttft_p99<500ms", "error_rate<1%"]);
        assert_eq!(RunSlo::parse_file("error_rate<1%\n\nnonsense").unwrap_err().0, 3);
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "[a-z_0-9<>=!@%. μ]{0,30}") {
            let _outcome = text.parse::<RunSlo>();
        }
    }
}
