//! Statistics against numpy, against naive definitions, and against themselves in parts.

use proptest::prelude::*;
use serde_json::Value;
use tokmeter_record::metric::catalogue as c;
use tokmeter_record::statistics::{
    Distribution, GpuEnergy, GpuVendor, MetricSet, Options, RunStatistics, RunSummary, Window,
    percentile_nearest,
};
use tokmeter_record::{BenchmarkPhase, ErrorClass, RequestError, RequestRecord, WallNs};

const START: u64 = 1_795_322_200_000_000_000;
const MS: u64 = 1_000_000;

/// A success: start and TTFT in ms after `START`, gaps in ms, `tail` ms from the last token to the end.
fn success(start_ms: u64, ttft_ms: u64, gaps_ms: &[u64], tail_ms: u64) -> RequestRecord {
    let mut record = RequestRecord::default();
    let start = START + start_ms * MS;
    let latency = (ttft_ms + gaps_ms.iter().sum::<u64>()) * MS;
    record.metadata.credit_issued_ns = Some(WallNs(start - 2 * MS));
    record.metadata.request_start_ns = WallNs(start);
    record.metadata.request_end_ns = WallNs(start + latency + tail_ms * MS);
    let metrics = &mut record.metrics;
    metrics.ms(c::TIME_TO_FIRST_TOKEN, ttft_ms * MS);
    metrics.ms(c::REQUEST_LATENCY, latency);
    metrics.int(c::INPUT_SEQUENCE_LENGTH, 100);
    metrics.int(c::OUTPUT_SEQUENCE_LENGTH, gaps_ms.len() as i64 + 1);
    if !gaps_ms.is_empty() {
        metrics.list(c::INTER_CHUNK_LATENCY, gaps_ms.iter().map(|&gap| gap as f64).collect());
        let itl = (latency - ttft_ms * MS) as f64 / 1e6 / gaps_ms.len() as f64;
        metrics.float(c::INTER_TOKEN_LATENCY, itl);
    }
    record
}

fn failure(start_ms: u64, message: &str) -> RequestRecord {
    let mut record = RequestRecord::default();
    record.metadata.credit_issued_ns = Some(WallNs(START + start_ms * MS));
    record.metadata.request_start_ns = WallNs(START + start_ms * MS);
    record.metadata.request_end_ns = WallNs(START + (start_ms + 3) * MS);
    record.metrics.int(c::ERROR_ISL, 7);
    record.error = Some(RequestError {
        code: Some(400),
        kind: Some("Bad Request".into()),
        message: message.into(),
        cause: None,
        cause_chain: None,
        class: Some(ErrorClass::HttpStatus),
        side: None,
        phase: None,
    });
    record
}

fn window(ms: u64) -> Window {
    Window::new(WallNs(START), WallNs(START + ms * MS))
}

fn summary(records: &[RequestRecord], options: Options, window: &Window) -> RunSummary {
    let mut statistics = RunStatistics::new(options);
    records.iter().for_each(|record| statistics.add(record));
    statistics.finish(window)
}

fn close(a: f64, b: f64, relative: f64) -> bool {
    (a - b).abs() <= relative * a.abs().max(b.abs())
}

#[test]
fn distributions_equal_numpy() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/numpy/vectors.json");
    let vectors: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let cases = vectors["cases"].as_array().unwrap();
    assert!(cases.len() >= 9);
    for case in cases {
        let name = case["name"].as_str().unwrap();
        let mut values: Vec<f64> =
            case["values"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
        let got = Distribution::exact(&mut values).unwrap();
        let number = |key: &str| case[key].as_f64().unwrap();
        for (key, ours) in [("avg", got.avg), ("sum", got.sum), ("min", got.min), ("max", got.max)] {
            assert!(close(ours, number(key), 1e-12), "{name} {key}: {ours} {}", number(key));
        }
        // Deviations cancel digits: what is left is measured against the size of the values.
        assert!((got.std - number("std")).abs() <= 1e-12 * got.max.abs().max(got.min.abs()), "{name} std");
        for (ours, theirs) in got.percentiles.iter().zip(case["percentiles"].as_array().unwrap()) {
            assert!(close(*ours, theirs.as_f64().unwrap(), 1e-14), "{name}: {ours} {theirs}");
        }
        values.resize(values.len() + case["failed"].as_u64().unwrap() as usize, f64::INFINITY);
        for (p, theirs) in [1.0, 5.0, 10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0]
            .into_iter()
            .zip(case["nearest_with_failed"].as_array().unwrap())
        {
            let ours = percentile_nearest(&values, p).filter(|value| value.is_finite());
            assert_eq!(ours, theirs.as_f64(), "{name} p{p}");
        }
    }
}

