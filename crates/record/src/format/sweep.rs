//! `profile_export_aiperf_sweep.{json,csv}`: the variations of a sweep side by side, the best of them, and
//! those that no other beats in both throughput and latency.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::aggregate::{AggregateDocument, Estimate, FailedRun};
use super::summary_csv::table;

/// What is to be large.
const THROUGHPUT: &str = "request_throughput_avg";
/// What is to be small; the second where there is no stream.
const LATENCY: [&str; 2] = ["time_to_first_token_p99", "request_latency_p99"];

/// A flag that the sweep varies.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SweepParameter {
    /// Name.
    pub name: String,
    /// Its values, in the order of the runs.
    pub values: Vec<Value>,
}

/// One variation and what its runs measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Variation {
    /// Value of each parameter.
    pub parameters: Map<String, Value>,
    /// Estimates over its runs; its failed runs are told in the metadata.
    pub aggregate: AggregateDocument,
}

/// What was swept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SweepMetadata {
    /// The flags.
    pub sweep_parameters: Vec<SweepParameter>,
    /// Variations.
    pub num_combinations: usize,
}

/// One variation in the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Combination {
    /// Value of each parameter.
    pub parameters: Map<String, Value>,
    /// `<tag>_<statistic>`: the whole estimate, or mean and unit alone when each variation ran once.
    pub metrics: BTreeMap<String, Value>,
}

/// The best variation by one metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// Its parameters.
    pub parameters: Map<String, Value>,
    /// Its mean of the metric.
    pub metric: f64,
    /// Unit.
    pub unit: String,
}

/// The whole file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SweepDocument {
    /// `sweep`.
    pub aggregation_type: String,
    /// Runs begun.
    pub num_profile_runs: usize,
    /// Runs that gave a summary.
    pub num_successful_runs: usize,
    /// The others.
    pub failed_runs: Vec<FailedRun>,
    /// What was swept.
    pub metadata: SweepMetadata,
    /// The variations, in the order of the runs.
    pub per_combination_metrics: Vec<Combination>,
    /// `best_throughput` and `best_latency_p99`, where they are known.
    pub best_configurations: BTreeMap<String, Best>,
    /// Parameters of the variations that none beats in both.
    pub pareto_optimal: Vec<Map<String, Value>>,
}

