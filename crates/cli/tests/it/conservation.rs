//! Sent = succeeded + failed + cancelled, in the records, in the summary and in the server's log.

use std::collections::BTreeSet;

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
