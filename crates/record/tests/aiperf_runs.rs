//! Two runs written by AIPerf 0.13.0: our statistics, recomputed from their records, equal their summary.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use tokmeter_record::format::SummaryDocument;
use tokmeter_record::format::summary_csv::write_csv;
use tokmeter_record::format::timeslices::TimeslicesDocument;
use tokmeter_record::metric::catalogue;
use tokmeter_record::statistics::{Options, RunStatistics, RunSummary, Window};
use tokmeter_record::{RequestRecord, WallNs};

fn fixture(run: &str, file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures").join(run).join(file)
}

fn records(run: &str) -> Vec<RequestRecord> {
    let text = fs::read_to_string(fixture(run, "profile_export.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn json(run: &str, file: &str) -> Value {
    serde_json::from_str(&fs::read_to_string(fixture(run, file)).unwrap()).unwrap()
}

/// The summary's local times, read as UTC: that is where the runs were made.
fn instant(text: &str) -> WallNs {
    let at: jiff::civil::DateTime = text.parse().unwrap();
    WallNs(at.to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp().as_nanosecond() as u64)
}

fn summarise(run: &str, options: Options) -> (RunSummary, Value) {
    let expected = json(run, "profile_export_aiperf.json");
    let mut statistics = RunStatistics::new(options);
    for record in records(run) {
        statistics.add(&record);
    }
    let at = |key: &str| instant(expected[key].as_str().unwrap());
    (statistics.finish(&Window::new(at("start_time"), at("end_time"))), expected)
}

/// How far our figure may be from AIPerf's. Theirs passes instants through float64 (256 ns), which shows in
/// what is computed from instants, and most in the extremes of gap-based curves (METRICS 2.2).
fn tolerance(tag: &str, stat: &str) -> f64 {
    let weighted = tag.starts_with("effective_") || tag.starts_with("active_") || tag == "tokens_in_flight";
    match (tag, stat) {
        ("effective_latency" | "credit_to_start_latency" | "benchmark_duration", _) => 2e-3,
        ("request_throughput" | "goodput", _) => 1e-6,
        (tag, "max" | "min" | "p99") if weighted && tag.contains("decode_throughput") => f64::INFINITY,
        _ if weighted => 2e-3,
        _ if tag.ends_with("_throughput") => 1e-6,
        _ => 1e-9,
    }
}

fn compare(run: &str, got: &Value, expected: &Value) -> usize {
    let mut compared = 0;
    for (tag, theirs) in expected.as_object().unwrap() {
        let Some(unit) = theirs.get("unit") else { continue };
        let ours = got.get(tag).unwrap_or_else(|| panic!("{run}: {tag} is missing"));
        assert_eq!(ours["unit"], *unit, "{run}: {tag}");
        for (stat, theirs) in theirs.as_object().unwrap() {
            let Some(theirs) = theirs.as_f64() else { continue };
            let ours = ours.get(stat).and_then(Value::as_f64);
            let ours = ours.unwrap_or_else(|| panic!("{run}: {tag}.{stat} is missing, theirs is {theirs}"));
            let apart = (ours - theirs).abs() / ours.abs().max(theirs.abs()).max(1e-6);
            assert!(
                apart <= tolerance(tag, stat),
                "{run}: {tag}.{stat}: ours {ours}, theirs {theirs} ({apart:e})"
            );
            compared += 1;
        }
        for stat in ours.as_object().unwrap().keys() {
            assert!(theirs.get(stat).is_some(), "{run}: {tag}.{stat} is ours alone");
        }
    }
    compared
}

#[test]
fn summaries_are_reproduced_from_records() {
    for (run, least) in [("aiperf-run-streaming", 600), ("aiperf-run-errors", 600)] {
        let (summary, expected) = summarise(run, Options::default());
        let got = serde_json::to_value(&summary.metrics).unwrap();
        let compared = compare(run, &got, &expected);
        assert!(compared >= least, "{run}: only {compared} figures");
        let alone = got.as_object().unwrap().keys().find(|tag| expected.get(tag.as_str()).is_none());
        assert_eq!(alone, None, "{run}");
        assert!(summary.notes.is_empty());
    }
}

#[test]
fn failures_are_counted_and_named() {
    let (summary, expected) = summarise("aiperf-run-errors", Options::default());
    assert_eq!((summary.counts.succeeded, summary.counts.failed), (6, 18));
    assert_eq!(summary.metrics.value(catalogue::ERROR_REQUEST_COUNT), Some(18.0));
    let theirs = expected["error_summary"].as_array().unwrap();
    assert_eq!(summary.errors.len(), theirs.len());
    assert_eq!(summary.errors.iter().map(|error| error.count).sum::<u64>(), 18);
    for error in theirs {
        let message = error["error_details"]["message"].as_str().unwrap();
        let ours = summary.errors.iter().find(|ours| ours.error_details.message == message);
        assert_eq!(ours.map(|ours| Some(ours.count)), Some(error["count"].as_u64()), "{message}");
    }
    let (clean, _) = summarise("aiperf-run-streaming", Options::default());
    assert!(clean.metrics.get(catalogue::ERROR_REQUEST_COUNT).is_none());
    assert!(clean.metrics.get(catalogue::ADJ_REQUEST_LATENCY).is_none());
}

#[test]
fn slices_are_reproduced_from_records() {
    let run = "aiperf-run-streaming";
    let (summary, _) = summarise(run, Options { slice_ns: Some(1_000_000_000), ..Options::default() });
    let expected = json(run, "profile_export_aiperf_timeslices.json");
    let expected = expected["timeslices"].as_array().unwrap();
    assert_eq!(summary.slices.len(), expected.len());
    for (ours, theirs) in summary.slices.iter().zip(expected) {
        // Their grid starts at the first request, rounded to 256 ns.
        assert!(ours.start.0.abs_diff(theirs["start_ns"].as_u64().unwrap()) <= 256);
        assert!(ours.end.0.abs_diff(theirs["end_ns"].as_u64().unwrap()) <= 256);
        assert_eq!(ours.complete, theirs.get("is_complete").is_none());
        let got = serde_json::to_value(&ours.metrics).unwrap();
        assert!(compare(run, &got, theirs) > 600);
        assert_eq!(got.as_object().unwrap().len(), theirs.as_object().unwrap().len() - 2);
    }
}

fn text(run: &str, file: &str) -> String {
    fs::read_to_string(fixture(run, file)).unwrap()
}

#[test]
fn summaries_are_read_and_written_back_without_loss() {
    for run in ["aiperf-run-streaming", "aiperf-run-errors"] {
        let theirs = text(run, "profile_export_aiperf.json");
        let document: SummaryDocument = serde_json::from_str(&theirs).unwrap();
        assert!(document.metrics.len() > 60);
        assert!(document.other.is_empty(), "{run}: {:?}", document.other);
        let mut ours = Vec::new();
        document.write(&mut ours).unwrap();
        let (ours, theirs): (Value, Value) =
            (serde_json::from_slice(&ours).unwrap(), serde_json::from_str(&theirs).unwrap());
        for (key, value) in theirs.as_object().unwrap() {
            let value = without_details(value.clone());
            assert_eq!(ours[key], value, "{run}: {key}");
        }
        assert_eq!(ours.as_object().unwrap().len(), theirs.as_object().unwrap().len());
    }
}

/// `details` of an error is the one key we do not keep.
fn without_details(mut value: Value) -> Value {
    for item in value.as_array_mut().into_iter().flatten() {
        if let Some(details) = item.get_mut("error_details").and_then(Value::as_object_mut) {
            details.remove("details");
        }
    }
    value
}

#[test]
fn key_order_is_theirs_up_to_the_declared_keys() {
    let theirs = text("aiperf-run-errors", "profile_export_aiperf.json");
    let document: SummaryDocument = serde_json::from_str(&theirs).unwrap();
    let mut ours = Vec::new();
    document.write(&mut ours).unwrap();
    let keys = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| line.starts_with("  \""));
        lines.map(|line| line.trim_start()[1..].split('"').next().unwrap().to_owned()).collect()
    };
    let (ours, theirs) = (keys(std::str::from_utf8(&ours).unwrap()), keys(&theirs));
    let declared = theirs.iter().position(|key| key == "end_time").unwrap();
    assert_eq!(ours[..=declared], theirs[..=declared]);
}