#[test]
fn rates_divide_by_the_window_and_durations_by_requests() {
    let records = [success(10, 20, &[10, 10], 5), success(30, 40, &[20], 5)];
    let result = summary(&records, Options::default(), &window(200));
    let value = |id| result.metrics.value(id).unwrap();
    assert_eq!(value(c::REQUEST_COUNT), 2.0);
    assert!(close(value(c::REQUEST_THROUGHPUT), 10.0, 1e-12));
    assert!(close(value(c::OUTPUT_TOKEN_THROUGHPUT), 25.0, 1e-12));
    assert!(close(value(c::TOTAL_TOKEN_THROUGHPUT), 1025.0, 1e-12));
    // First start at 10, last content at 30 + 60.
    assert!(close(value(c::BENCHMARK_DURATION), 0.080, 1e-12));
    assert!(close(value(c::CREDIT_TO_START_LATENCY), 2.0, 1e-12));
    assert!(close(value(c::EFFECTIVE_LATENCY), (47.0 + 67.0) / 2.0, 1e-12));
    let icl = result.metrics.get(c::INTER_CHUNK_LATENCY).unwrap();
    assert_eq!((icl.count, icl.sum, icl.max), (Some(3), Some(40.0), Some(20.0)));
    // Without an end the divisor is the benchmark duration.
    let open = Window { end: None, ..window(200) };
    let result = summary(&records, Options::default(), &open);
    assert!(close(result.metrics.value(c::REQUEST_THROUGHPUT).unwrap(), 25.0, 1e-12));
    // Several phases: the sum of their lengths.
    let pauses = Window { active_ns: Some(100 * MS), ..window(200) };
    let result = summary(&records, Options::default(), &pauses);
    assert!(close(result.metrics.value(c::REQUEST_THROUGHPUT).unwrap(), 20.0, 1e-12));
}

#[test]
fn concurrency_is_time_weighted_within_the_window() {
    // In flight: one from 10 to 40, two from 40 to 50, one from 50 to 110, none to 200.
    let records = [success(10, 20, &[10, 5], 5), success(40, 40, &[20], 10)];
    let result = summary(&records, Options::default(), &window(200));
    let concurrency = result.metrics.get(c::EFFECTIVE_CONCURRENCY).unwrap();
    assert!(close(concurrency.avg.unwrap(), (40.0 + 70.0) / 200.0, 1e-12), "{concurrency:?}");
    // Half of the time nobody is there: the median is where the cumulative duration reaches a half.
    assert_eq!((concurrency.min, concurrency.max, concurrency.p50), (Some(0.0), Some(2.0), Some(0.0)));
    assert_eq!((concurrency.p1, concurrency.count), (None, None));
    // Prefill: 10 to 30 with 100 tokens in 20 ms, 40 to 80 with 100 tokens in 40 ms.
    let prefill = result.metrics.get(c::ACTIVE_PREFILL_THROUGHPUT).unwrap();
    assert!(close(prefill.avg.unwrap(), 200.0 / 0.060, 1e-9), "{prefill:?}");
    assert_eq!((prefill.min, prefill.max), (Some(2500.0), Some(5000.0)));
    // Decode gaps: one token in 10 ms, one in 5 ms, one in 20 ms; all tokens appear in the area.
    let decode = result.metrics.get(c::EFFECTIVE_DECODE_THROUGHPUT).unwrap();
    assert!(close(decode.avg.unwrap(), 3.0 / 0.2, 1e-9), "{decode:?}");
    assert!(close(decode.max.unwrap(), 200.0, 1e-9));
    let tokens = result.metrics.get(c::TOKENS_IN_FLIGHT).unwrap();
    assert_eq!((tokens.min, tokens.max), (Some(0.0), Some(203.0)));
}

