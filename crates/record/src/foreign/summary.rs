//! Summaries in which each metric is an object `{"unit", "avg", "p50", ...}`: AIPerf's, ours, and genai-perf's, which
//! has the same names.

use serde_json::{Map, Value};

use crate::analysis::quantity;
use crate::analysis::run_sample::RunSample;
use crate::analysis::statistic::Statistic;
use crate::metric::MetricId;
use crate::metric::catalogue::Kind;

pub(super) fn run(name: &str, document: &Value) -> RunSample {
    let mut run = RunSample::new(name);
    give(&mut run, document);
    run
}

pub(super) fn give(run: &mut RunSample, document: &Value) {
    for (tag, value) in document.as_object().into_iter().flatten() {
        if let (Some(metric), Some(statistics)) = (MetricId::from_tag(tag), value.as_object()) {
            metric_of(run, metric, statistics);
        }
    }
}

fn metric_of(run: &mut RunSample, metric: MetricId, statistics: &Map<String, Value>) {
    let Some(factor) = statistics.get("unit").and_then(Value::as_str).and_then(|unit| factor(unit, metric))
    else {
        return;
    };
    for (name, value) in statistics {
        let (Ok(statistic), Some(value)) = (name.parse::<Statistic>(), value.as_f64()) else { continue };
        let one_number = matches!(metric.def().kind, Kind::Aggregate | Kind::Derived);
        let statistic = match statistic {
            Statistic::Avg if one_number && !statistics.contains_key("p50") => None,
            other => Some(other),
        };
        run.give(metric, statistic, value * factor);
    }
}

/// Factor from a file's unit to the metric's own; `None` when they do not measure the same.
fn factor(unit: &str, metric: MetricId) -> Option<f64> {
    let own = metric.def().unit;
    let ((theirs, from), (ours, to)) = (quantity::unit(unit), quantity::unit(own));
    (theirs == ours).then(|| from / to)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn aiperfs_and_genai_perfs_summaries_are_read() {
        // genai-perf 0.0.16 writes profile_export_genai_perf.json in this shape.
        let document = json!({
            "request_throughput": {"unit": "requests/sec", "avg": 18.5},
            "request_latency": {"unit": "ms", "avg": 204.6, "p50": 205.3, "p99": 220.9, "min": 191.0, "std": 6.7},
            "time_to_first_token": {"unit": "ns", "avg": 36_400_000.0},
            "inter_token_latency": {"unit": "tokens", "avg": 5.0},
            "request_count": {"unit": "requests", "avg": 40.0},
            "input_config": {"unit": 3}
        });
        let run = run("x", &document);
        let value = |figure: &str| run.estimate(figure.parse().unwrap()).map(|estimate| estimate.value);
        assert_eq!(value("request_throughput"), Some(18.5));
        assert_eq!(value("request_latency_p99"), Some(220.9));
        assert_eq!(value("request_latency_min"), Some(191.0));
        assert_eq!(value("ttft_avg"), Some(36.4), "in the metric's own unit");
        assert_eq!(value("itl_avg"), None, "tokens are no time");
        assert!(!run.has_records());
    }
}
