//! guidellm's JSON: a list of benchmarks, each with its requests and `metrics.NAME.successful.{mean, percentiles}`.
//!
//! Its *inter-token latency* counts from the first to the last token as ours does; its *time per output token* contains
//! the first token and has no counterpart here.

use serde_json::Value;

use super::ForeignError;
use crate::analysis::run_sample::RunSample;
use crate::analysis::statistic::Statistic;
use crate::error::RequestError;
use crate::metric::MetricId;
use crate::metric::catalogue as c;
use crate::request::RequestRecord;
use crate::time::WallNs;

/// Their metrics, ours, and the factor between the units.
const METRICS: [(&str, MetricId, f64); 6] = [
    ("request_latency", c::REQUEST_LATENCY, 1e3),
    ("time_to_first_token_ms", c::TIME_TO_FIRST_TOKEN, 1.0),
    ("time_to_first_output_token_ms", c::TIME_TO_FIRST_OUTPUT_TOKEN, 1.0),
    ("inter_token_latency_ms", c::INTER_TOKEN_LATENCY, 1.0),
    ("prompt_token_count", c::INPUT_SEQUENCE_LENGTH, 1.0),
    ("output_token_count", c::OUTPUT_SEQUENCE_LENGTH, 1.0),
];

/// Their rates, which are distributions over time; the mean is the rate.
const RATES: [(&str, MetricId); 2] = [
    ("requests_per_second", c::REQUEST_THROUGHPUT),
    ("output_tokens_per_second", c::OUTPUT_TOKEN_THROUGHPUT),
];

/// Their names of percentiles.
const PERCENTILES: [(&str, f64); 10] = [
    ("p01", 1.0),
    ("p05", 5.0),
    ("p10", 10.0),
    ("p25", 25.0),
    ("p50", 50.0),
    ("p75", 75.0),
    ("p90", 90.0),
    ("p95", 95.0),
    ("p99", 99.0),
    ("p999", 99.9),
];

pub(super) fn runs(name: &str, document: &Value) -> Result<Vec<RunSample>, ForeignError> {
    let benchmarks =
        document.get("benchmarks").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if benchmarks.is_empty() {
        return Err(ForeignError::Empty("guidellm"));
    }
    let several = benchmarks.len() > 1;
    let name_of =
        |index: usize| if several { format!("{name} (benchmark {})", index + 1) } else { name.to_owned() };
    Ok(benchmarks.iter().enumerate().map(|(index, benchmark)| run(name_of(index), benchmark)).collect())
}

fn run(name: String, benchmark: &Value) -> RunSample {
    let mut run = RunSample::new(name);
    let successful = |name: &str| benchmark.get("metrics")?.get(name)?.get("successful");
    for (theirs, metric, factor) in METRICS {
        let Some(summary) = successful(theirs) else { continue };
        let mut give = |statistic, value: Option<&Value>| {
            if let Some(value) = value.and_then(Value::as_f64) {
                run.give(metric, Some(statistic), value * factor);
            }
        };
        give(Statistic::Avg, summary.get("mean"));
        give(Statistic::Min, summary.get("min"));
        give(Statistic::Max, summary.get("max"));
        for (key, p) in PERCENTILES {
            give(Statistic::Percentile(p), summary.get("percentiles").and_then(|all| all.get(key)));
        }
    }
    for (theirs, metric) in RATES {
        if let Some(mean) = successful(theirs).and_then(|summary| summary.get("mean")?.as_f64()) {
            run.give(metric, None, mean);
        }
    }
    let requests = |kind: &str| benchmark.get("requests")?.get(kind)?.as_array();
    for request in requests("successful").into_iter().flatten() {
        run.add(&success(request));
    }
    for request in requests("errored").into_iter().flatten() {
        let mut record = at_end(request);
        record.error = Some(RequestError {
            code: None,
            kind: None,
            message: "errored".to_owned(),
            cause: None,
            cause_chain: None,
            class: None,
            side: None,
            phase: None,
        });
        run.add(&record);
    }
    run
}

