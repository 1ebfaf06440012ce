//! Replays the scrapes of a run that AIPerf 0.13.0 recorded (its JSONL) and compares our statistics with the
//! ones AIPerf computed from them (its JSON and CSV).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use serde::Deserialize;
use serde_json::Value;
use tokmeter_record::format::server_json::{ExportOptions, ServerMetricsFile};
use tokmeter_record::format::server_jsonl::ScrapeLine;
use tokmeter_record::format::{server_csv, server_parquet};
use tokmeter_record::request::BenchmarkPhase;
use tokmeter_record::server::exposition::Limits;
use tokmeter_record::server::{FetchInstants, Media, Page, PhaseMark, Readings, Store, StoreLimits, Window};
use tokmeter_record::time::WallNs;

/// The one metric for which we promise something else: its resets are compensated.
const RESETTING: &str = "mock_resetting";

#[derive(Deserialize)]
struct Line {
    endpoint_url: String,
    endpoint_latency_ns: u64,
    metrics: BTreeMap<String, Vec<RawPoint>>,
    request_sent_ns: u64,
    first_byte_ns: u64,
}

#[derive(Deserialize)]
struct RawPoint {
    #[serde(default)]
    labels: BTreeMap<String, String>,
    value: Option<f64>,
    // The file keeps the server's order of bounds; serde_json's map would, too, but ours sorts by bound anyway.
    #[serde(default)]
    buckets: BTreeMap<String, f64>,
    sum: Option<f64>,
    count: Option<f64>,
}

