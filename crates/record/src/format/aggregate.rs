//! `profile_export_aiperf_aggregate.{json,csv}`: several runs of the same load, with confidence intervals
//! (FORMATS 11).

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::{Deserialize, Serialize};

use super::summary_csv::table;
use crate::statistics::MetricSet;
use crate::statistics::student::t_critical;

/// Version of the format.
pub const SCHEMA_VERSION: &str = "1.0";

/// Statistics of a metric that are compared between runs.
const STATISTICS: [&str; 14] =
    ["avg", "min", "max", "std", "p1", "p5", "p10", "p25", "p50", "p75", "p90", "p95", "p99", "sum"];

/// One statistic of one metric over several runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// Mean over the runs.
    pub mean: f64,
    /// Sample standard deviation (ddof 1); 0 for a single run.
    pub std: f64,
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
    /// Coefficient of variation, `std / |mean|`; null when the mean is 0.
    pub cv: Option<f64>,
    /// Standard error of the mean.
    pub se: f64,
    /// Lower bound of the confidence interval of the mean (Student's t, n - 1 degrees of freedom).
    pub ci_low: f64,
    /// Upper bound.
    pub ci_high: f64,
    /// Factor of the standard error; null for a single run, whose interval is unknown.
    pub t_critical: Option<f64>,
    /// Unit of mean, deviation and bounds.
    pub unit: String,
}

impl Estimate {
    /// The estimate from one value for each run. `None` without values.
    pub fn of(values: &[f64], unit: &str, confidence: f64) -> Option<Self> {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let min = values.iter().copied().min_by(f64::total_cmp)?;
        let max = values.iter().copied().max_by(f64::total_cmp)?;
        let freedom = values.len() as u64 - 1;
        let squares: f64 = values.iter().map(|value| (value - mean) * (value - mean)).sum();
        let std = if freedom > 0 { (squares / freedom as f64).sqrt() } else { 0.0 };
        let se = std / n.sqrt();
        let factor = t_critical(confidence, freedom);
        let half = factor.unwrap_or(0.0) * se;
        Some(Estimate {
            mean,
            std,
            min,
            max,
            cv: (mean != 0.0).then(|| std / mean.abs()),
            se,
            ci_low: mean - half,
            ci_high: mean + half,
            t_critical: factor,
            unit: unit.to_owned(),
        })
    }
}

/// A run that gave no summary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedRun {
    /// Its name.
    pub label: String,
    /// Why.
    pub error: String,
}

/// What the runs were.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AggregateMetadata {
    /// `confidence`.
    pub aggregation_type: String,
    /// Runs begun.
    pub num_profile_runs: usize,
    /// Runs that gave a summary.
    pub num_successful_runs: usize,
    /// The others.
    pub failed_runs: Vec<FailedRun>,
    /// Probability with which an interval holds the mean.
    pub confidence_level: f64,
    /// Names of the runs that gave a summary.
    pub run_labels: Vec<String>,
    /// Pause between runs, s.
    pub cooldown_seconds: f64,
}

/// The whole file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AggregateDocument {
    /// [`SCHEMA_VERSION`].
    pub schema_version: String,
    /// What the runs were.
    pub metadata: AggregateMetadata,
    /// Estimates by `<tag>_<statistic>`.
    pub metrics: BTreeMap<String, Estimate>,
}

