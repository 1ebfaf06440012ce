//! vLLM's `bench serve` JSON and sglang's `bench_serving` lines, which share their origin and their names:
//! `mean_ttft_ms`, `p99_tpot_ms`, ..., and with details `ttfts`, `itls` (s), `input_lens`, `output_lens`, `errors`.
//!
//! Their *TPOT* is our inter-token latency, their *ITL* (gaps between chunks) our inter-chunk latency, *E2EL* our
//! request latency.

use serde_json::Value;

use crate::analysis::run_sample::RunSample;
use crate::analysis::statistic::Statistic;
use crate::error::RequestError;
use crate::metric::MetricId;
use crate::metric::catalogue as c;
use crate::request::RequestRecord;

/// Their names of distributions.
const DISTRIBUTIONS: [(&str, MetricId); 5] = [
    ("ttft", c::TIME_TO_FIRST_TOKEN),
    ("tpot", c::INTER_TOKEN_LATENCY),
    ("itl", c::INTER_CHUNK_LATENCY),
    ("e2el", c::REQUEST_LATENCY),
    ("e2e_latency", c::REQUEST_LATENCY),
];

/// Their names of numbers of the whole run.
const NUMBERS: [(&str, MetricId); 4] = [
    ("request_throughput", c::REQUEST_THROUGHPUT),
    ("output_throughput", c::OUTPUT_TOKEN_THROUGHPUT),
    ("input_throughput", c::INPUT_TOKEN_THROUGHPUT),
    ("request_goodput", c::GOODPUT),
];

pub(super) fn run(name: &str, document: &Value) -> RunSample {
    let mut run = RunSample::new(match document.get("request_rate") {
        Some(Value::Number(rate)) => format!("{name} (request rate {rate})"),
        Some(Value::String(rate)) => format!("{name} (request rate {rate})"),
        _ => name.to_owned(),
    });
    for (key, value) in document.as_object().into_iter().flatten() {
        let Some(value) = value.as_f64() else { continue };
        if let Some((_, metric)) = NUMBERS.iter().find(|(theirs, _)| theirs == key) {
            run.give(*metric, None, value);
        } else if let Some((metric, statistic)) = distribution(key) {
            run.give(metric, Some(statistic), value);
        }
    }
    let number = |key: &str| document.get(key).and_then(Value::as_f64);
    if let Some(completed) = number("completed").filter(|completed| *completed > 0.0) {
        for (total, metric) in [
            ("total_input_tokens", c::INPUT_SEQUENCE_LENGTH),
            ("total_output_tokens", c::OUTPUT_SEQUENCE_LENGTH),
        ] {
            if let Some(tokens) = number(total) {
                run.give(metric, Some(Statistic::Avg), tokens / completed);
            }
        }
        let failed = number("failed").or_else(|| number("num_prompts").map(|asked| asked - completed));
        if let Some(failed) = failed.filter(|failed| *failed >= 0.0) {
            run.give(c::REQUEST_ERROR_RATE, None, 100.0 * failed / (completed + failed));
        }
    }
    requests(&mut run, document);
    run
}

/// `p99_ttft_ms` and the like.
fn distribution(key: &str) -> Option<(MetricId, Statistic)> {
    let (statistic, name) = key.strip_suffix("_ms")?.split_once('_')?;
    let (_, metric) = DISTRIBUTIONS.iter().find(|(theirs, _)| *theirs == name)?;
    Some((*metric, statistic.parse().ok()?))
}

