//! The summary says what was asked and what was delivered, and is right by the server's log.

use serde_json::Value;
use tokmeter_sim::{Distribution, Sim};

use crate::run;

fn notes(output: &std::process::Output) -> String {
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    stdout.lines().filter(|line| line.starts_with("note: ")).map(|line| format!("{line}\n")).collect()
}

#[test]
fn an_open_loop_within_reach_is_delivered_as_asked() {
    let sim = run::sim(2.0, 0.0);
    let directory = tempfile::tempdir().unwrap();
    let flags = ["--streaming", "--osl", "2", "--request-rate", "50", "--request-count", "100"];
    let output = run::profile(&sim, directory.path(), &flags);
    assert_eq!(output.status.code(), Some(0), "{}", run::shown(&output));
    let load = &run::summary(directory.path())["tokmeter"]["load"];
    assert_eq!(load["asked"]["rate"], 50.0);
    assert_eq!((&load["delivered"]["requests"], &load["arrivals"]["gaps"]), (&100.into(), &99.into()));
    let received: Vec<u64> = {
        let mut received: Vec<u64> = sim.log().iter().map(|line| line.body_received_ns).collect();
        received.sort_unstable();
        received
    };
    // A busy machine shifts single arrivals; over two seconds the rate is the server's own.
    let by_server = 99.0 * 1e9 / (received[99] - received[0]) as f64;
    let delivered = load["delivered"]["rate"].as_f64().unwrap();
    assert!((delivered / by_server - 1.0).abs() < 0.1, "{delivered} by us, {by_server} by the server");
    let sum = |key: &str| -> f64 {
        load["over_time"].as_array().unwrap().iter().map(|slice| slice[key].as_f64().unwrap()).sum()
    };
    assert!(sum("asked_rate") > 0.0 && sum("delivered_rate") > 0.0 && sum("concurrency") > 0.0);
    assert!(
        load["schedule_lag_ms"]["p99"].as_f64().unwrap() >= load["schedule_lag_ms"]["p50"].as_f64().unwrap()
    );
    assert!(String::from_utf8_lossy(&output.stdout).contains("KS distance"), "{}", run::shown(&output));
}

#[test]
fn a_cap_that_holds_the_rate_back_is_told() {
    let sim = run::sim(50.0, 0.0);
    let directory = tempfile::tempdir().unwrap();
    let flags = ["--streaming", "--osl", "2", "--request-rate", "100", "--concurrency", "2"];
    let output = run::profile(&sim, directory.path(), &[&flags[..], &["--request-count", "40"]].concat());
    let load = &run::summary(directory.path())["tokmeter"]["load"];
    // Two in 50 ms are 40 a second at most.
    assert!(load["delivered"]["rate"].as_f64().unwrap() < 45.0, "{load}");
    assert!(load["slot_waits"]["waited"].as_u64().unwrap() > 20, "{load}");
    assert!(load["slot_waits"]["max_ms"].as_f64().unwrap() > 100.0, "{load}");
    let notes = notes(&output);
    assert!(notes.contains("requests/s were asked for") && notes.contains("found no free slot"), "{notes}");
}

#[test]
fn a_repeat_that_meets_a_warm_cache_is_told_and_the_first_run_is_not() {
    let mut config = run::config(1.0, 0.0);
    config.output.prefix_cache_blocks = 1 << 16;
    let sim = Sim::start(config).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let flags = ["--isl", "400", "--osl", "2", "--request-count", "12", "--random-seed", "11"];
    let shared = ["--shared-system-prompt-length", "200", "--streaming"];
    let flags = [&flags[..], &shared].concat();
    let tokens = |output: &std::process::Output| -> Value {
        assert_eq!(output.status.code(), Some(0), "{}", run::shown(output));
        run::summary(directory.path())["tokmeter"]["tokens"].clone()
    };
    let first = run::profile(&sim, directory.path(), &flags);
    let cold = tokens(&first);
    assert!(cold["cache"]["cached_tokens"].as_u64().unwrap() > 0, "the shared prompt is found: {cold}");
    assert_eq!(cold["warm_share"], Value::Null, "{cold}");
    assert!(!notes(&first).contains("warm prefix cache"), "{}", notes(&first));

    let second = run::profile(&sim, directory.path(), &flags);
    let warm = tokens(&second);
    let logged: u64 = sim.log().iter().rev().take(12).map(|line| u64::from(line.cached_tokens)).sum();
    assert_eq!(warm["cache"]["cached_tokens"], logged, "{warm}");
    assert!(warm["warm_share"].as_f64().unwrap() > 0.4, "{warm}");
    assert!(notes(&second).contains("warm prefix cache"), "{}", notes(&second));

    let other = ["--isl", "400", "--osl", "2", "--request-count", "12", "--random-seed", "12", "--streaming"];
    let third = run::profile(&sim, directory.path(), &other);
    assert_eq!(tokens(&third)["warm_share"], Value::Null);
}