fn at_end(request: &Value) -> RequestRecord {
    let mut record = RequestRecord::default();
    // Named `end_time` before 0.4.
    let end = request.get("request_end_time").or(request.get("end_time")).and_then(Value::as_f64);
    if let Some(seconds) = end.filter(|seconds| *seconds > 0.0) {
        record.metadata.request_end_ns = WallNs((seconds * 1e9) as u64);
    }
    record
}

fn success(request: &Value) -> RequestRecord {
    let mut record = at_end(request);
    let number = |key: &str| request.get(key).and_then(Value::as_f64);
    let tokens = |key: &str| request.get(key).and_then(Value::as_i64);
    for (theirs, metric, factor) in METRICS {
        if let Some(value) = number(theirs) {
            record.metrics.float(metric, value * factor);
        }
    }
    if let Some(itl_ms) = number("inter_token_latency_ms").filter(|ms| *ms > 0.0) {
        record.metrics.float(c::OUTPUT_TOKEN_THROUGHPUT_PER_USER, 1e3 / itl_ms);
    }
    for (theirs, metric) in
        [("prompt_tokens", c::INPUT_SEQUENCE_LENGTH), ("output_tokens", c::OUTPUT_SEQUENCE_LENGTH)]
    {
        if let Some(count) = tokens(theirs) {
            record.metrics.int(metric, count);
        }
    }
    record
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn value(run: &RunSample, figure: &str) -> Option<f64> {
        run.estimate(figure.parse().unwrap()).map(|estimate| estimate.value)
    }

    #[test]
    fn each_benchmark_is_a_run() {
        let summary = |mean: f64| {
            json!({"metrics": {
                "requests_per_second": {"successful": {"mean": 4.0}},
                "time_to_first_token_ms": {"successful": {"mean": mean, "percentiles": {"p50": 9.0, "p999": 90.0}}},
                "request_latency": {"successful": {"mean": 0.5, "max": 1.5}}
            }})
        };
        let document = json!({"benchmarks": [summary(10.0), summary(20.0)]});
        let runs = runs("g.json", &document).unwrap();
        assert_eq!(runs[1].name, "g.json (benchmark 2)");
        assert_eq!(value(&runs[0], "ttft_avg"), Some(10.0));
        assert_eq!(value(&runs[1], "ttft_avg"), Some(20.0));
        assert_eq!(value(&runs[0], "ttft_p99.9"), Some(90.0));
        assert_eq!(value(&runs[0], "latency_max"), Some(1_500.0), "seconds become ms");
        assert_eq!(value(&runs[0], "request_throughput"), Some(4.0));
    }

    #[test]
    fn requests_become_records() {
        let request = |end: f64, ttft: f64| {
            json!({"request_end_time": end, "request_latency": 0.2, "time_to_first_token_ms": ttft,
                   "inter_token_latency_ms": 10.0, "prompt_tokens": 64, "output_tokens": 16})
        };
        let document = json!({"benchmarks": [{"metrics": {}, "requests": {
            "successful": [request(1_700_000_000.0, 10.0), request(1_700_000_001.0, 30.0)],
            "errored": [{"request_end_time": 1_700_000_002.0}]
        }}]});
        let run = runs("g.json", &document).unwrap().remove(0);
        assert_eq!((run.name.as_str(), run.requests()), ("g.json", 3));
        assert_eq!(value(&run, "ttft_avg"), Some(20.0));
        assert_eq!(value(&run, "latency_p50"), Some(200.0));
        assert_eq!(value(&run, "tps_avg"), Some(100.0));
        assert_eq!(value(&run, "osl_avg"), Some(16.0));
        assert!((value(&run, "request_throughput").unwrap() - 1.0).abs() < 0.01);
    }
}