/// All chunks in one read: every gap is zero, and the tokens still appear in the area of the decode curve.
#[test]
fn a_stream_that_came_in_one_read_loses_no_tokens() {
    let records = [success(10, 20, &[10, 5], 5), success(40, 40, &[0, 0, 0], 10)];
    for fold_after in [1_000_000, 0] {
        let options = Options { fold_after, ..Options::default() };
        let result = summary(&records, options, &window(200));
        let decode = result.metrics.value(c::EFFECTIVE_DECODE_THROUGHPUT).unwrap();
        assert!(close(decode, (2.0 + 3.0) / 0.2, 1e-2), "{fold_after}: {decode}");
    }
}

/// As in AIPerf: what comes at the end or after it counts as just before it, and the first token does not move.
#[test]
fn tokens_that_all_come_at_the_end_are_in_flight_just_before_it() {
    let result = summary(&[success(10, 20, &[0, 0, 0], 0)], Options::default(), &window(200));
    let tokens = result.metrics.get(c::TOKENS_IN_FLIGHT).unwrap();
    assert_eq!((tokens.min, tokens.max), (Some(0.0), Some(103.0)));
}

#[test]
fn a_run_without_streaming_has_flat_token_curves_and_counts_as_usual() {
    let mut record = RequestRecord::default();
    record.metadata.request_start_ns = WallNs(START);
    record.metadata.request_end_ns = WallNs(START + 50 * MS);
    record.metrics.ms(c::REQUEST_LATENCY, 50 * MS);
    let result = summary(&[record], Options::default(), &window(100));
    assert_eq!(result.metrics.value(c::EFFECTIVE_CONCURRENCY), Some(0.5));
    assert_eq!(result.metrics.value(c::ACTIVE_DECODE_THROUGHPUT), Some(0.0));
    assert_eq!(result.metrics.value(c::TOKENS_IN_FLIGHT), Some(0.0));
    for absent in
        [c::TOTAL_ISL, c::CREDIT_TO_START_LATENCY, c::GOODPUT, c::ERROR_REQUEST_COUNT, c::NETWORK_RTT]
    {
        assert!(result.metrics.get(absent).is_none(), "{}", absent.tag());
    }
    assert_eq!(result.metrics.value(c::REQUEST_ERROR_RATE), Some(0.0));
}

#[test]
fn a_run_of_failures_alone_is_still_a_run() {
    let records = [failure(1, "maximum context length is 10 tokens"), failure(2, "no such field")];
    let result = summary(&records, Options::default(), &window(100));
    let value = |id| result.metrics.value(id);
    assert_eq!((value(c::REQUEST_COUNT), value(c::ERROR_REQUEST_COUNT)), (Some(0.0), Some(2.0)));
    assert_eq!(value(c::CONTEXT_OVERFLOW_COUNT), Some(1.0));
    assert_eq!(value(c::REQUEST_ERROR_RATE), Some(100.0));
    assert_eq!(value(c::TOTAL_ERROR_ISL), Some(14.0));
    assert!(result.metrics.get(c::ADJ_REQUEST_LATENCY).is_none());
    assert_eq!(result.errors.len(), 2);
    let nothing = summary(&[], Options::default(), &window(100));
    assert!(nothing.metrics.is_empty() && nothing.warmup_metrics.is_none());
}

