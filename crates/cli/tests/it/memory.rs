//! `--max-memory`: an early end with a whole report.

use crate::run;

/// What the process has in use before its first request, MB, as it says itself.
fn before_the_first_request() -> u64 {
    let sim = run::sim(0.0, 0.0);
    let directory = tempfile::tempdir().unwrap();
    let output = run::profile(&sim, directory.path(), &["--max-memory", "1MB", "--request-count", "1"]);
    assert_eq!(output.status.code(), Some(2), "{}", run::shown(&output));
    assert_eq!(sim.log().len(), 0);
    let said = String::from_utf8(output.stderr).unwrap();
    let (number, _) = said.split_once(" MB are in use before the first request").unwrap();
    number.rsplit(' ').next().unwrap().parse().unwrap()
}

#[test]
fn a_run_that_needs_more_ends_early_with_its_report() {
    let limit = format!("{}MB", before_the_first_request() + 20);
    let sim = run::sim(0.0, 0.0);
    let directory = tempfile::tempdir().unwrap();
    let long = ["--streaming", "--osl", "3000", "--isl", "16", "--concurrency", "100"];
    let flags = [&long[..], &["--benchmark-duration", "300", "--max-memory", &limit]].concat();
    let output = run::profile(&sim, directory.path(), &flags);
    assert_eq!(output.status.code(), Some(1), "{}", run::shown(&output));
    assert!(run::shown(&output).contains(&format!("--max-memory {}", limit.replace("MB", " MB"))));

    let summary = run::summary(directory.path());
    assert_eq!((&summary["was_cancelled"], &summary["is_complete"]), (&false.into(), &false.into()));
    assert!(summary["incomplete_reason"].as_str().unwrap().starts_with("--max-memory"), "{summary}");
    // What was sent is recorded, all of it.
    let records = std::fs::read_to_string(directory.path().join("profile_export.jsonl")).unwrap();
    assert_eq!(records.lines().count(), sim.log().len());
}

#[test]
fn a_run_within_the_limit_is_whole() {
    let sim = run::sim(0.0, 0.0);
    let directory = tempfile::tempdir().unwrap();
    let output = run::profile(&sim, directory.path(), &["--max-memory", "8GiB", "--request-count", "5"]);
    assert_eq!(output.status.code(), Some(0), "{}", run::shown(&output));
    assert_eq!(run::summary(directory.path())["is_complete"], true);
}
