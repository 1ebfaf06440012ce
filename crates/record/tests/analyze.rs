//! The analysis against seed 001's figures, AIPerf's own files, and itself in parts.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use tokmeter_record::analysis::gauges::GaugeSeries;
use tokmeter_record::analysis::report::GapSource;
use tokmeter_record::analysis::text::{self, Section};
use tokmeter_record::analysis::{Analysis, Options, Report, Summary, table};

const STREAMING_RUN: &str = "aiperf-run-streaming/profile_export.jsonl";
const ERROR_RUN: &str = "aiperf-run-errors/profile_export.jsonl";
const VECTOR: &str = "vectors/analyze_vector.jsonl";

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures").join(name)
}

fn analyze(options: Options, name: &str, content: &[u8]) -> Report {
    let mut analysis = Analysis::new(options);
    analysis.source(name);
    analysis.block(name, 1, content);
    analysis.finish()
}

fn analyze_fixture(name: &str, options: Options) -> Report {
    analyze(options, name, &std::fs::read(fixture(name)).unwrap())
}

fn text_of(report: &Report, sections: &[Section]) -> String {
    let mut out = String::new();
    text::write(report, sections, &mut out).unwrap();
    out
}

/// A record with trace data; durations in ms.
struct Traced {
    connecting: Option<f64>,
    blocked: Option<f64>,
    dns: Option<f64>,
    dns_hit: bool,
    ttfb: f64,
    /// Gaps between the response chunks: one chunk more than gaps.
    gaps: Vec<f64>,
}

impl Default for Traced {
    fn default() -> Self {
        Traced { connecting: None, blocked: None, dns: None, dns_hit: true, ttfb: 10.0, gaps: vec![] }
    }
}

const START: u64 = 1_800_000_000_000_000_000;

