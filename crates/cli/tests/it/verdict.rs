//! What a run's numbers are worth, and what follows from it.

use std::path::Path;

use crate::run;

/// Figures that a busy test machine may cross are switched off: these tests are about the others.
const CALM: [&str; 8] = [
    "--verdict-limit",
    "recv-lag-ms=1e9",
    "--verdict-limit",
    "steal=1",
    "--verdict-limit",
    "throttled=1",
    "--verdict-limit",
    "shard-busy=9",
];

fn verdict(directory: &Path) -> serde_json::Value {
    let text = std::fs::read_to_string(directory.join("profile_export_aiperf.json")).unwrap();
    serde_json::from_str::<serde_json::Value>(&text).unwrap()["tokmeter"]["verdict"].clone()
}

fn profile(more: &[&str]) -> (std::process::Output, serde_json::Value) {
    let sim = run::sim(1.0, 1.0);
    let directory = tempfile::tempdir().unwrap();
    let flags = [&["--streaming", "--request-count", "20", "--osl", "4"], &CALM[..], more].concat();
    let output = run::profile(&sim, directory.path(), &flags);
    let verdict = verdict(directory.path());
    (output, verdict)
}

#[test]
fn too_few_samples_are_said_and_refused_only_on_demand() {
    let (output, found) = profile(&[]);
    assert_eq!(output.status.code(), Some(0), "{}", run::shown(&output));
    assert_eq!(found["verdict"], "too-few-samples");
    assert_eq!(found["evidence"]["samples"], 20);
    assert!(String::from_utf8_lossy(&output.stdout).contains("verdict: too-few-samples"));

    let (output, found) = profile(&["--require-valid"]);
    assert_eq!(output.status.code(), Some(4), "{}", run::shown(&output));
    assert_eq!(found["verdict"], "too-few-samples", "the report is written all the same");
}

#[test]
fn a_limit_can_be_set() {
    let (output, found) = profile(&["--require-valid", "--verdict-limit", "samples=20"]);
    assert_eq!(output.status.code(), Some(0), "{}", run::shown(&output));
    assert_eq!((&found["verdict"], &found["highest_percentile"]), (&"valid".into(), &75.0.into()));
}

#[test]
fn a_client_that_cannot_keep_up_is_client_bound() {
    let (output, found) = profile(&["--require-valid", "--verdict-limit", "shard-busy=0"]);
    assert_eq!(output.status.code(), Some(4));
    assert_eq!(found["verdict"], "client-bound");
    assert!(found["evidence"]["shard_busy"].as_f64().unwrap() > 0.0);
    assert!(String::from_utf8_lossy(&output.stderr).contains("a sending thread was busy"));
}

#[test]
fn a_limit_that_does_not_exist_is_refused() {
    let output =
        run::tokmeter().args(["profile", "-m", "m", "--verdict-limit", "sample=3"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(message.contains("--verdict-limit") && message.contains("samples"), "{message}");
}