impl SweepDocument {
    /// The comparison of the variations of one sweep, each run `trials` times.
    pub fn new(parameters: Vec<SweepParameter>, variations: &[Variation], trials: u32) -> Self {
        let latency = LATENCY
            .into_iter()
            .find(|name| variations.iter().any(|variation| variation.aggregate.metrics.contains_key(*name)));
        let best = |name: &str, sign: f64| {
            let of = |variation: &Variation| variation.aggregate.metrics.get(name).map(|of| of.mean * sign);
            let known = variations.iter().filter(|variation| of(variation).is_some());
            let best =
                known.max_by(|a, b| of(a).unwrap_or(f64::MIN).total_cmp(&of(b).unwrap_or(f64::MIN)))?;
            let estimate = &best.aggregate.metrics[name];
            let unit = estimate.unit.clone();
            Some(Best { parameters: best.parameters.clone(), metric: estimate.mean, unit })
        };
        let found = [
            ("best_throughput", best(THROUGHPUT, 1.0)),
            ("best_latency_p99", latency.and_then(|name| best(name, -1.0))),
        ];
        SweepDocument {
            aggregation_type: "sweep".to_owned(),
            num_profile_runs: variations.iter().map(|v| v.aggregate.metadata.num_profile_runs).sum(),
            num_successful_runs: variations.iter().map(|v| v.aggregate.metadata.num_successful_runs).sum(),
            failed_runs: variations.iter().flat_map(|v| v.aggregate.metadata.failed_runs.clone()).collect(),
            metadata: SweepMetadata { sweep_parameters: parameters, num_combinations: variations.len() },
            per_combination_metrics: variations.iter().map(|v| combination(v, trials)).collect(),
            best_configurations: found
                .into_iter()
                .filter_map(|(name, best)| Some((name.to_owned(), best?)))
                .collect(),
            pareto_optimal: latency.map(|latency| pareto(variations, latency)).unwrap_or_default(),
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

    /// Writes the CSV file: variations, best variations, Pareto points and metadata, with blank lines between.
    ///
    /// # Errors
    /// The writer's own.
    pub fn write_csv(&self, mut writer: impl Write) -> io::Result<()> {
        let names: Vec<&str> =
            self.metadata.sweep_parameters.iter().map(|parameter| parameter.name.as_str()).collect();
        let values = |parameters: &Map<String, Value>| -> Vec<String> {
            names.iter().map(|name| parameters.get(*name).map(Value::to_string).unwrap_or_default()).collect()
        };
        self.write_variations(&names, values, &mut writer)?;
        let mut rows = Vec::new();
        rows.push(vec!["Best Configurations".to_owned()]);
        let header = ["Configuration"].iter().chain(&names).chain(&["Metric", "Unit"]);
        rows.push(header.map(|&text| text.to_owned()).collect());
        for (key, label) in [("best_throughput", "Best Throughput"), ("best_latency_p99", "Best Latency P99")]
        {
            if let Some(best) = self.best_configurations.get(key) {
                let figures = [format!("{:.2}", best.metric), best.unit.clone()];
                rows.push(
                    [label.to_owned()].into_iter().chain(values(&best.parameters)).chain(figures).collect(),
                );
            }
        }
        write_block(&rows, &mut writer)?;
        let mut rows = vec![vec!["Pareto Optimal Points".to_owned()]];
        rows.push(names.iter().map(|&name| name.to_owned()).collect());
        rows.extend(self.pareto_optimal.iter().map(values));
        write_block(&rows, &mut writer)?;
        let row = |field: &str, value: String| vec![field.to_owned(), value];
        let rows = [
            vec!["Metadata".to_owned()],
            row("Field", "Value".to_owned()),
            row("Aggregation Type", self.aggregation_type.clone()),
            row("Sweep Parameters", names.join(" ")),
            row("Number of Combinations", self.metadata.num_combinations.to_string()),
            row("Number of Profile Runs", self.num_profile_runs.to_string()),
            row("Number of Successful Runs", self.num_successful_runs.to_string()),
        ];
        write_block(&rows, &mut writer)?;
        writer.flush()
    }

    fn write_variations(
        &self,
        names: &[&str],
        values: impl Fn(&Map<String, Value>) -> Vec<String>,
        writer: &mut impl Write,
    ) -> io::Result<()> {
        const FIGURES: [&str; 5] = ["mean", "std", "min", "max", "cv"];
        let of_all = self.per_combination_metrics.iter().flat_map(|combination| combination.metrics.keys());
        let metrics: std::collections::BTreeSet<&String> = of_all.collect();
        let figure = |combination: &Combination, metric: &str, name: &str| {
            let value = combination.metrics.get(metric).and_then(|estimate| estimate[name].as_f64());
            let decimals = if name == "cv" { 4 } else { 2 };
            value.map(|value| format!("{value:.decimals$}")).unwrap_or_default()
        };
        let columns: Vec<(&str, &str)> =
            metrics.iter().flat_map(|metric| FIGURES.map(|name| (metric.as_str(), name))).collect();
        let header = names.iter().map(|&name| name.to_owned());
        let mut rows: Vec<Vec<String>> =
            vec![header.chain(columns.iter().map(|(metric, name)| format!("{metric}_{name}"))).collect()];
        rows.extend(self.per_combination_metrics.iter().map(|combination| {
            let figures = columns.iter().map(|(metric, name)| figure(combination, metric, name));
            values(&combination.parameters).into_iter().chain(figures).collect()
        }));
        write_block(&rows, writer)
    }
}

/// Rows of a section and the blank line after it.
fn write_block(rows: &[Vec<String>], writer: &mut impl Write) -> io::Result<()> {
    let mut lines = table(&mut *writer);
    for row in rows {
        lines.write_record(row)?;
    }
    lines.flush()?;
    drop(lines);
    writer.write_all(b"\r\n")
}

fn combination(variation: &Variation, trials: u32) -> Combination {
    let shown = |estimate: &Estimate| match trials {
        1 => json!({"mean": estimate.mean, "unit": estimate.unit}),
        // An estimate holds nothing that JSON cannot.
        _ => serde_json::to_value(estimate).unwrap_or_default(),
    };
    let metrics = variation.aggregate.metrics.iter();
    Combination {
        parameters: variation.parameters.clone(),
        metrics: metrics.map(|(name, estimate)| (name.clone(), shown(estimate))).collect(),
    }
}

/// Variations for which no other has at least their throughput and at most their latency, one of them better.
fn pareto(variations: &[Variation], latency: &str) -> Vec<Map<String, Value>> {
    let point = |variation: &Variation| {
        let mean = |name: &str| variation.aggregate.metrics.get(name).map(|estimate| estimate.mean);
        Some((mean(THROUGHPUT)?, mean(latency)?))
    };
    let points: Vec<_> = variations.iter().filter_map(|v| Some((v, point(v)?))).collect();
    let beaten = |(throughput, latency): (f64, f64)| {
        points
            .iter()
            .any(|(_, (t, l))| *t >= throughput && *l <= latency && (*t > throughput || *l < latency))
    };
    points.iter().filter(|(_, point)| !beaten(*point)).map(|(v, _)| v.parameters.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::{MetricSet, MetricSummary};

    fn variation(concurrency: u32, throughput: f64, ttft_p99: f64) -> Variation {
        let mut set = MetricSet::default();
        let summary = |unit: &'static str| MetricSummary { unit: unit.into(), ..Default::default() };
        set.insert("request_throughput", MetricSummary { avg: Some(throughput), ..summary("requests/sec") });
        set.insert("time_to_first_token", MetricSummary { p99: Some(ttft_p99), ..summary("ms") });
        let mut parameters = Map::new();
        parameters.insert("concurrency".into(), concurrency.into());
        let runs = [(format!("concurrency_{concurrency}"), &set)];
        Variation { parameters, aggregate: AggregateDocument::new(&runs, vec![], 0.95, 0.0) }
    }

    fn document() -> SweepDocument {
        let values = vec![1.into(), 2.into(), 4.into(), 8.into()];
        let parameter = SweepParameter { name: "concurrency".into(), values };
        let variations = [
            variation(1, 10.0, 50.0),
            variation(2, 20.0, 60.0),
            // Slower than 2 in both: no choice at all.
            variation(4, 15.0, 90.0),
            variation(8, 30.0, 200.0),
        ];
        SweepDocument::new(vec![parameter], &variations, 1)
    }

    #[test]
    fn best_and_pareto_variations_are_found() {
        let json = serde_json::to_value(document()).unwrap();
        assert_eq!(json["num_profile_runs"], 4);
        assert_eq!(json["best_configurations"]["best_throughput"]["parameters"]["concurrency"], 8);
        assert_eq!(json["best_configurations"]["best_latency_p99"]["metric"], 50.0);
        let optimal: Vec<_> =
            json["pareto_optimal"].as_array().unwrap().iter().map(|p| p["concurrency"].as_u64()).collect();
        assert_eq!(optimal, [Some(1), Some(2), Some(8)]);
        assert_eq!(
            json["per_combination_metrics"][1]["metrics"]["request_throughput_avg"],
            json!({"mean": 20.0, "unit": "requests/sec"})
        );
    }

    #[test]
    fn the_table_has_its_four_sections() {
        let mut csv = Vec::new();
        document().write_csv(&mut csv).unwrap();
        let text = String::from_utf8(csv).unwrap();
        assert!(text.starts_with("concurrency,request_throughput_avg_mean,request_throughput_avg_std,"));
        assert!(text.contains("\r\n2,20.00,"), "{text}");
        assert!(text.contains("\r\n\r\nBest Configurations\r\nConfiguration,concurrency,Metric,Unit\r\n"));
        assert!(text.contains("Best Throughput,8,30.00,requests/sec\r\n"));
        assert!(
            text.contains("Pareto Optimal Points\r\nconcurrency\r\n1\r\n2\r\n8\r\n\r\nMetadata"),
            "{text}"
        );
    }
}