/// The values of single requests, when the file has them.
fn requests(run: &mut RunSample, document: &Value) {
    let list = |key: &str| document.get(key).and_then(Value::as_array);
    let (Some(ttfts), Some(gaps), Some(outputs)) = (list("ttfts"), list("itls"), list("output_lens")) else {
        return;
    };
    let (inputs, errors) = (list("input_lens"), list("errors"));
    for (index, ((ttft, gaps), output)) in ttfts.iter().zip(gaps).zip(outputs).enumerate() {
        let mut record = RequestRecord::default();
        let error = errors.and_then(|errors| errors.get(index)?.as_str()).filter(|error| !error.is_empty());
        if let Some(error) = error {
            record.error = Some(RequestError {
                code: None,
                kind: None,
                message: error.chars().take(200).collect(),
                cause: None,
                cause_chain: None,
                class: None,
                side: None,
                phase: None,
            });
        } else if let (Some(ttft), Some(output)) = (ttft.as_f64(), output.as_i64()) {
            let decode: f64 = gaps.as_array().into_iter().flatten().filter_map(Value::as_f64).sum();
            let metrics = &mut record.metrics;
            metrics.float(c::TIME_TO_FIRST_TOKEN, 1e3 * ttft);
            metrics.float(c::REQUEST_LATENCY, 1e3 * (ttft + decode));
            metrics.int(c::OUTPUT_SEQUENCE_LENGTH, output);
            if output > 1 && decode > 0.0 {
                metrics.float(c::INTER_TOKEN_LATENCY, 1e3 * decode / (output - 1) as f64);
                metrics.float(c::OUTPUT_TOKEN_THROUGHPUT_PER_USER, (output - 1) as f64 / decode);
            }
            if let Some(input) = inputs.and_then(|inputs| inputs.get(index)?.as_i64()) {
                metrics.int(c::INPUT_SEQUENCE_LENGTH, input);
            }
        } else {
            continue;
        }
        run.add(&record);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn value(run: &RunSample, figure: &str) -> Option<f64> {
        run.estimate(figure.parse().unwrap()).map(|estimate| estimate.value)
    }

    #[test]
    fn statistics_are_read_by_their_names() {
        let run = run(
            "bench.json",
            &json!({
                "request_rate": "inf", "completed": 10, "num_prompts": 12, "total_input_tokens": 1000,
                "request_throughput": 5.0, "output_throughput": 50.0, "mean_ttft_ms": 12.5, "median_ttft_ms": 11.0,
                "p99_ttft_ms": 40.0, "p99.9_tpot_ms": 9.0, "p90_e2e_latency_ms": 100.0, "p95_itl_ms": 8.0,
                "std_ttft_ms": 1.0, "p99_unknown_ms": 3.0, "tokenizer_id": "x"
            }),
        );
        assert_eq!(run.name, "bench.json (request rate inf)");
        for (figure, expected) in [
            ("request_throughput", 5.0),
            ("output_token_throughput", 50.0),
            ("ttft_avg", 12.5),
            ("ttft_p50", 11.0),
            ("ttft_p99", 40.0),
            ("itl_p99.9", 9.0),
            ("icl_p95", 8.0),
            ("latency_p90", 100.0),
            ("isl_avg", 100.0),
        ] {
            assert_eq!(value(&run, figure), Some(expected), "{figure}");
        }
        assert!((value(&run, "error_rate").unwrap() - 100.0 * 2.0 / 12.0).abs() < 1e-9);
    }

    #[test]
    fn details_become_records() {
        let run = run(
            "bench.json",
            &json!({
                "mean_ttft_ms": 999.0, "request_throughput": 5.0,
                "ttfts": [0.010, 0.030, 0.0], "itls": [[0.005, 0.005], [0.010], []], "output_lens": [3, 2, 0],
                "input_lens": [100, 200, 300], "errors": ["", "", "Traceback"]
            }),
        );
        assert_eq!(run.requests(), 3);
        assert!(
            (value(&run, "ttft_avg").unwrap() - 20.0).abs() < 1e-9,
            "the requests go before the statistics"
        );
        assert!((value(&run, "latency_max").unwrap() - 40.0).abs() < 1e-9);
        assert!((value(&run, "itl_min").unwrap() - 5.0).abs() < 1e-9);
        assert!((value(&run, "isl_avg").unwrap() - 150.0).abs() < 1e-9);
        assert!((value(&run, "error_rate").unwrap() - 100.0 / 3.0).abs() < 1e-9);
        assert_eq!(
            value(&run, "request_throughput"),
            Some(5.0),
            "without instants the file's own rate stays"
        );
    }
}
