use std::sync::Arc;

use super::*;
use crate::trace::{Attempt, AttemptKind, ChunkStamp, ConnectionInfo};

const BEGIN: u64 = 1_795_322_200_000_000_000;

fn at(us: u64) -> WallNs {
    WallNs(BEGIN + us * 1000)
}

/// A request on a connection of shard 0, from `start` to `end`, that waited for the connection until `granted`.
fn request(id: &str, connection: u64, start: u64, granted: u64, end: u64) -> RequestRecord {
    let mut record = RequestRecord::default();
    record.metadata.x_request_id = Some(id.to_owned());
    record.metadata.worker_id = "worker_00000000".to_owned();
    record.metadata.request_start_ns = at(start);
    record.metadata.request_end_ns = at(end);
    record.trace_data = Some(TraceData {
        start_ns: Some(at(start)),
        connection_pool_wait_start_ns: Some(at(start)),
        connection_pool_wait_end_ns: Some(at(granted)),
        request_send_start_ns: Some(at(granted)),
        request_send_end_ns: Some(at(granted + 1)),
        response_receive_start_ns: Some(at(end - 1)),
        response_receive_end_ns: Some(at(end)),
        connection: Some(Arc::new(ConnectionInfo { connection_id: connection, ..ConnectionInfo::default() })),
        ..TraceData::default()
    });
    record
}

fn written(records: &[RequestRecord]) -> Vec<Value> {
    let mut writer = PerfettoWriter::new(Vec::new(), WallNs(BEGIN)).unwrap();
    for record in records {
        assert!(writer.record(record).unwrap());
    }
    let document: Value = serde_json::from_slice(&writer.finish().unwrap()).unwrap();
    assert_eq!(document["otherData"]["begin_wall_ns"], BEGIN.to_string());
    document["traceEvents"].as_array().unwrap().clone()
}

/// `(name, track, begin, end)` of the slices.
fn slices(events: &[Value]) -> Vec<(&str, u64, f64, f64)> {
    let slices = events.iter().filter(|event| event["ph"] == "X");
    slices
        .map(|event| {
            let begin = event["ts"].as_f64().unwrap();
            (
                event["name"].as_str().unwrap(),
                event["tid"].as_u64().unwrap(),
                begin,
                begin + event["dur"].as_f64().unwrap(),
            )
        })
        .collect()
}

#[test]
fn a_request_is_a_slice_with_its_phases_inside() {
    let events = written(&[request("a", 3, 10, 12, 100)]);
    let slices = slices(&events);
    let names: Vec<_> = slices.iter().map(|slice| (slice.0, slice.2, slice.3)).collect();
    assert_eq!(
        names,
        [
            ("request", 10.0, 100.0),
            ("blocked", 10.0, 12.0),
            ("sending", 12.0, 13.0),
            ("waiting", 13.0, 99.0),
            ("receiving", 99.0, 100.0)
        ]
    );
    assert!(slices.iter().all(|slice| slice.1 == slices[0].1), "all on one track");
    let named = events.iter().find(|event| event["name"] == "thread_name").unwrap();
    assert_eq!(named["tid"], slices[0].1);
    assert_eq!(named["args"]["name"], "connection 3 to unknown");
}

#[test]
fn a_connection_keeps_its_track_and_waiting_for_it_is_shown_elsewhere() {
    // The second request waits while the first is served.
    let events = written(&[request("a", 3, 0, 0, 100), request("b", 3, 50, 100, 200)]);
    let slices = slices(&events);
    let requests: Vec<_> = slices.iter().filter(|slice| slice.0 == "request").collect();
    assert_eq!((requests[0].1, requests[1].2), (requests[1].1, 100.0), "one track, from the grant on");
    let waiting = slices.iter().find(|slice| slice.0 == "blocked").unwrap();
    assert_eq!((waiting.2, waiting.3), (50.0, 100.0));
    assert_ne!(waiting.1, requests[0].1);
}

#[test]
fn streams_that_overlap_do_not_cross() {
    let events = written(&[request("a", 3, 0, 0, 100), request("b", 3, 50, 50, 200)]);
    let slices = slices(&events);
    let tracks: Vec<_> = slices.iter().filter(|slice| slice.0 == "request").map(|slice| slice.1).collect();
    assert_ne!(tracks[0], tracks[1]);
    let names: Vec<_> = events
        .iter()
        .filter(|event| event["name"] == "thread_name")
        .map(|event| &event["args"]["name"])
        .collect();
    assert_eq!(names, ["connection 3 to unknown", "connection 3 to unknown, 2"]);
}

#[test]
fn reads_and_attempts_are_instants_and_failures_are_named() {
    let mut record = request("a", 3, 10, 12, 100);
    record.error = serde_json::from_str(r#"{"message":"cut \"short\""}"#).unwrap();
    let trace = record.trace_data.as_mut().unwrap();
    trace.response_chunks = vec![ChunkStamp(at(60), 7)];
    trace.attempts = vec![Attempt {
        kind: AttemptKind::StaleConnection,
        start_ns: at(10),
        end_ns: at(11),
        address: None,
        reason: "stale".into(),
    }];
    let events = written(&[record]);
    let read = events.iter().find(|event| event["name"] == "read").unwrap();
    assert_eq!(
        (read["ph"].as_str(), read["ts"].as_f64(), read["args"]["bytes"].as_u64()),
        (Some("i"), Some(60.0), Some(7))
    );
    assert!(
        events.iter().any(|event| event["name"] == "failed attempt" && event["args"]["reason"] == "stale")
    );
    let failed = events.iter().find(|event| event["name"] == "failed request").unwrap();
    assert_eq!(failed["args"]["error"], "cut \"short\"");
}

#[test]
fn nanoseconds_are_kept() {
    let mut record = request("a", 3, 10, 12, 100);
    record.trace_data.as_mut().unwrap().start_ns = Some(WallNs(BEGIN + 10_001));
    let mut writer = PerfettoWriter::new(Vec::new(), WallNs(BEGIN)).unwrap();
    writer.record(&record).unwrap();
    let text = String::from_utf8(writer.finish().unwrap()).unwrap();
    assert!(text.contains(r#""ts":10.001,"dur":89.999"#), "{text}");
}

#[test]
fn a_file_without_requests_is_valid() {
    assert!(written(&[]).is_empty());
}