#[test]
fn warmup_is_kept_apart() {
    let mut warm = success(0, 500, &[1], 0);
    warm.metadata.benchmark_phase = BenchmarkPhase::Warmup;
    let result = summary(&[warm, success(600, 20, &[10], 0)], Options::default(), &window(1000));
    assert_eq!(result.metrics.value(c::TIME_TO_FIRST_TOKEN), Some(20.0));
    assert_eq!(result.warmup_metrics.unwrap().value(c::TIME_TO_FIRST_TOKEN), Some(500.0));
    assert_eq!((result.counts.succeeded, result.warmup_counts.succeeded), (1, 1));
}

#[test]
fn goodput_counts_what_meets_every_objective() {
    let slos = "time_to_first_token:30 request_latency:60".parse().unwrap();
    let records =
        [success(0, 20, &[10], 0), success(0, 40, &[10], 0), success(0, 20, &[50], 0), failure(0, "x")];
    let result = summary(&records, Options { slos, ..Options::default() }, &window(500));
    assert_eq!(result.metrics.value(c::GOOD_REQUEST_COUNT), Some(1.0));
    assert_eq!(result.metrics.value(c::GOODPUT), Some(2.0));
    assert_eq!(result.metrics.value(c::GOOD_REQUEST_FRACTION), Some(0.25));
    // Without objectives of our own, the judgement in the records counts.
    let mut marked = success(0, 20, &[10], 0);
    marked.metrics.int(c::GOOD_REQUEST_COUNT, 1);
    let result = summary(&[marked], Options::default(), &window(500));
    assert_eq!(result.metrics.value(c::GOODPUT), Some(2.0));
}

#[test]
fn length_mismatches_are_counted_from_the_request_or_from_the_file() {
    // 5 % of 100 tokens are 5; above 1,000 tokens the bound is 50.
    for (requested, got, mismatch) in
        [(100, 95, false), (100, 94, true), (2000, 1950, false), (2000, 1949, true), (10, 0, true)]
    {
        let mut live = success(0, 20, &[10], 0);
        live.metrics = Default::default();
        live.metrics.int(c::OUTPUT_SEQUENCE_LENGTH, got);
        live.metrics.float(c::OSL_MISMATCH_DIFF_PCT, 100.0 * (got - requested) as f64 / requested as f64);
        let from_file = live.clone();
        live.metrics.int(c::REQUESTED_OSL, requested);
        for record in [live, from_file] {
            let result = summary(&[record], Options::default(), &window(100));
            let count = result.metrics.value(c::OSL_MISMATCH_COUNT);
            assert_eq!(count, Some(f64::from(u8::from(mismatch))), "{requested} {got}");
        }
    }
}

#[test]
fn facts_of_the_run_bring_their_metrics() {
    let mut statistics = RunStatistics::new(Options::default());
    statistics.add(&success(0, 20, &[10], 0));
    statistics.add(&success(0, 4, &[10], 0));
    let facts = statistics.facts_mut();
    facts.network_rtt_ms = Some(5.0);
    facts.concurrency = Some(2);
    facts.gpu_energy =
        vec![GpuEnergy { vendor: GpuVendor::Nvidia, energy_j: Some(40.0), power_w: Some(350.0) }];
    let result = statistics.finish(&window(100));
    let adjusted = result.metrics.get(c::NETWORK_ADJUSTED_TIME_TO_FIRST_TOKEN).unwrap();
    assert_eq!((adjusted.min, adjusted.max, adjusted.count), (Some(0.0), Some(15.0), Some(2)));
    assert_eq!(result.metrics.value(c::NETWORK_RTT), Some(5.0));
    let value = |id| result.metrics.value(id).unwrap();
    assert!(close(value(c::NVIDIA_AVERAGE_GPU_POWER), 400.0, 1e-12));
    assert_eq!(value(c::NVIDIA_TOTAL_GPU_POWER), 350.0);
    assert_eq!(value(c::NVIDIA_ENERGY_PER_REQUEST), 20.0);
    assert_eq!(value(c::NVIDIA_ENERGY_PER_USER), 20.0);
    assert!(close(value(c::NVIDIA_ENERGY_PER_OUTPUT_TOKEN), 10_000.0, 1e-12));
    assert!(close(value(c::NVIDIA_ENERGY_DELAY_PRODUCT), 20.0 * 0.022, 1e-12));
    assert!(result.metrics.get(c::NVIDIA_GOODPUT_PER_WATT).is_none());
    assert!(result.metrics.get(c::AMD_TOTAL_GPU_ENERGY).is_none());
}

