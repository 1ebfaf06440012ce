//! Repeats and sweeps: every run in its own directory, estimates over them, the server's log as the judge.

use std::path::Path;

use serde_json::Value;

use crate::run;

fn json(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).expect("JSON")
}

#[test]
fn repeats_give_confidence_intervals_over_runs_of_the_same_prompts() {
    let sim = run::sim(5.0, 1.0);
    let directory = tempfile::tempdir().unwrap();
    let flags = ["--streaming", "--osl", "4", "--request-count", "6", "--concurrency", "2"];
    let several = ["--num-profile-runs", "3", "--warmup-request-count", "2", "--confidence-level", "0.9"];
    let output = run::profile(&sim, directory.path(), &[&flags[..], &several].concat());
    assert_eq!(output.status.code(), Some(0), "{}", run::shown(&output));

    let runs = directory.path().join("profile_runs");
    let inputs = |n: u32| std::fs::read(runs.join(format!("run_{n:04}/inputs.json"))).unwrap();
    assert_eq!((inputs(1), inputs(1)), (inputs(2), inputs(3)), "one seed for all runs");
    let measured: Vec<usize> =
        (1..=3).map(|n| run::records(&runs.join(format!("run_{n:04}"))).len()).collect();
    assert_eq!(measured, [8, 6, 6], "only the first run warms up");
    assert_eq!(sim.counters().completed, 20);

    let aggregate = json(&directory.path().join("aggregate/profile_export_aiperf_aggregate.json"));
    assert_eq!(aggregate["metadata"]["num_successful_runs"], 3);
    let estimate = &aggregate["metrics"]["time_to_first_token_avg"];
    let of_run = |n: u32| {
        let summary = run::summary(&runs.join(format!("run_{n:04}")));
        assert_eq!(summary["run_info"]["run_label"], format!("run_{n:04}"));
        summary["time_to_first_token"]["avg"].as_f64().unwrap()
    };
    let values = [of_run(1), of_run(2), of_run(3)];
    let mean = values.iter().sum::<f64>() / 3.0;
    let std = (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 2.0).sqrt();
    // t(0.95 one-sided, 2 degrees of freedom) of the tables.
    let half = 2.919_985_580_355_516 * std / 3f64.sqrt();
    let figure = |name: &str| estimate[name].as_f64().unwrap();
    assert!((figure("mean") - mean).abs() < 1e-9 && (figure("std") - std).abs() < 1e-9, "{estimate}");
    assert!((figure("ci_high") - mean - half).abs() < 1e-6 * mean, "{estimate} {half}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("90 % confidence interval"));
    assert!(directory.path().join("aggregate/profile_export_aiperf_aggregate.csv").exists());
}

#[test]
fn a_sweep_runs_every_variation_and_compares_them() {
    let sim = run::sim(20.0, 0.0);
    let directory = tempfile::tempdir().unwrap();
    let flags =
        ["--streaming", "--osl", "2", "--request-count", "12", "--concurrency", "1,4", "--random-seed", "5"];
    let output = run::profile(&sim, directory.path(), &flags);
    assert_eq!(output.status.code(), Some(0), "{}", run::shown(&output));

    let sweep = json(&directory.path().join("sweep_aggregate/profile_export_aiperf_sweep.json"));
    assert_eq!(sweep["metadata"]["sweep_parameters"][0]["values"], serde_json::json!([1, 4]));
    assert_eq!(sweep["num_successful_runs"], 2);
    assert_eq!(sweep["best_configurations"]["best_throughput"]["parameters"]["concurrency"], 4);
    assert!(directory.path().join("aggregate/concurrency_1/profile_export_aiperf_aggregate.json").exists());

    let log = sim.log();
    for concurrency in [1usize, 4] {
        let of_run = directory.path().join(format!("concurrency_{concurrency}"));
        let summary = run::summary(&of_run);
        assert_eq!(summary["run_info"]["variation_values"]["concurrency"], concurrency);
        assert!(summary["run_info"]["sweep_id"].is_string());
        let ids: Vec<String> = run::records(&of_run)
            .iter()
            .map(|record| record["metadata"]["x_request_id"].as_str().unwrap().to_owned())
            .collect();
        let served: Vec<_> = log
            .iter()
            .filter(|line| line.x_request_id.as_ref().is_some_and(|id| ids.contains(id)))
            .map(|line| (line.body_received_ns, line.writes.last().map_or(0, |write| write.write_start_ns)))
            .collect();
        assert_eq!(served.len(), 12);
        let at_once = |at: u64| served.iter().filter(|(from, to)| *from <= at && at < *to).count();
        let most = served.iter().map(|(from, _)| at_once(*from)).max();
        assert_eq!(most, Some(concurrency), "the server saw the variation's concurrency");
    }
    assert!(String::from_utf8_lossy(&output.stdout).contains("concurrency_4"));
}

#[test]
fn ctrl_c_ends_the_sweep_and_keeps_what_is_done() {
    let sim = run::sim(5.0, 5.0);
    let directory = tempfile::tempdir().unwrap();
    let mut child = run::tokmeter()
        .args(["profile", "-m", "sim-model", "--url", &sim.url(), "--ui", "none", "--artifact-dir"])
        .arg(directory.path())
        .args(["--request-count", "5", "--concurrency", "1,2", "--parameter-sweep-cooldown-seconds", "600"])
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let first = directory.path().join("concurrency_1/.aiperf_results_ready.json");
    while !first.exists() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let kill = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(kill.unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let sweep = json(&directory.path().join("sweep_aggregate/profile_export_aiperf_sweep.json"));
    assert_eq!(sweep["num_successful_runs"], 1);
    assert_eq!(sim.counters().completed, 5, "the second variation was not begun");
}