fn fixture(name: &str) -> String {
    let path = format!("{}/../../tests/fixtures/aiperf-run-streaming/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).expect("the fixture is there")
}

fn labels(labels: &BTreeMap<String, String>, le: Option<&str>) -> String {
    let pairs = labels.iter().map(|(name, value)| format!("{name}=\"{value}\""));
    let all: Vec<String> = pairs.chain(le.map(|le| format!("le=\"{le}\""))).collect();
    if all.is_empty() { String::new() } else { format!("{{{}}}", all.join(",")) }
}

/// The page a scrape must have seen: values from the JSONL, types and help from the JSON.
fn page(line: &Line, reference: &ServerMetricsFile) -> String {
    let mut page = String::new();
    for (name, metric) in &reference.metrics {
        let kind = metric.kind.as_str();
        let total = if kind == "counter" { "_total" } else { "" };
        let _ = writeln!(page, "# HELP {name}{total} {}\n# TYPE {name}{total} {kind}", metric.description);
        if name.ends_with("_info") {
            for series in &metric.series {
                let own = series.labels.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect();
                let _ = writeln!(page, "{name}{} 1", labels(&own, None));
            }
        }
        for point in line.metrics.get(&**name).into_iter().flatten() {
            if let Some(value) = point.value {
                let _ = writeln!(page, "{name}{total}{} {value}", labels(&point.labels, None));
                continue;
            }
            for (le, count) in &point.buckets {
                let _ = writeln!(page, "{name}_bucket{} {count}", labels(&point.labels, Some(le)));
            }
            let own = labels(&point.labels, None);
            let (sum, count) = (point.sum.expect("a sum"), point.count.expect("a count"));
            let _ = writeln!(page, "{name}_sum{own} {sum}\n{name}_count{own} {count}");
        }
    }
    page
}

/// The recorded run in a store, and the lines our JSONL has for it.
fn replay() -> (Store, ServerMetricsFile, String) {
    let reference =
        ServerMetricsFile::read(fixture("server_metrics_export.json").as_bytes()).expect("AIPerf's file");
    let range = reference.summary.phase_time_ranges["profiling"];
    let mut store = Store::new(StoreLimits::default());
    store.begin_phase(PhaseMark {
        kind: BenchmarkPhase::Profiling,
        name: "profiling".to_owned(),
        index: 0,
        profiling_index: Some(0),
        start_ns: WallNs(range.start_ns),
        end_ns: Some(WallNs(range.end_ns)),
    });
    let mut lines = Vec::new();
    for line in fixture("server_metrics_export.jsonl").lines() {
        let line: Line = serde_json::from_str(line).expect("a line of AIPerf");
        let endpoint = store.endpoint(&line.endpoint_url);
        let text = page(&line, &reference);
        let parsed = Page::parse(text.as_bytes(), Media::Text, &Limits::default()).expect("a page");
        assert_eq!(parsed.problems.kept, []);
        let readings = Readings::of(&parsed);
        let instants = FetchInstants {
            request_sent_ns: WallNs(line.request_sent_ns),
            first_byte_ns: WallNs(line.first_byte_ns),
            latency_ns: line.endpoint_latency_ns,
        };
        store.add(endpoint, &instants, &readings);
        let phase = store.phase_at(instants.request_sent_ns).map(|phase| &store.phases()[phase]);
        let endpoint_url = &line.endpoint_url;
        ScrapeLine { endpoint_url, instants, phase, readings: &readings }
            .write(&mut lines)
            .expect("in memory");
    }
    (store, reference, String::from_utf8(lines).expect("UTF-8"))
}

fn options() -> ExportOptions {
    ExportOptions {
        benchmark_id: Some("4268e957abd3".to_owned()),
        input_config: serde_json::json!({"models": ["mock-model"]}),
        slice_ns: Some(1_000_000_000),
        ..ExportOptions::default()
    }
}

/// Every number of `expected` is in `actual`, to 1e-9; keys that only we have are named in `ours`.
fn assert_close(path: &str, expected: &Value, actual: &Value, ours: &[&str]) {
    match (expected, actual) {
        (Value::Object(expected), Value::Object(actual)) => {
            let keys = |map: &serde_json::Map<String, Value>| map.keys().cloned().collect::<BTreeSet<_>>();
            let extra: Vec<_> = keys(actual).difference(&keys(expected)).cloned().collect();
            assert!(extra.iter().all(|key| ours.contains(&&**key)), "{path}: unexpected {extra:?}");
            for (key, value) in expected {
                let own = actual.get(key).unwrap_or_else(|| panic!("{path}.{key} is missing"));
                assert_close(&format!("{path}.{key}"), value, own, ours);
            }
        }
        (Value::Array(expected), Value::Array(actual)) => {
            assert_eq!(expected.len(), actual.len(), "{path}");
            for (index, (expected, actual)) in expected.iter().zip(actual).enumerate() {
                assert_close(&format!("{path}[{index}]"), expected, actual, ours);
            }
        }
        (Value::Number(expected), Value::Number(actual)) => {
            assert_eq!(expected.is_f64(), actual.is_f64(), "{path}: integers stay integers");
            let (expected, actual) = (expected.as_f64().expect("f64"), actual.as_f64().expect("f64"));
            let tolerance = 1e-9 * expected.abs().max(1e-6);
            assert!((expected - actual).abs() <= tolerance, "{path}: {actual} instead of {expected}");
        }
        _ => assert_eq!(expected, actual, "{path}"),
    }
}

#[test]
fn json_has_the_numbers_of_aiperf() {
    let (store, _, _) = replay();
    let mut ours = Vec::new();
    ServerMetricsFile::of(&store, &options()).write(&mut ours).expect("in memory");
    let mut ours: Value = serde_json::from_slice(&ours).expect("JSON");
    let mut reference: Value = serde_json::from_str(&fixture("server_metrics_export.json")).expect("JSON");
    let resetting = ours["metrics"].as_object_mut().and_then(|metrics| metrics.remove(RESETTING));
    reference["metrics"].as_object_mut().and_then(|metrics| metrics.remove(RESETTING)).expect("it is there");
    for summary in [&mut ours, &mut reference] {
        // Local times of two machines.
        for key in ["start_time", "end_time"] {
            let time = summary["summary"][key].take();
            assert!(time.as_str().is_some_and(|time| time.len() == 26), "{time}");
        }
    }
    reference["input_config"] = ours["input_config"].clone();
    assert_close("", &reference, &ours, &[]);
    let resetting = resetting.expect("it is there");
    let stats = &resetting["series"][0]["stats"];
    assert!(stats["resets"].as_u64().expect("resets are counted") >= 1, "{stats}");
    assert!(stats["total"].as_f64().expect("a total") > 0.0, "{stats}");
}

#[test]
fn csv_has_the_rows_of_aiperf() {
    let (store, _, _) = replay();
    let mut ours = Vec::new();
    server_csv::write(&store.statistics(Window::Phase(0), options().slice_ns), &mut ours).expect("in memory");
    let ours = String::from_utf8(ours).expect("UTF-8");
    let rows = |text: &str| -> Vec<String> {
        text.lines()
            .filter(|line| !line.starts_with('#') && !line.contains(RESETTING))
            .map(str::to_owned)
            .collect()
    };
    assert_eq!(rows(&ours), rows(&fixture("server_metrics_export.csv")));
    assert!(ours.contains("\r\n\r\n"), "sections are separated by an empty line");
    assert_eq!(ours.split("\r\n\r\n").count(), 5);
}

#[test]
fn jsonl_has_the_lines_of_aiperf() {
    let (_, _, ours) = replay();
    let reference = fixture("server_metrics_export.jsonl");
    assert_eq!(ours.lines().count(), reference.lines().count());
    for (ours, reference) in ours.lines().zip(reference.lines()) {
        let ours: Value = serde_json::from_str(ours).expect("JSON");
        let reference: Value = serde_json::from_str(reference).expect("JSON");
        assert_close("", &reference, &ours, &[]);
    }
}

#[test]
fn parquet_ends_at_the_totals_of_the_json() {
    use parquet::file::reader::FileReader;
    use parquet::record::RowAccessor;

    let (store, _, _) = replay();
    let file = tempfile::tempfile().expect("a temporary file");
    let metadata = server_parquet::ParquetMetadata {
        benchmark_id: "4268e957abd3".to_owned(),
        model_names: vec!["mock-model".to_owned()],
        concurrency: Some(4),
        ..Default::default()
    };
    server_parquet::write(&store, Window::Phase(0), &metadata, server_parquet::Compression::Snappy, &file)
        .expect("written");
    let reader = parquet::file::reader::SerializedFileReader::new(file).expect("a Parquet file");
    let schema = reader.metadata().file_metadata().schema();
    let columns: Vec<&str> = schema.get_fields().iter().map(|field| field.name()).collect();
    assert_eq!(
        columns,
        [
            "endpoint_url",
            "metric_name",
            "metric_type",
            "unit",
            "description",
            "timestamp_ns",
            "block_size",
            "cache_dtype",
            "commit",
            "engine",
            "finished_reason",
            "gpu_memory_utilization",
            "model_name",
            "version",
            "value",
            "sum",
            "count",
            "bucket_le",
            "bucket_count"
        ]
    );
    let (name, value, count, le, bucket) = (1, 14, 16, 17, 18);
    let mut last: BTreeMap<(String, String), f64> = BTreeMap::new();
    let mut rows = 0;
    for row in reader.get_row_iter(None).expect("rows") {
        let row = row.expect("a row");
        rows += 1;
        let metric = row.get_string(name).expect("a name").clone();
        if let Ok(value) = row.get_double(value) {
            last.insert((metric, String::new()), value);
        } else {
            let le = row.get_string(le).expect("a bound").clone();
            last.insert((metric.clone(), le), row.get_double(bucket).expect("a bucket"));
            last.insert((metric, "count".to_owned()), row.get_double(count).expect("a count"));
        }
    }
    // One scrape fewer per series than AIPerf's 912 rows: its window begins one boundary scrape earlier.
    let (series, buckets) = (16, 11 + 8 + 11 + 11);
    assert_eq!(rows, 15 * (series + buckets));
    let statistics = store.statistics(Window::Phase(0), None);
    let mut compared = 0;
    for (name, metric) in &statistics {
        // Rows of several series of one metric are not told apart here.
        if let [series] = &metric.series[..] {
            if let Some(total) = series.stats.total {
                assert_eq!(last[&(name.to_string(), String::new())], total, "{name}");
                compared += 1;
            }
            for (le, count) in series.buckets.iter().flat_map(|buckets| &buckets.0) {
                assert_eq!(last[&(name.to_string(), le.to_string())], *count as f64, "{name} {le}");
                compared += 1;
            }
        }
    }
    assert!(compared > 40, "{compared}");
    let pairs = reader.metadata().file_metadata().key_value_metadata().expect("metadata");
    let pair = |key: &str| pairs.iter().find(|pair| pair.key == key).and_then(|pair| pair.value.as_deref());
    assert_eq!(pair("aiperf.metric_count"), Some("20"));
    assert_eq!(
        pair("aiperf.metric_type_counts"),
        Some(r#"{"counter":8,"gauge":6,"histogram":4,"unknown":2}"#)
    );
    assert_eq!(pair("aiperf.profiling_duration_ns"), Some("4132985564"));
    assert_eq!(pair("aiperf.label_count"), Some("8"));
}