#[test]
fn lengths_that_differ_from_what_was_asked_are_told() {
    let mut config = run::config(1.0, 0.0);
    config.output.tokens = tokmeter_sim::OutputTokens::Drawn(Distribution::constant(5.0));
    let sim = Sim::start(config).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let flags = ["--isl", "100", "--osl", "50", "--request-count", "8", "--streaming"];
    let output = run::profile(&sim, directory.path(), &flags);
    let tokens = &run::summary(directory.path())["tokmeter"]["tokens"];
    let served: u64 = sim.log().iter().map(|line| u64::from(line.sent_tokens)).sum();
    assert_eq!(tokens["output"]["measured_tokens"], served, "{tokens}");
    assert_eq!(tokens["output"]["asked_tokens"], 400);
    assert_eq!(tokens["input"]["asked_tokens"], 800);
    assert!(
        notes(&output).contains("output tokens per request where 50.0 were asked for"),
        "{}",
        notes(&output)
    );
}

#[test]
fn cancelled_requests_do_not_count_as_failures_of_the_threshold() {
    let sim = run::sim(300.0, 0.0);
    let directory = tempfile::tempdir().unwrap();
    let flags =
        ["--streaming", "--request-count", "20", "--concurrency", "10", "--failed-request-threshold", "0"];
    let cancel = ["--request-cancellation-rate", "50", "--request-cancellation-delay", "0.01"];
    let output = run::profile(&sim, directory.path(), &[&flags[..], &cancel].concat());
    assert_eq!(output.status.code(), Some(0), "{}", run::shown(&output));
    assert!(run::summary(directory.path())["tokmeter"]["requests"]["cancelled"].as_u64().unwrap() > 2);
}

#[test]
fn each_phase_has_files_of_its_own_when_there_is_a_warmup() {
    let sim = run::sim(2.0, 0.0);
    let directory = tempfile::tempdir().unwrap();
    let flags = ["--streaming", "--osl", "2", "--request-count", "6", "--warmup-request-count", "4"];
    let output = run::profile(&sim, directory.path(), &flags);
    assert_eq!(output.status.code(), Some(0), "{}", run::shown(&output));
    let text = std::fs::read_to_string(directory.path().join("phase_manifest.json")).unwrap();
    let manifest: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(manifest["schema_version"], 1);
    for (index, (name, requests)) in [("warmup", 4), ("profiling", 6)].into_iter().enumerate() {
        let phase = &manifest["phases"][index];
        assert_eq!((&phase["phase_name"], &phase["total_request_count"]), (&name.into(), &requests.into()));
        let summary = std::fs::read_to_string(directory.path().join(phase["metrics_json"].as_str().unwrap()));
        let summary: Value = serde_json::from_str(&summary.unwrap()).unwrap();
        assert_eq!(summary["request_count"]["avg"], f64::from(requests));
        let log = sim.log();
        let (start, end) = (phase["start_ns"].as_u64().unwrap(), phase["end_ns"].as_u64().unwrap());
        // The server's clock is read apart from ours: a millisecond either way.
        let within = |at: u64| start < at + 1_000_000 && at < end + 1_000_000;
        assert_eq!(log.iter().filter(|line| within(line.body_received_wall_ns)).count(), requests as usize);
    }
    assert!(manifest["phases"][0]["profiling_index"].is_null());
}