#[test]
fn replay_lag_is_relative_to_the_least_offset() {
    let records: Vec<RequestRecord> = (0..101)
        .map(|i| {
            let mut record = success(1000 + i, 20, &[10], 0);
            record.metadata.credit_issued_ns = Some(WallNs(START + 500 * MS));
            record
        })
        .collect();
    let options = Options { fixed_schedule: true, ..Options::default() };
    let result = summary(&records, options, &window(5000));
    assert!(close(result.metrics.value(c::REPLAY_SCHED_LAG_P50).unwrap(), 50.0, 1e-9));
    assert!(close(result.metrics.value(c::REPLAY_SCHED_LAG_P99).unwrap(), 99.0, 1e-9));
    assert_eq!(result.metrics.value(c::REPLAY_SCHED_DEGRADED), Some(0.0));
    assert!(result.metrics.by_tag("replay_send_schedule_offset").is_none());
}

#[test]
fn the_last_slice_is_clipped_and_empty_ones_are_left_out() {
    let options = Options { slice_ns: Some(100 * MS), ..Options::default() };
    let records =
        [success(50, 20, &[10], 0), success(60, 20, &[10], 0), success(270, 20, &[20], 3), failure(271, "x")];
    let result = summary(&records, options, &window(400));
    let bounds: Vec<(u64, u64, bool)> = result
        .slices
        .iter()
        .map(|slice| ((slice.start.0 - START) / MS, (slice.end.0 - START) / MS, slice.complete))
        .collect();
    assert_eq!(bounds, [(50, 150, true), (250, 313, false)]);
    let last = &result.slices[1].metrics;
    assert!(close(last.value(c::REQUEST_THROUGHPUT).unwrap(), 1.0 / 0.063, 1e-12));
    assert_eq!(last.value(c::ERROR_REQUEST_COUNT), Some(1.0));
    assert!(last.get(c::EFFECTIVE_LATENCY).is_none());
    assert!(close(result.slices[0].metrics.value(c::EFFECTIVE_CONCURRENCY).unwrap(), 0.6, 1e-12));
}

#[test]
fn a_thousand_records_of_a_hundred_tokens_take_less_than_a_mebibyte() {
    let gaps: Vec<u64> = (0..99).map(|i| 5 + i % 7).collect();
    let mut record = success(0, 20, &gaps, 0);
    for id in tokmeter_record::MetricId::all().filter(|id| id.def().tag.starts_with("http_req_")) {
        record.metrics.float(id, 1.5);
    }
    for id in tokmeter_record::MetricId::all().filter(|id| id.def().tag.starts_with("usage_")).take(12) {
        record.metrics.int(id, 3);
    }
    let mut statistics = RunStatistics::new(Options::default());
    let before = statistics.bytes();
    for _ in 0..1000 {
        statistics.add(&record);
    }
    assert!(statistics.bytes() - before < 1 << 20, "{}", statistics.bytes());
    for _ in 1000..20_000 {
        statistics.add(&record);
    }
    assert!(statistics.bytes() < 20 << 20, "{}", statistics.bytes());
}

/// A run of random requests: successes of all shapes and failures, in the order they ended.
fn runs() -> impl Strategy<Value = Vec<RequestRecord>> {
    let gaps = prop::collection::vec(prop_oneof![Just(0u64), 1u64..40], 0..12);
    let one =
        (0u64..3000, 1u64..300, gaps, 0u64..20, 0u8..8).prop_map(
            |(start, ttft, gaps, tail, kind)| match kind {
                0 => failure(start + 2, "busy"),
                1 => {
                    let mut plain = success(start + 2, ttft, &[], tail);
                    plain.metrics = Default::default();
                    plain.metrics.ms(c::REQUEST_LATENCY, ttft * MS);
                    plain
                }
                _ => success(start + 2, ttft, &gaps, tail),
            },
        );
    prop::collection::vec(one, 1..60)
}