impl Traced {
    fn line(&self, out: &mut String) {
        let at = |ms: f64| START + (ms * 1e6).round() as u64;
        let mut trace =
            format!(r#""trace_type":"hyper","request_send_start_ns":{START},"request_send_end_ns":{START}"#);
        match self.connecting {
            Some(ms) => {
                write!(trace, r#","tcp_connect_start_ns":{START},"tcp_connect_end_ns":{}"#, at(ms)).unwrap();
            }
            None => write!(trace, r#","connection_reused_ns":{START}"#).unwrap(),
        }
        if let Some(ms) = self.blocked {
            write!(
                trace,
                r#","connection_pool_wait_start_ns":{START},"connection_pool_wait_end_ns":{}"#,
                at(ms)
            )
            .unwrap();
        }
        if let Some(ms) = self.dns {
            write!(trace, r#","dns_lookup_start_ns":{START},"dns_lookup_end_ns":{}"#, at(ms)).unwrap();
        }
        if self.dns_hit {
            write!(trace, r#","dns_cache_hit_ns":{START}"#).unwrap();
        }
        let mut instant = self.ttfb;
        let mut chunks = format!("[{},100]", at(instant));
        for gap in &self.gaps {
            instant += gap;
            write!(chunks, ",[{},100]", at(instant)).unwrap();
        }
        writeln!(
            out,
            r#"{{"metadata":{{"request_start_ns":{START},"benchmark_phase":"profiling"}},"metrics":{{}},"trace_data":{{{trace},"response_status_code":200,"response_chunks":[{chunks}]}}}}"#
        )
        .unwrap();
    }
}

/// `count` values with the given minimum, maximum, mean and nearest-rank percentiles: each rank has the percentile at
/// or below it, and as many are raised towards the next one as the mean needs.
fn values_with(count: usize, [min, max, mean, p50, p90, p95, p99]: [f64; 7]) -> Vec<f64> {
    let rank = |p: f64| (count as f64 * p / 100.0) as usize;
    let steps =
        [(rank(50.0), min, p50), (rank(90.0), p50, p90), (rank(95.0), p90, p95), (rank(99.0), p95, p99)];
    let mut values: Vec<f64> = (0..count)
        .map(|index| match index {
            0 => min,
            _ if index == count - 1 => max,
            _ => steps.iter().find(|(end, _, _)| index < *end).map_or(p99, |(_, floor, _)| *floor),
        })
        .collect();
    let mut missing = mean * count as f64 - values.iter().sum::<f64>();
    assert!(missing >= 0.0, "the mean is below what the percentiles allow");
    let mut begin = 0;
    for (end, _, ceiling) in steps {
        // The first of each step is the percentile itself.
        for value in &mut values[begin + 1..end.max(begin + 1)] {
            let raise = (ceiling - *value).min(missing);
            *value += raise;
            missing -= raise;
        }
        begin = end;
    }
    assert!(missing < 1e-6, "the mean is above what the percentiles allow");
    values
}

fn assert_contains_parts(ours: &str, parts: &str, separator: &str) {
    for part in parts.split(separator) {
        assert!(ours.contains(part.trim_end()), "missing:\n{part}\nin:\n{ours}");
    }
}

#[test]
fn the_token_sections_of_the_seed_come_out_letter_by_letter() {
    let report = analyze_fixture(VECTOR, Options::default());
    let mut ours = text_of(&report, &[Section::Tokens, Section::Correlation]);
    // The seed's example leaves out the chunks-per-token table, which its own text promises.
    let table = ours.find("\nChunks per Token").unwrap();
    let end = ours.find("\n\n====").unwrap() + 1;
    ours.replace_range(table..end, "");
    ours.truncate(ours.find("\nNotes:").unwrap());
    assert_eq!(ours, include_str!("analyze/seed_tokens.txt"));
}

#[test]
fn the_network_sections_of_the_seed_come_out_letter_by_letter() {
    // 1,000 records: 850 streaming, 25 new connections, 175 waits for one, 10 lookups. That connects and waits share
    // a table is why the seed's p99 of "25 connections" is not their maximum.
    let establishment = values_with(200, [1.23, 45.67, 8.42, 7.11, 15.23, 22.45, 38.90]);
    let ttfb = values_with(1_000, [12.34, 234.56, 45.67, 42.11, 78.90, 98.45, 156.78]);
    let mut lines = String::new();
    for (index, ttfb) in ttfb.into_iter().enumerate() {
        Traced {
            connecting: establishment[..25].get(index).copied(),
            blocked: if index < 25 { None } else { establishment.get(index).copied() },
            dns: (index < 10).then_some(1.0),
            dns_hit: index >= 10,
            ttfb,
            gaps: if index < 850 { vec![5.0; 4] } else { vec![] },
        }
        .line(&mut lines);
    }
    let report = analyze(Options::default(), "made", lines.as_bytes());
    let ours = text_of(&report, &[Section::Overview, Section::Connections, Section::Dns, Section::Ttfb]);
    assert_contains_parts(&ours, include_str!("analyze/seed_network.txt"), "\n\n\n");
}

#[test]
fn the_streaming_figures_of_the_seed_come_out_letter_by_letter() {
    // Chunks per request: 5 to 150, mean 42, median 38.
    let mut counts = vec![5, 30, 30, 30, 37, 38, 38, 38, 38, 38, 38, 150];
    counts.push(42 * (counts.len() + 1) - counts.iter().sum::<usize>());
    let mut gaps = values_with(
        counts.iter().map(|count| count - 1).sum(),
        [5.23, 125.67, 28.42, 25.11, 45.23, 62.45, 98.90],
    );
    let mut lines = String::new();
    for count in &counts {
        let own = gaps.split_off(gaps.len() - (count - 1));
        Traced { gaps: own, ..Traced::default() }.line(&mut lines);
    }
    let report = analyze(Options::default(), "made", lines.as_bytes());
    assert_contains_parts(
        &text_of(&report, &[Section::Streaming]),
        include_str!("analyze/seed_streaming.txt"),
        "\n\n",
    );
}

#[test]
fn the_network_efficiency_of_the_seed_comes_out_letter_by_letter() {
    let mut lines = String::new();
    for (ttfb, transfer) in [(40.67, 30.15), (50.67, 34.15)] {
        Traced { ttfb, gaps: vec![transfer], ..Traced::default() }.line(&mut lines);
    }
    let report = analyze(Options::default(), "made", lines.as_bytes());
    assert_eq!(text_of(&report, &[Section::Efficiency]), include_str!("analyze/seed_efficiency.txt"));
}

#[test]
fn every_section_of_the_vector_looks_as_agreed() {
    let report = analyze_fixture(VECTOR, Options { slowest: 2, ..Options::default() });
    insta::assert_snapshot!("vector_all_sections", text_of(&report, &[]));
}

#[test]
fn aiperfs_own_traces_are_read_with_their_empty_chunk_arrays() {
    let report = analyze_fixture(STREAMING_RUN, Options::default());
    assert_eq!((report.overview.total_records, report.overview.traced_records), (40, 40));
    assert_eq!(report.streaming.gap_source, Some(GapSource::InterChunkLatencyMetric));
    assert_eq!(report.lines.bad, 0);
    insta::assert_snapshot!("aiperf_streaming", text_of(&report, &[]));
}

#[test]
fn without_trace_data_the_phase_metrics_tell_the_same() {
    let content = std::fs::read_to_string(fixture(STREAMING_RUN)).unwrap();
    let without: String = content
        .lines()
        .map(|line| {
            let mut record: serde_json::Value = serde_json::from_str(line).unwrap();
            record.as_object_mut().unwrap().remove("trace_data");
            format!("{record}\n")
        })
        .collect();
    let traced = analyze(Options::default(), "traced", content.as_bytes());
    let report = analyze(Options::default(), "untraced", without.as_bytes());
    assert_eq!((report.overview.traced_records, report.overview.phase_metric_records), (0, 40));
    let close = |a: &Option<Summary>, b: &Option<Summary>| {
        let (a, b) = (a.as_ref().unwrap().avg, b.as_ref().unwrap().avg);
        assert!((a - b).abs() < 1e-3 * a, "{a} against {b}");
    };
    close(&traced.ttfb, &report.ttfb);
    close(&traced.ttlb, &report.ttlb);
    close(&traced.bandwidth.response_size, &report.bandwidth.response_size);
    close(&traced.phases.receiving, &report.phases.receiving);
    assert_eq!(traced.streaming.chunks_per_request, report.streaming.chunks_per_request);
    assert_eq!(traced.connections.reused, report.connections.reused);
    assert!(report.notes.iter().any(|note| note.contains("http_req_*")));
}

#[test]
fn failed_requests_are_counted() {
    let report = analyze_fixture(ERROR_RUN, Options::default());
    let content = std::fs::read_to_string(fixture(ERROR_RUN)).unwrap();
    let failed = content.lines().filter(|line| line.contains("\"error\":{")).count() as u64;
    assert!(failed > 0);
    assert_eq!(report.overview.failed, failed);
    let insight = report.insights.iter().find(|insight| insight.rule == "failures").unwrap();
    assert!((insight.figure - 100.0 * failed as f64 / report.overview.phased_records() as f64).abs() < 1e-9);
}

#[test]
fn bad_lines_are_named_and_the_others_still_count() {
    let good = r#"{"metadata":{"request_start_ns":1},"metrics":{}}"#;
    let mut content = format!("{good}\n\n{{\"metadata\":{{\n  \n{good}\n[]\n");
    content.push_str(&"nonsense\n".repeat(20));
    content.push_str(good);
    let report = analyze(Options::default(), "run.jsonl", content.as_bytes());
    assert_eq!((report.lines.records, report.lines.blank, report.lines.bad), (3, 2, 22));
    assert_eq!(report.lines.bad_lines.len(), 10);
    let first = &report.lines.bad_lines[0];
    assert_eq!((first.line, first.source.as_str()), (3, "run.jsonl"));
    assert!(first.reason.starts_with("column 13: EOF"), "{}", first.reason);
    assert_eq!(report.lines.bad_lines[1].line, 6);
    let shown = text_of(&report, &[Section::Overview]);
    assert!(shown.contains("run.jsonl:3: column 13"), "{shown}");
    assert!(shown.contains("and 12 more"), "{shown}");
}

#[test]
fn parts_that_were_read_apart_give_the_same_report() {
    let content = std::fs::read_to_string(fixture(STREAMING_RUN)).unwrap();
    let options = Options { slowest: 5, ..Options::default() };
    let mut whole = Analysis::new(options.clone());
    let mut parts: Vec<Analysis> = (0..3).map(|_| Analysis::new(options.shared_by(3))).collect();
    for (index, line) in content.lines().enumerate() {
        whole.line("run", index as u64 + 1, line.as_bytes());
        parts[index % 3].line("run", index as u64 + 1, line.as_bytes());
    }
    let mut merged = parts.remove(0);
    parts.into_iter().for_each(|part| merged.merge(part));
    assert_eq!(merged.finish(), whole.finish());
}

#[test]
fn beyond_the_bound_figures_stay_within_a_thousandth() {
    let content = std::fs::read(fixture(STREAMING_RUN)).unwrap();
    let exact = analyze(Options::default(), "run", &content);
    let bounded =
        analyze(Options { exact_records: 10, exact_chunks: 10, ..Options::default() }, "run", &content);
    for (exact, bounded) in [
        (&exact.ttfb, &bounded.ttfb),
        (&exact.ttlb, &bounded.ttlb),
        (&exact.tokens.throughput, &bounded.tokens.throughput),
        (&exact.tokens.bytes_per_token, &bounded.tokens.bytes_per_token),
        (&exact.streaming.inter_chunk_latency, &bounded.streaming.inter_chunk_latency),
    ] {
        let (exact, bounded) = (exact.as_ref().unwrap(), bounded.as_ref().unwrap());
        assert!(bounded.approximate && !exact.approximate);
        assert_eq!((exact.count, exact.min, exact.max), (bounded.count, bounded.min, bounded.max));
        for (truth, ours) in [(exact.p50, bounded.p50), (exact.p99, bounded.p99), (exact.avg, bounded.avg)] {
            assert!((truth - ours).abs() <= truth * 0.001, "{truth} against {ours}");
        }
    }
    assert!(bounded.notes[0].contains("0.1 %"));
}

#[test]
fn a_filter_leaves_records_out_and_says_how_many() {
    let filter = |text: &str| Options { filter: Some(text.parse().unwrap()), ..Options::default() };
    let slow = analyze_fixture(STREAMING_RUN, filter("latency>205ms")).overview;
    let fast = analyze_fixture(STREAMING_RUN, filter("not latency>205ms")).overview;
    assert_eq!(slow.total_records + slow.filtered_out, 40);
    assert_eq!(slow.total_records, fast.filtered_out);
    assert!(slow.total_records > 0 && fast.total_records > 0);
    let bare = analyze_fixture(STREAMING_RUN, filter("latency>205")).overview;
    assert_eq!(bare, slow, "a bare number is meant in the file's unit");
    let foreign = analyze_fixture(STREAMING_RUN, filter("usage_prompt_tokens>=59")).overview;
    assert!(foreign.total_records > 0 && foreign.filtered_out > 0);
}

#[test]
fn warmup_is_left_out_unless_asked_for() {
    let line = |phase: &str| {
        format!(r#"{{"metadata":{{"request_start_ns":1,"benchmark_phase":"{phase}"}},"metrics":{{}}}}"#)
    };
    let content = format!("{}\n{}\n", line("warmup"), line("profiling"));
    let report = analyze(Options::default(), "run", content.as_bytes());
    assert_eq!((report.overview.total_records, report.overview.warmup_left_out), (1, 1));
    let with = analyze(Options { include_warmup: true, ..Options::default() }, "run", content.as_bytes());
    assert_eq!((with.overview.total_records, with.overview.warmup_left_out), (2, 0));
}

/// 300 requests of which the 124th waits 900 ms; its input is 40 times as long as the others'.
fn run_with_a_culprit() -> String {
    let mut content = String::new();
    for index in 0..300u64 {
        let start = START + index * 1_000_000_000;
        let (wait, id, input) =
            if index == 123 { (900_000_000, "culprit", 4_000) } else { (50_000_000 + index, "other", 100) };
        let sent = start + 1_000_000;
        let first = sent + wait;
        writeln!(
            content,
            r#"{{"metadata":{{"x_request_id":"{id}","request_start_ns":{start}}},"metrics":{{"input_sequence_length":{{"value":{input},"unit":"tokens"}}}},"trace_data":{{"trace_type":"hyper","request_send_start_ns":{start},"request_send_end_ns":{sent},"response_chunks":[[{first},10],[{},10]],"connection_request_number":{},"connection_reused_ns":{start}}}}}"#,
            first + 20_000_000,
            index + 1,
        )
        .unwrap();
    }
    content
}

#[test]
fn the_slowest_request_is_explained() {
    let mut gauges = GaugeSeries::default();
    gauges.add("vllm:num_requests_waiting", START, 0.0);
    gauges.add("vllm:num_requests_waiting", START + 122_500_000_000, 9.0);
    gauges.add("vllm:num_requests_waiting", START + 124_000_000_000, 0.0);
    let mut analysis = Analysis::new(Options { slowest: 3, ..Options::default() });
    analysis.block("run", 1, run_with_a_culprit().as_bytes());
    let report = analysis.finish_with(&gauges);
    let tail = report.slowest.as_ref().unwrap();
    assert_eq!(tail.requests.len(), 3);
    let culprit = &tail.requests[0];
    assert_eq!((culprit.x_request_id.as_deref(), culprit.line), (Some("culprit"), 124));
    assert_eq!(culprit.phases[0].phase, "waiting");
    assert!(culprit.phases[0].excess_pct > 99.0);
    assert_eq!(culprit.connection_request_number, Some(124));
    assert!(culprit.reasons[0].contains("input of 4000 tokens is 40.0x the median"), "{:?}", culprit.reasons);
    assert!(culprit.reasons.iter().any(|reason| reason.contains("vllm:num_requests_waiting was 9")));
    assert!(tail.requests[1].latency_ms < culprit.latency_ms);
    insta::assert_snapshot!("slowest", text_of(&report, &[Section::Slowest]));
}

#[test]
fn what_the_slowest_have_in_common_is_found() {
    let mut content = String::new();
    for index in 0..1_000u64 {
        let start = START + index * 1_000_000;
        let new = index % 50 == 0;
        let wait = if new { 500_000_000 + index } else { 50_000_000 + index };
        let connection = if new {
            format!(r#""tcp_connect_start_ns":{start},"tcp_connect_end_ns":{}"#, start + 1_000)
        } else {
            format!(r#""connection_reused_ns":{start}"#)
        };
        writeln!(
            content,
            r#"{{"metadata":{{"request_start_ns":{start}}},"trace_data":{{"trace_type":"hyper","request_send_start_ns":{start},"request_send_end_ns":{start},"response_receive_start_ns":{},{connection}}}}}"#,
            start + wait
        )
        .unwrap();
    }
    let report = analyze(Options { slowest: 1, ..Options::default() }, "run", content.as_bytes());
    let lifts = report.slowest.unwrap().lifts;
    assert_eq!(lifts[0].name, "opened a new connection");
    assert_eq!(lifts[0].among_slowest_pct, 100.0);
    assert!(lifts[0].among_others_pct < 2.0);
}

#[test]
fn the_csv_has_the_numbers_of_the_json() {
    let report = analyze_fixture(VECTOR, Options::default());
    let mut csv = Vec::new();
    table::write_csv(&report, &[], &mut csv).unwrap();
    let csv = String::from_utf8(csv).unwrap();
    assert!(csv.starts_with("section,figure,statistic,unit,value\n"));
    for row in [
        "overview,total_records,,,4\n",
        "connections,reuse_rate_pct,,%,75.0\n",
        "tokens,throughput,p50,tokens/sec,3413.3333333333335\n",
        "ttfb,,max,ms,185.0\n",
        "correlation,overall_bytes_per_token,,,9.06",
        "insights,connection_reuse,attention,%,75.0\n",
    ] {
        assert!(csv.contains(row), "missing {row:?} in\n{csv}");
    }
}

#[test]
fn selected_sections_leave_the_others_out_of_json_and_csv() {
    let report = analyze_fixture(VECTOR, Options::default());
    let all = report.selected(&[]);
    for section in Section::ALL.into_iter().filter(|section| section.applies(&report)) {
        assert!(all.get(section.key()).is_some(), "{section:?} has no key in the JSON");
    }
    let some = report.selected(&[Section::Dns, Section::Send]);
    let keys: Vec<&str> = some.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["dns", "lines", "notes", "request_send", "sources"]);
    let mut csv = Vec::new();
    table::write_csv(&report, &[Section::Dns], &mut csv).unwrap();
    assert!(!String::from_utf8(csv).unwrap().contains("ttfb"));
}
