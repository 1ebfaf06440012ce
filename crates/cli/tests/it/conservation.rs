//! Sent = succeeded + failed + cancelled, in the records, in the summary and in the server's log.

use std::collections::BTreeSet;

use std::time::Duration;

use proptest::prelude::*;
use serde_json::Value;
use tokmeter_sim::{Fault, FaultRule, Sim};

use crate::run;

fn ids(records: &[Value]) -> BTreeSet<String> {
    records.iter().map(|record| record["metadata"]["x_request_id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn every_request_has_one_record_whatever_happens_to_it() {
    let faults = [
        "status:500",
        "close-before-headers",
        "reset-mid-stream:3",
        "error-event:2",
        "truncate:4",
        "invalid-json:2",
    ];
    let mut config = run::config(2.0, 1.0);
    config.seed = 7;
    for fault in faults {
        let fault: Fault = serde_json::from_value(Value::String(fault.to_owned())).expect(fault);
        config.faults.push(FaultRule::sometimes(fault, 0.08));
    }
    let sim = Sim::start(config).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let flags = ["--streaming", "--osl", "10", "--concurrency", "16", "--request-count", "400"];
    let output = run::profile(&sim, directory.path(), &flags);
    assert_eq!(output.status.code(), Some(0), "{}", run::shown(&output));

    let records = run::records(directory.path());
    let failed = records.iter().filter(|record| record.get("error").is_some()).count();
    assert_eq!(records.len(), 400);
    assert_eq!(ids(&records).len(), 400, "ids are unique");
    assert!(failed > 60, "the faults were met: {failed}");

    let requests = &run::summary(directory.path())["tokmeter"]["requests"];
    assert_eq!(requests["sent"], 400);
    assert_eq!(requests["failed"].as_u64().unwrap() as usize, failed);
    assert_eq!(requests["succeeded"].as_u64().unwrap() as usize, 400 - failed);

    let served: BTreeSet<String> =
        sim.log().iter().filter_map(|request| request.x_request_id.clone()).collect();
    assert!(served.is_subset(&ids(&records)), "the server saw no request without a record");
    for record in records.iter().filter(|record| record.get("error").is_some()) {
        let error = &record["error"];
        assert!(
            error["class"].is_string() && error["side"].is_string() && error["phase"].is_string(),
            "{error}"
        );
        assert!(record["metrics"].as_object().unwrap().keys().all(|tag| tag == "error_isl"), "{record}");
    }
}

#[test]
fn too_many_failures_fail_the_command_and_an_absent_server_is_told_apart() {
    let mut config = run::config(1.0, 1.0);
    config.faults.push(FaultRule::every(Fault::Status { code: 500, engine: tokmeter_sim::Engine::Vllm }));
    let sim = Sim::start(config).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let flags = ["--request-count", "5", "--failed-request-threshold", "0.5"];
    assert_eq!(run::profile(&sim, directory.path(), &flags).status.code(), Some(1));
    let url = sim.url();
    sim.stop().unwrap();
    let output = run::tokmeter()
        .args(["profile", "-m", "m", "--url", &url, "--request-count", "3", "--ui", "none", "--artifact-dir"])
        .arg(directory.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", run::shown(&output));
}

/// Faults of a random script: none that takes longer than a request may.
const SCRIPT: [&str; 24] = [
    "status:429",
    "status:500",
    "close-before-headers",
    "reset-before-headers",
    "reset-in-headers",
    "reset-mid-stream:2",
    "reset-after-last-token",
    "close-mid-stream:3",
    "stall-before-headers",
    "stall-mid-stream:2",
    "error-event:2",
    "named-error-event:1",
    "truncate:3",
    "done-without-finish:2",
    "abort:2",
    "invalid-json:1",
    "invalid-utf8:2",
    "content-length-long",
    "many-headers:300",
    "huge-header:400000",
    "redirect:302",
    "empty-ok",
    "non-json",
    "go-away",
];

/// A load against a script of faults.
#[derive(Clone, Debug)]
struct Script {
    seed: u64,
    faults: Vec<(usize, f64)>,
    load: &'static [&'static str],
    cancelled_percent: u32,
    http2: bool,
    streaming: bool,
}

fn scripts() -> impl Strategy<Value = Script> {
    let loads: [&[&str]; 4] = [
        &["--concurrency=1", "--request-count=20"],
        &["--concurrency=9", "--request-count=60"],
        &["--request-rate=300", "--request-count=60"],
        &["--concurrency=4", "--conversation-num=12", "--conversation-turn-mean=4"],
    ];
    let faults = prop::collection::vec((0..SCRIPT.len(), 0.02..0.4), 0..6);
    (
        any::<u32>(),
        faults,
        prop::sample::select(loads.to_vec()),
        prop::sample::select(vec![0, 0, 30]),
        any::<(bool, bool)>(),
    )
        .prop_map(|(seed, faults, load, cancelled_percent, (http2, streaming))| Script {
            seed: seed.into(),
            faults,
            load,
            cancelled_percent,
            http2,
            streaming,
        })
}

fn assert_conserved(script: &Script) {
    let mut config = run::config(1.0, 1.0);
    config.seed = script.seed;
    for (index, probability) in &script.faults {
        let fault: Fault = serde_json::from_value(Value::String(SCRIPT[*index].to_owned())).unwrap();
        config.faults.push(FaultRule::sometimes(fault, *probability));
    }
    let sim = Sim::start(config).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let mut flags = vec![
        "--osl=6",
        "--isl=16",
        "--request-timeout-seconds=1",
        "--no-server-metrics",
        "--no-gpu-telemetry",
    ];
    flags.extend(script.load);
    flags.push(if script.http2 { "--http-version=2" } else { "--http-version=1.1" });
    flags.extend(script.streaming.then_some("--streaming"));
    let percent = format!("--request-cancellation-rate={}", script.cancelled_percent);
    if script.cancelled_percent > 0 {
        flags.extend([&*percent, "--request-cancellation-delay=0.003"]);
    }
    let output = run::profile(&sim, directory.path(), &flags);
    assert!(matches!(output.status.code(), Some(0 | 4)), "{}", run::shown(&output));

    let records = run::records(directory.path());
    let class = |record: &Value| record["error"]["class"].as_str().map(str::to_owned);
    let cancelled = records.iter().filter(|record| class(record).as_deref() == Some("cancelled")).count();
    let failed = records.iter().filter(|record| record.get("error").is_some()).count() - cancelled;
    let summary = run::summary(directory.path());
    let expected = serde_json::json!({
        "sent": records.len(),
        "succeeded": records.len() - failed - cancelled,
        "failed": failed,
        "cancelled": cancelled,
    });
    assert_eq!(summary["tokmeter"]["requests"], expected, "summary and records");
    let known = ids(&records);
    assert_eq!(known.len(), records.len(), "one record for each request");

    // The server's side: what it received ended in one way or another, and every id it saw has its record.
    sim.wait_for_log(sim.counters().received, Duration::from_secs(20));
    let counters = sim.counters();
    let ended = counters.completed
        + counters.rejected
        + counters.client_disconnected
        + counters.faults
        + counters.server_stopped;
    assert_eq!(counters.received, ended);
    let log = sim.log();
    let seen: BTreeSet<String> = log.iter().filter_map(|request| request.x_request_id.clone()).collect();
    assert!(seen.is_subset(&known), "the server saw requests without a record");
    for record in &records {
        let id = record["metadata"]["x_request_id"].as_str().unwrap();
        let succeeded = record.get("error").is_none();
        assert!(!succeeded || seen.contains(id), "an answer that the server never gave: {record}");
        // A request that never got there failed on its way.
        let on_its_way = ["cancelled", "timeout", "disconnected", "stale_connection", "connection_refused"];
        let lost = !seen.contains(id) && !class(record).is_some_and(|class| on_its_way.contains(&&*class));
        assert!(!lost, "{record}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 30, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn sent_is_succeeded_failed_and_cancelled_whatever_the_script(script in scripts()) {
        assert_conserved(&script);
    }
}
