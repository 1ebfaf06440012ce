//! What a run says about its requests below HTTP: `trace_data`, HTTP Archive, Chrome trace.

use std::collections::HashSet;
use std::fs;

use serde_json::Value;

use crate::run;

fn json(path: &std::path::Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn trace_data_holds_chunks_headers_and_the_connection() {
    let sim = run::sim(2.0, 1.0);
    let directory = tempfile::tempdir().unwrap();
    let flags =
        ["--streaming", "--request-count", "6", "--osl", "5", "--export-http-trace", "--http-version", "1.1"];
    let output = run::profile(&sim, directory.path(), &flags);
    assert!(output.status.success(), "{}", run::shown(&output));
    let records = run::records(directory.path());
    assert_eq!(records.len(), 6);
    for (number, record) in records.iter().enumerate() {
        let trace = &record["trace_data"];
        for side in ["request", "response"] {
            let chunks = trace[format!("{side}_chunks")].as_array().unwrap();
            let bytes: u64 = chunks.iter().map(|chunk| chunk[1].as_u64().unwrap()).sum();
            assert!(!chunks.is_empty(), "{side}: {trace}");
            assert_eq!(trace[format!("{side}_chunks_count")], chunks.len() as u64, "{side}");
            assert_eq!(trace[format!("{side}_bytes_total")], bytes, "{side}");
            let instants: Vec<u64> = chunks.iter().map(|chunk| chunk[0].as_u64().unwrap()).collect();
            assert!(instants.is_sorted(), "{side}");
        }
        assert_eq!(trace["response_receive_start_ns"], trace["response_chunks"][0][0]);
        assert_eq!(trace["request_headers"]["content-length"], trace["request_bytes_total"].to_string());
        assert_eq!(trace["request_headers"]["x-request-id"], record["metadata"]["x_request_id"]);
        assert_eq!(trace["request_url"], format!("{}/v1/chat/completions", sim.url()));
        assert_eq!(trace["connection"]["http_version"], "1.1");
        assert_eq!(trace["connection_request_number"], number as u64 + 1, "one connection, in turn");
        let reused = number > 0;
        // Omitted where it did not occur, 0 in the metrics.
        for field in ["tcp_connect_start_ns", "connecting_ns"] {
            assert_eq!(trace.get(field).is_none(), reused, "{field} of request {number}");
        }
        assert!(
            trace.get("dns_lookup_ns").is_none() && trace.get("tls_start_ns").is_none(),
            "an IP without TLS"
        );
        assert_eq!(record["metrics"]["http_req_tls_handshaking"]["value"], 0.0);
        assert_eq!(record["metrics"]["http_req_connecting"]["value"].as_f64() > Some(0.0), !reused);
        assert_eq!(record["metrics"]["stale_connection_retries"]["value"], 0);
        assert!(record["metrics"]["stream_events"]["value"].as_u64() >= Some(5));
    }
    let notes = &run::summary(directory.path())["tokmeter"]["notes"];
    let answers: u64 =
        notes["stamp_sources"].as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum();
    assert_eq!(answers, 6, "every answer has a source: {notes}");
}

#[test]
fn streams_of_http_2_say_that_their_stamps_are_of_frames() {
    let sim = run::sim(2.0, 1.0);
    let directory = tempfile::tempdir().unwrap();
    let flags = ["--streaming", "--request-count", "6", "--concurrency", "3", "--osl", "3"];
    let two = ["--export-http-trace", "--http-version", "2"];
    let output = run::profile(&sim, directory.path(), &[&flags[..], &two[..]].concat());
    assert!(output.status.success(), "{}", run::shown(&output));
    for record in run::records(directory.path()) {
        let trace = &record["trace_data"];
        assert_eq!(
            (&trace["stamp_source"], &trace["connection"]["http_version"]),
            (&"frame".into(), &"2".into())
        );
    }
    let log = sim.log();
    assert!(log.len() >= 6 && log.iter().all(|request| request.http2), "by prior knowledge, without TLS");
    assert_eq!(run::summary(directory.path())["tokmeter"]["notes"]["stamp_sources"]["frame"], 6);
}

#[test]
fn every_request_carries_its_id_and_a_trace_context_made_of_it() {
    let sim = run::sim(1.0, 1.0);
    let directory = tempfile::tempdir().unwrap();
    let output = run::profile(&sim, directory.path(), &["--request-count", "5"]);
    assert!(output.status.success(), "{}", run::shown(&output));
    let log = sim.wait_for_log(5, std::time::Duration::from_secs(5)).unwrap();
    let sent: HashSet<String> = log.iter().map(|request| request.x_request_id.clone().unwrap()).collect();
    for request in &log {
        let id = request.x_request_id.as_deref().unwrap().replace('-', "");
        assert!(request.traceparent.as_deref().unwrap().starts_with(&format!("00-{id}-")));
    }
    let recorded = run::records(directory.path());
    let recorded: HashSet<String> = recorded
        .iter()
        .map(|record| record["metadata"]["x_request_id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(sent, recorded);
}

#[test]
fn archives_hold_every_request_and_leave_the_records_as_they_are() {
    let mut config = run::config(2.0, 1.0);
    config.faults = vec!["status:500@0.3".parse().unwrap()];
    let sim = tokmeter_sim::Sim::start(config).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let (har, perfetto) = (directory.path().join("run.har"), directory.path().join("run.perfetto.json"));
    let flags = ["--streaming", "--request-count", "20", "--osl", "4", "--concurrency", "3"];
    let files = ["--export-har", har.to_str().unwrap(), "--export-perfetto", perfetto.to_str().unwrap()];
    let output = run::profile(&sim, directory.path(), &[&flags[..], &files[..]].concat());
    assert!(output.status.code().is_some(), "{}", run::shown(&output));
    let records = run::records(directory.path());
    assert_eq!(records.len(), 20);
    assert!(records.iter().all(|record| record.get("trace_data").is_none()), "nobody asked for it");

    let har = json(&har);
    let entries = har["log"]["entries"].as_array().unwrap();
    let wanted: HashSet<&str> =
        records.iter().map(|record| record["metadata"]["x_request_id"].as_str().unwrap()).collect();
    let header = |entry: &'static str| move |value: &&Value| value["name"] == entry;
    let shown: HashSet<&str> = entries
        .iter()
        .map(|entry| {
            let headers = entry["request"]["headers"].as_array().unwrap();
            headers.iter().find(header("x-request-id")).unwrap()["value"].as_str().unwrap()
        })
        .collect();
    assert_eq!(shown, wanted);
    let failed = records.iter().filter(|record| record.get("error").is_some()).count();
    assert!(failed > 0, "the fault applied");
    assert_eq!(entries.iter().filter(|entry| entry["response"]["status"] == 500).count(), failed);

    let perfetto = json(&perfetto);
    let requests = perfetto["traceEvents"].as_array().unwrap().iter().filter(|event| {
        event["ph"] == "X" && matches!(event["name"].as_str(), Some("request" | "failed request"))
    });
    assert_eq!(requests.count(), 20);
}

#[test]
fn a_file_that_cannot_be_written_is_named_before_the_run() {
    let sim = run::sim(1.0, 1.0);
    let directory = tempfile::tempdir().unwrap();
    let output = run::profile(
        &sim,
        directory.path(),
        &["--request-count", "1", "--export-har", "/no/such/place/run.har"],
    );
    assert_eq!(output.status.code(), Some(2), "{}", run::shown(&output));
    assert!(String::from_utf8_lossy(&output.stderr).contains("/no/such/place/run.har"));
    assert_eq!(sim.counters().completed, 0);
}
