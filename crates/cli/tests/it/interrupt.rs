//! Ctrl-C: a valid report, exit 130.

use std::process::{Command, Stdio};
use std::time::Duration;

use crate::run;

#[test]
fn ctrl_c_drains_writes_every_file_and_exits_130() {
    let sim = run::sim(5.0, 5.0);
    let directory = tempfile::tempdir().unwrap();
    let child = run::tokmeter()
        .args([
            "profile",
            "-m",
            "sim-model",
            "--url",
            &sim.url(),
            "--streaming",
            "--osl",
            "20",
            "--concurrency",
            "4",
        ])
        .args(["--benchmark-duration", "60", "--ui", "none", "--artifact-dir"])
        .arg(directory.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Interrupt once requests are under way, however long that takes.
    while sim.counters().completed < 3 {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", run::shown(&output));

    let summary = run::summary(directory.path());
    assert_eq!(summary["was_cancelled"], true);
    assert_eq!(summary["is_complete"], false);
    assert!(summary["incomplete_reason"].is_string());
    let records = run::records(directory.path());
    let served = sim.stop().unwrap().counters.received;
    assert_eq!(records.len() as u64, served, "one record for each request that was started");
    assert!(records.iter().all(|record| record.get("error").is_none()), "requests in flight were drained");
}

#[test]
fn a_second_ctrl_c_leaves_at_once() {
    // An answer takes a minute: draining would, too.
    let sim = run::sim(60_000.0, 0.0);
    let directory = tempfile::tempdir().unwrap();
    let mut child = run::tokmeter()
        .args(["profile", "-m", "sim-model", "--url", &sim.url(), "--streaming", "--concurrency", "2"])
        .args(["--benchmark-duration", "600", "--ui", "none", "--artifact-dir"])
        .arg(directory.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    while sim.counters().received < 2 {
        std::thread::sleep(Duration::from_millis(5));
    }
    let interrupt = || Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(interrupt().success());
    std::thread::sleep(Duration::from_millis(300));
    assert!(interrupt().success());
    let begin = std::time::Instant::now();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(begin.elapsed() < Duration::from_secs(30), "it did not wait for the answers");
}