impl AggregateDocument {
    /// Estimates from the summaries of several runs. A metric that some runs lack is estimated from the others.
    pub fn new(
        runs: &[(String, &MetricSet)],
        failed: Vec<FailedRun>,
        confidence: f64,
        cooldown_s: f64,
    ) -> Self {
        let mut values: BTreeMap<String, (String, Vec<f64>)> = BTreeMap::new();
        for (_, metrics) in runs {
            for (tag, summary) in metrics.iter() {
                for stat in STATISTICS {
                    if let Some(value) = summary.stat(stat) {
                        let of = values.entry(format!("{tag}_{stat}"));
                        of.or_insert_with(|| (summary.unit.to_string(), Vec::new())).1.push(value);
                    }
                }
            }
        }
        AggregateDocument {
            schema_version: SCHEMA_VERSION.to_owned(),
            metadata: AggregateMetadata {
                aggregation_type: "confidence".to_owned(),
                num_profile_runs: runs.len() + failed.len(),
                num_successful_runs: runs.len(),
                failed_runs: failed,
                confidence_level: confidence,
                run_labels: runs.iter().map(|(label, _)| label.clone()).collect(),
                cooldown_seconds: cooldown_s,
            },
            metrics: values
                .into_iter()
                .filter_map(|(name, (unit, values))| Some((name, Estimate::of(&values, &unit, confidence)?)))
                .collect(),
        }
    }

    /// Writes the JSON file.
    ///
    /// # Errors
    /// The writer's own.
    pub fn write(&self, mut writer: impl Write) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut writer, self)?;
        writer.write_all(b"\n")?;
        writer.flush()
    }

    /// Writes the CSV file: one row for each statistic of each metric.
    ///
    /// # Errors
    /// The writer's own.
    pub fn write_csv(&self, writer: impl Write) -> io::Result<()> {
        let mut rows = table(writer);
        rows.write_record([
            "metric",
            "mean",
            "std",
            "min",
            "max",
            "cv",
            "se",
            "ci_low",
            "ci_high",
            "t_critical",
            "unit",
        ])?;
        for (name, estimate) in &self.metrics {
            let figure = |value: f64| format!("{value:.4}");
            let perhaps = |value: Option<f64>| value.map(figure).unwrap_or_default();
            rows.write_record([
                name.clone(),
                figure(estimate.mean),
                figure(estimate.std),
                figure(estimate.min),
                figure(estimate.max),
                perhaps(estimate.cv),
                figure(estimate.se),
                figure(estimate.ci_low),
                figure(estimate.ci_high),
                perhaps(estimate.t_critical),
                estimate.unit.clone(),
            ])?;
        }
        rows.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::MetricSummary;

    fn run(avg: f64) -> MetricSet {
        let mut set = MetricSet::default();
        set.insert(
            "request_latency",
            MetricSummary { unit: "ms".into(), avg: Some(avg), ..Default::default() },
        );
        set
    }

    #[test]
    fn two_runs_have_the_factor_of_one_degree_of_freedom() {
        let (a, b) = (run(100.0), run(110.0));
        let document =
            AggregateDocument::new(&[("run_0001".into(), &a), ("run_0002".into(), &b)], vec![], 0.95, 0.0);
        let estimate = &document.metrics["request_latency_avg"];
        assert_eq!((estimate.mean, estimate.min, estimate.max), (105.0, 100.0, 110.0));
        assert!((estimate.std - 50f64.sqrt()).abs() < 1e-12);
        assert!((estimate.t_critical.unwrap() - 12.706_204_736).abs() < 1e-6);
        assert!((estimate.ci_high - 105.0 - 12.706_204_736 * 5.0).abs() < 1e-6);
        let json = serde_json::to_value(&document).unwrap();
        assert_eq!(json["metadata"]["num_successful_runs"], 2);
        let mut csv = Vec::new();
        document.write_csv(&mut csv).unwrap();
        assert!(String::from_utf8(csv).unwrap().contains("request_latency_avg,105.0000,7.0711,"));
    }

    #[test]
    fn one_run_or_a_zero_mean_has_nulls_not_numbers() {
        let single = Estimate::of(&[5.0], "ms", 0.95).unwrap();
        assert_eq!((single.t_critical, single.ci_low, single.ci_high, single.std), (None, 5.0, 5.0, 0.0));
        let zero = Estimate::of(&[0.0, 0.0], "ms", 0.95).unwrap();
        assert_eq!(zero.cv, None);
        assert!(serde_json::to_string(&zero).unwrap().contains("\"cv\":null"));
        assert_eq!(Estimate::of(&[], "ms", 0.95), None);
    }
}