fn assert_close(a: &MetricSet, b: &MetricSet, relative: impl Fn(&str) -> f64) -> Result<(), TestCaseError> {
    let tags = |set: &MetricSet| set.iter().map(|(tag, _)| tag.to_owned()).collect::<Vec<_>>();
    prop_assert_eq!(tags(a), tags(b));
    for ((tag, a), (_, b)) in a.iter().zip(b.iter()) {
        prop_assert_eq!(a.count, b.count, "{}", tag);
        for stat in ["avg", "p1", "p25", "p50", "p90", "p99", "min", "max", "std", "sum"] {
            match (a.stat(stat), b.stat(stat)) {
                (Some(a), Some(b)) => {
                    let limit = relative(stat) * a.abs().max(b.abs()).max(1e-3);
                    prop_assert!((a - b).abs() <= limit, "{} {}: {} {}", tag, stat, a, b);
                }
                (a, b) => prop_assert_eq!(a, b, "{} {}", tag, stat),
            }
        }
    }
    Ok(())
}

/// The curves of a run at an instant, by their definition.
fn naive_concurrency(records: &[RequestRecord], at: u64) -> f64 {
    let running = records
        .iter()
        .filter(|record| record.metadata.request_start_ns.0 <= at && at < record.metadata.request_end_ns.0);
    running.count() as f64
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn parts_merged_equal_the_whole(records in runs(), cut in 0usize..60, slice in prop::option::of(200u64..900)) {
        let options = Options { slice_ns: slice.map(|ms| ms * MS), ..Options::default() };
        let whole = summary(&records, options.clone(), &window(4000));
        let cut = cut.min(records.len());
        let (mut left, mut right) = (RunStatistics::new(options.clone()), RunStatistics::new(options));
        records[..cut].iter().for_each(|record| left.add(record));
        records[cut..].iter().for_each(|record| right.add(record));
        // In the other order, too: who comes first must not matter.
        right.merge(left);
        let merged = right.finish(&window(4000));
        assert_close(&whole.metrics, &merged.metrics, |_| 1e-12)?;
        prop_assert_eq!(whole.counts, merged.counts);
        prop_assert_eq!(whole.slices.len(), merged.slices.len());
        for (a, b) in whole.slices.iter().zip(&merged.slices) {
            prop_assert_eq!((a.start, a.end, a.complete), (b.start, b.end, b.complete));
            assert_close(&a.metrics, &b.metrics, |_| 1e-12)?;
        }
    }

    #[test]
    fn a_folded_run_keeps_counts_sums_and_three_digits(records in runs(), parts in any::<bool>()) {
        let exact = summary(&records, Options::default(), &window(4000));
        let options = Options { fold_after: 5, ..Options::default() };
        let folded = if parts {
            let (mut a, mut b) = (RunStatistics::new(options.clone()), RunStatistics::new(options.clone()));
            records.iter().enumerate().for_each(|(i, record)| if i % 3 == 0 { a.add(record) } else { b.add(record) });
            a.merge(b);
            a.finish(&window(4000))
        } else {
            summary(&records, options, &window(4000))
        };
        prop_assert_eq!(records.len() < 5, folded.notes.is_empty());
        for (tag, summary) in exact.metrics.iter() {
            let Some(other) = folded.metrics.by_tag(tag) else {
                return Err(TestCaseError::fail(format!("{tag} is missing")));
            };
            prop_assert_eq!(summary.count, other.count, "{}", tag);
            let weighted = tag.starts_with("effective_") || tag.starts_with("active_") || tag == "tokens_in_flight";
            for stat in ["avg", "sum", "min", "max", "std"] {
                // Curves are known by the means of their bins of 1 ms; every instant here is on a full one,
                // but the end of the last gap is entered a nanosecond early in the exact sweep.
                let co_aware = tag.starts_with("effective_latency");
                let limit = if weighted && !co_aware { if stat == "avg" { 1e-6 } else { continue } } else { 1e-9 };
                match (summary.stat(stat), other.stat(stat)) {
                    (Some(a), Some(b)) => prop_assert!((a - b).abs() <= limit * a.abs().max(1.0), "{} {} {} {}", tag, stat, a, b),
                    (a, b) => prop_assert_eq!(a, b, "{} {}", tag, stat),
                }
            }
        }
    }

    #[test]
    fn no_record_makes_it_panic_or_say_what_is_not_finite(
        values in prop::collection::vec(
            (any::<u64>(), any::<u64>(), any::<Option<u64>>(), any::<f64>(), any::<f64>(), any::<i64>(),
                prop::collection::vec(any::<f64>(), 0..4), any::<bool>()), 1..12),
        fold_after in 1usize..20,
        slice_ns in prop::option::of(prop_oneof![Just(0u64), 1u64.., Just(u64::MAX)]),
    ) {
        let options = Options { fold_after, slice_ns, ..Options::default() };
        let mut statistics = RunStatistics::new(options);
        for (start, end, credit, ttft, latency, tokens, gaps, failed) in values {
            let mut record = if failed { failure(0, "x") } else { RequestRecord::default() };
            record.metadata.request_start_ns = WallNs(start);
            record.metadata.request_end_ns = WallNs(end);
            record.metadata.credit_issued_ns = credit.map(WallNs);
            record.metrics.float(c::TIME_TO_FIRST_TOKEN, ttft);
            record.metrics.float(c::REQUEST_LATENCY, latency);
            record.metrics.int(c::OUTPUT_SEQUENCE_LENGTH, tokens);
            record.metrics.int(c::INPUT_SEQUENCE_LENGTH, tokens);
            record.metrics.list(c::INTER_CHUNK_LATENCY, gaps);
            statistics.add(&record);
        }
        let result = statistics.finish(&Window::default());
        prop_assert!(!serde_json::to_string(&result.metrics).unwrap().contains("null"));
    }

    #[test]
    fn concurrency_is_what_counting_gives(records in runs()) {
        let result = summary(&records, Options::default(), &window(4000));
        // All instants are whole milliseconds: sampling in the middle of each is exact.
        let mut samples: Vec<f64> = (0..4000).map(|ms| naive_concurrency(&records, START + ms * MS + MS / 2)).collect();
        let got = result.metrics.get(c::EFFECTIVE_CONCURRENCY).unwrap();
        let want = Distribution::exact(&mut samples).unwrap();
        prop_assert!((got.avg.unwrap() - want.avg).abs() < 1e-9);
        prop_assert!((got.std.unwrap() - want.std).abs() < 1e-9);
        prop_assert_eq!((got.min, got.max), (Some(want.min), Some(want.max)));
        for (p, value) in [(50, got.p50), (90, got.p90), (95, got.p95), (99, got.p99)] {
            prop_assert_eq!(value, Some(samples[(4000 * p / 100) - 1]), "p{}", p);
        }
    }

    #[test]
    fn no_token_is_lost_between_curves(records in runs()) {
        let result = summary(&records, Options::default(), &window(8000));
        let tokens: f64 = records
            .iter()
            .filter(|record| record.metrics.get(c::TIME_TO_FIRST_TOKEN).is_some())
            .map(|record| record.metrics.number(c::INPUT_SEQUENCE_LENGTH).unwrap())
            .sum();
        let prefill = result.metrics.value(c::EFFECTIVE_PREFILL_THROUGHPUT).unwrap() * 8.0;
        prop_assert!(close(prefill, tokens, 1e-9) || tokens == 0.0, "{} {}", prefill, tokens);
    }
}