#[test]
fn tables_are_reproduced_byte_for_byte() {
    for run in ["aiperf-run-streaming", "aiperf-run-errors"] {
        let document: SummaryDocument =
            serde_json::from_str(&text(run, "profile_export_aiperf.json")).unwrap();
        let mut ours = Vec::new();
        write_csv(&document, &mut ours).unwrap();
        assert_eq!(String::from_utf8(ours).unwrap(), text(run, "profile_export_aiperf.csv"), "{run}");
    }
    let run = "aiperf-run-streaming";
    let slices = text(run, "profile_export_aiperf_timeslices.json");
    let document: TimeslicesDocument = serde_json::from_str(&slices).unwrap();
    let mut ours = Vec::new();
    document.write_csv(&mut ours).unwrap();
    assert_eq!(String::from_utf8(ours).unwrap(), text(run, "profile_export_aiperf_timeslices.csv"));
    assert_eq!(serde_json::to_value(&document).unwrap(), json(run, "profile_export_aiperf_timeslices.json"));
}

#[test]
fn our_own_summary_says_when_it_was_and_comes_back() {
    let (summary, _) = summarise("aiperf-run-streaming", Options::default());
    let window = Window::new(WallNs(1_795_322_200_801_186_123), WallNs(1_795_322_202_932_861_456));
    let document = SummaryDocument::of(&summary, &window);
    let mut file = Vec::new();
    document.write(&mut file).unwrap();
    let back = SummaryDocument::read(&file[..]).unwrap();
    assert_eq!(back.window(), window);
    assert_eq!(serde_json::to_value(&back).unwrap(), serde_json::to_value(&document).unwrap());
    assert_eq!(back.schema_version, "1.4");
    assert_eq!(back.metric(catalogue::REQUEST_COUNT).and_then(|count| count.avg), Some(40.0));
}
