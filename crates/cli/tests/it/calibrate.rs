//! `--calibrate`: this machine's own error, from a simulated server that is not the one under test.

use serde_json::Value;

use crate::run;

/// What every calibration promises, whatever the machine.
fn assert_plausible(calibration: &Value) {
    let error = |name: &str, percentile: &str| calibration[name][percentile].as_f64().unwrap();
    for name in ["time_to_first_token_ms", "first_token_stamp_ms", "inter_chunk_latency_ms"] {
        assert!(error(name, "p50") <= error(name, "p99"), "{calibration}");
    }
    // A stamp is not taken before the write, but for the precision at which the clocks are brought together.
    assert!(error("first_token_stamp_ms", "p50") > -0.5, "{calibration}");
    assert!(error("inter_chunk_latency_ms", "p50") >= 0.0, "{calibration}");
    assert!(error("simulator_lag_ms", "p50") >= 0.0, "{calibration}");
    // The way to the server comes on top.
    let way = error("time_to_first_token_ms", "p50") - error("first_token_stamp_ms", "p50");
    assert!(way > -0.5, "{calibration}");
    assert!(calibration["compared"].as_u64().unwrap() >= 10, "{calibration}");
}

#[test]
fn a_run_carries_the_error_bar_of_its_own_load() {
    let sim = run::sim(5.0, 2.0);
    let directory = tempfile::tempdir().unwrap();
    let flags = ["--streaming", "--concurrency", "4", "--request-count", "24", "--osl", "4", "--isl", "16"];
    let output = run::profile(
        &sim,
        directory.path(),
        &[&flags[..], &["--calibrate", "--timestamp-source", "user"]].concat(),
    );
    assert_eq!(output.status.code(), Some(0), "{}", run::shown(&output));
    let own = &run::summary(directory.path())["tokmeter"];
    let calibration = &own["calibration"];
    assert_plausible(calibration);
    assert_eq!((&calibration["stamps"], &calibration["concurrency"]), (&"user".into(), &4.into()));
    let bar = &calibration["time_to_first_token_ms"]["p99"];
    assert_eq!(&own["verdict"]["error_bar_ms"], bar);
    assert_eq!(&own["verdict"]["evidence"]["calibrated_error_p99_ms"], bar);
    assert_eq!(sim.counters().completed, 24, "the server under test is not calibrated with");
    assert_eq!(run::records(directory.path()).len(), 24);
    let console = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        console.contains("own error at concurrency 4") && console.contains("time to first token"),
        "{console}"
    );
    assert!(console.contains(" ms ± "), "{console}");
}

#[test]
fn a_rate_is_calibrated_as_a_rate() {
    let sim = run::sim(1.0, 1.0);
    let flags = ["--json", "--calibrate", "--request-rate", "40"];
    let output = run::tokmeter().args(["check", &sim.url()]).args(flags).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", run::shown(&output));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let calibration = &found["calibration"];
    assert_plausible(calibration);
    assert_eq!((&calibration["request_rate"], &calibration["concurrency"]), (&40.0.into(), &Value::Null));
    // 120 are expected in three seconds; Poisson arrivals spread by 11.
    let answers = calibration["compared"].as_u64().unwrap() + calibration["not_compared"].as_u64().unwrap();
    assert!((60..=180).contains(&answers), "{calibration}");
}

#[test]
fn a_load_that_is_not_known_before_is_refused() {
    let series = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(series.path(), "0,1\n1,2\n").unwrap();
    let flags = ["-m", "m", "--calibrate", "--request-rate-series", series.path().to_str().unwrap()];
    let output = run::tokmeter().arg("profile").args(flags).args(["--request-count", "1"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", run::shown(&output));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--calibrate"));
    let output = run::tokmeter().args(["check", "localhost:1", "--concurrency", "2"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "--concurrency is of --calibrate: {}", run::shown(&output));
}
