//! Waiting for the server, and several models.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::time::Duration;

use tokmeter_sim::{Fault, FaultRule, Sim};

use crate::run;

/// An address that nobody listens on now.
fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

#[test]
fn the_run_begins_when_the_server_is_there() {
    for mode in ["inference", "models", "both"] {
        let address = free_address();
        let directory = tempfile::tempdir().unwrap();
        let child = run::tokmeter()
            .args(["profile", "-m", "sim-model", "--url", &address, "--ui", "none", "--request-count", "3"])
            .args(["--wait-for-model-timeout", "60", "--wait-for-model-interval", "0.05"])
            .args(["--wait-for-model-mode", mode, "--artifact-dir"])
            .arg(directory.path())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(300));
        let mut config = run::config(1.0, 0.0);
        config.bind = address.parse().unwrap();
        let sim = Sim::start(config).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{mode}: {}", run::shown(&output));
        assert_eq!(run::records(directory.path()).len(), 3);
        let asked = sim.counters().completed - 3;
        assert_eq!(asked, u64::from(mode != "models"), "{mode}: one small request, which is not measured");
    }
}

#[test]
fn a_server_that_never_gets_ready_ends_the_command_before_the_run() {
    let mut config = run::config(1.0, 0.0);
    config.faults.push(FaultRule::every(Fault::Status { code: 503, engine: tokmeter_sim::Engine::Vllm }));
    let sim = Sim::start(config).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let flags = ["--wait-for-model-timeout", "0.3", "--wait-for-model-interval", "0.1"];
    let output = run::profile(&sim, directory.path(), &flags);
    assert_eq!(output.status.code(), Some(3), "{}", run::shown(&output));
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(message.contains("was not ready after 0.3 s") && message.contains("503"), "{message}");
    assert!(!directory.path().join("profile_export.jsonl").exists(), "nothing was measured");

    let output = run::profile(&sim, directory.path(), &["--wait-for-model-mode", "models"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--wait-for-model-timeout"));
}

#[test]
fn models_are_dealt_in_turn_or_at_random_from_the_seed() {
    let asked = |strategy: &str, seed: &str| -> Vec<String> {
        let sim = run::sim(1.0, 0.0);
        let directory = tempfile::tempdir().unwrap();
        let output = run::tokmeter()
            .args(["profile", "-m", "one,two", "--url", &sim.url(), "--ui", "none", "--random-seed", seed])
            .args(["--request-count", "16", "--model-selection-strategy", strategy, "--artifact-dir"])
            .arg(directory.path())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", run::shown(&output));
        sim.log().iter().map(|line| line.model.clone()).collect()
    };
    let in_turn = asked("round-robin", "1");
    assert!(in_turn.chunks(2).all(|pair| pair == ["one", "two"]), "{in_turn:?}");
    let random = asked("random", "1");
    assert_eq!(random.iter().collect::<BTreeSet<_>>().len(), 2);
    assert_ne!(random, in_turn);
    assert_eq!(random, asked("random", "1"), "the seed decides");
}

#[test]
fn the_networks_round_trip_is_measured_or_given() {
    let sim = run::sim(20.0, 0.0);
    let directory = tempfile::tempdir().unwrap();
    let flags = ["--streaming", "--osl", "2", "--request-count", "8"];
    let measured = ["--network-latency-automatic", "--network-latency-ping-interval", "0.02"];
    let output = run::profile(&sim, directory.path(), &[&flags[..], &measured].concat());
    assert_eq!(output.status.code(), Some(0), "{}", run::shown(&output));
    let file =
        std::fs::read_to_string(directory.path().join("profile_export_network_latency.jsonl")).unwrap();
    let probes: Vec<serde_json::Value> =
        file.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(probes.len() > 2 && probes.iter().all(|probe| probe["success"] == true), "{file}");
    let mean =
        probes.iter().map(|probe| probe["rtt_ns"].as_f64().unwrap()).sum::<f64>() / 1e6 / probes.len() as f64;
    let summary = run::summary(directory.path());
    assert!((summary["network_rtt"]["avg"].as_f64().unwrap() - mean).abs() < 1e-9);

    let given = ["--network-latency-mean", "5"];
    assert!(run::profile(&sim, directory.path(), &[&flags[..], &given].concat()).status.success());
    let summary = run::summary(directory.path());
    let avg = |metric: &str| summary[metric]["avg"].as_f64().unwrap();
    assert!((avg("time_to_first_token") - avg("network_adjusted_time_to_first_token") - 5.0).abs() < 1e-6);
}
