//! `compare`, `gate` and `profile --slo` on runs against the simulated server.

use std::path::Path;
use std::process::Output;

use serde_json::Value;
use tokmeter_sim::Distribution;

use crate::run::{self, shown};

/// A run of `count` requests against a server whose first token takes this long.
fn make(directory: &Path, ttft_ms: f64, count: &str, flags: &[&str]) -> Output {
    let mut config = run::config(ttft_ms, 0.5);
    config.timing.ttft_ms = Distribution::Uniform { min: ttft_ms, max: 1.5 * ttft_ms };
    let sim = tokmeter_sim::Sim::start(config).unwrap();
    let usual = ["--streaming", "--isl", "16", "--osl", "4", "--concurrency", "8", "--request-count", count];
    run::profile(&sim, directory, &[&usual, flags].concat())
}

fn tokmeter(words: &[&str]) -> Output {
    run::tokmeter().env_remove("GITHUB_STEP_SUMMARY").args(words).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn a_slower_server_is_found_and_breaks_the_gate() {
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name).to_str().unwrap().to_owned();
    let (before, after) = (path("before"), path("after"));
    // So far apart that a busy machine, which makes both slower, cannot hide it.
    for (directory, ttft) in [(&before, 10.0), (&after, 200.0)] {
        let output = make(Path::new(directory), ttft, "160", &[]);
        assert!(output.status.success(), "{}", shown(&output));
    }

    let output = tokmeter(&["compare", &before, &after, "--json"]);
    assert!(output.status.success(), "{}", shown(&output));
    let compared: Value = serde_json::from_slice(&output.stdout).unwrap();
    let figures = compared[0]["figures"].as_array().unwrap();
    let ttft: Vec<_> =
        figures.iter().filter(|f| f["figure"].as_str().unwrap().starts_with("time_to_first_token")).collect();
    assert!(!ttft.is_empty());
    let p50 = ttft.iter().find(|f| f["figure"] == "time_to_first_token_p50").unwrap();
    assert_eq!(p50["change"], "worse", "{p50}");
    assert!(p50["interval_pct"][0].as_f64().unwrap() > 20.0, "{p50}");

    // A run compared with itself shows nothing.
    let same = tokmeter(&["compare", &before, &before, "--json"]);
    let same: Value = serde_json::from_slice(&same.stdout).unwrap();
    let figures = same[0]["figures"].as_array().unwrap();
    assert!(figures.iter().all(|f| f["change"] != "worse" && f["change"] != "better"), "{same:#}");

    let (junit, summary) = (path("gate.xml"), path("summary.md"));
    let output = tokmeter(&[
        "gate",
        &after,
        "--baseline",
        &before,
        "--max-regress",
        "ttft_p50=5%",
        "--max-regress",
        "error_rate=1%",
        "--junit",
        &junit,
        "--step-summary",
        &summary,
    ]);
    assert_eq!(output.status.code(), Some(1), "{}", shown(&output));
    let text = stdout(&output);
    assert!(text.contains("FAIL  ttft_p50=5%") && text.contains("PASS  error_rate=1%"), "{text}");
    let xml = std::fs::read_to_string(&junit).unwrap();
    assert!(xml.contains("tests=\"2\"") && xml.contains("failures=\"1\""), "{xml}");
    let markdown = std::fs::read_to_string(&summary).unwrap();
    assert!(markdown.contains("ttft_p50=5%"), "{markdown}");

    let output = tokmeter(&["gate", &before, "--baseline", &after, "--max-regress", "ttft_p50=5%"]);
    assert_eq!(output.status.code(), Some(0), "faster is no regression: {}", shown(&output));
}

#[test]
fn runs_of_another_load_are_refused() {
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name).to_str().unwrap().to_owned();
    let (one, other) = (path("one"), path("other"));
    assert!(make(Path::new(&one), 5.0, "40", &[]).status.success());
    let sim = run::sim(5.0, 0.5);
    let flags = ["--streaming", "--isl", "64", "--osl", "4", "--concurrency", "2", "--request-count", "40"];
    assert!(run::profile(&sim, Path::new(&other), &flags).status.success());
    let output = tokmeter(&["compare", &one, &other]);
    assert_eq!(output.status.code(), Some(2), "{}", shown(&output));
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(message.contains("concurrency") && message.contains("--force"), "{message}");
    assert!(tokmeter(&["compare", &one, &other, "--force"]).status.success());
}

#[test]
fn slos_decide_the_exit_code_of_a_run() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("slo.txt");
    std::fs::write(&file, "# of the team\nerror_rate<5%\n").unwrap();
    let file = file.to_str().unwrap();
    let held = make(
        &place.path().join("held"),
        5.0,
        "200",
        &["--slo", "time_to_first_token_p90>1ms", "--slo-file", file],
    );
    assert_eq!(held.status.code(), Some(0), "{}", shown(&held));
    assert!(stdout(&held).contains("all 2 checks passed"), "{}", shown(&held));

    // The simulated server waits 5 ms: no machine is fast enough for less.
    let broken = make(&place.path().join("broken"), 5.0, "200", &["--slo", "ttft_p90<1ms"]);
    assert_eq!(broken.status.code(), Some(1), "{}", shown(&broken));
    assert!(stdout(&broken).contains("FAIL  ttft_p90<1ms  broken"), "{}", shown(&broken));

    // Ten requests say nothing of the p99, even without records in a file.
    let few =
        make(&place.path().join("few"), 5.0, "10", &["--slo", "ttft_p99<1h", "--export-level", "summary"]);
    assert_eq!(few.status.code(), Some(1), "{}", shown(&few));
    assert!(stdout(&few).contains("not enough samples"), "{}", shown(&few));

    let refused = make(&place.path().join("refused"), 5.0, "10", &["--slo", "ttft<5ms"]);
    assert_eq!(refused.status.code(), Some(2), "{}", shown(&refused));
    // A run that is already there is judged the same way.
    let held = place.path().join("held");
    let gate = tokmeter(&["gate", held.to_str().unwrap(), "--slo", "ttft_p90<1ms"]);
    assert_eq!(gate.status.code(), Some(1), "{}", shown(&gate));
}
