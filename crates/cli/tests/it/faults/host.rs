//! Faults of this machine and of the people who run it: disks, signals, memory, restarts.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokmeter_record::format::records::RecordReader;
use tokmeter_sim::{Distribution, Fault, FaultRule, RunningSim, Sim, wall_ns};

use crate::run;

/// `tokmeter profile` with streams, not started yet.
fn profile(url: &str, directory: &Path, flags: &[&str]) -> Command {
    let mut command = run::tokmeter();
    command
        .args(["profile", "--model=sim-model", "--ui=none", "--streaming", "--osl=6", "--isl=16"])
        .args(["--no-server-metrics", "--no-gpu-telemetry", "--url", url, "--artifact-dir"])
        .arg(directory)
        .args(flags)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// The same under limits of the shell.
fn limited(limits: &str, command: &Command) -> Output {
    Command::new("bash")
        .args(["-c", &format!("{limits}; exec \"$@\""), "bash"])
        .arg(command.get_program())
        .args(command.get_args())
        .output()
        .expect("bash starts")
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status();
    assert!(sent.expect("kill starts").success());
}

fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < Duration::from_secs(60), "{what} did not come");
        sleep(Duration::from_millis(2));
    }
}

/// Records of a run that was cut off, and how many lines were none.
fn readable(directory: &Path) -> (Vec<tokmeter_record::RequestRecord>, u64) {
    let path = directory.join("profile_export.jsonl");
    let mut reader = RecordReader::open(&path).expect("the file is there").tolerant();
    let records = reader.by_ref().collect();
    (records, reader.bad_lines().count)
}

fn recover(directory: &Path) -> Output {
    run::tokmeter().arg("recover").arg(directory).output().expect("the binary starts")
}

/// `recover` of a directory writes the summary that its records make.
fn assert_recovers(directory: &Path) {
    let (records, bad) = readable(directory);
    let output = recover(directory);
    assert_eq!(output.status.code(), Some(0), "{}", run::shown(&output));
    let summary = run::summary(directory);
    assert_eq!(summary["is_complete"], false);
    assert!(
        summary["incomplete_reason"].as_str().is_some_and(|reason| reason.contains("recovered")),
        "{summary}"
    );
    let failed = records.iter().filter(|record| !record.is_success()).count();
    let facts = &summary["tokmeter"];
    assert_eq!(facts["recovered"], serde_json::json!({"records": records.len(), "unreadable_lines": bad}));
    assert_eq!(facts["requests"]["sent"], records.len());
    assert_eq!(facts["requests"]["succeeded"], records.len() - failed);
    assert!(summary["input_config"]["endpoint"].is_object(), "the configuration is recovered, too");
    assert!(directory.join("profile_export_aiperf.csv").exists());
}

#[test]
fn a_full_disk_stops_the_run_and_leaves_readable_records() {
    let sim = run::sim(0.0, 0.0);
    let directory = tempfile::tempdir().unwrap();
    let wanted = 200_000;
    let flags = ["--concurrency=4", &format!("--request-count={wanted}"), "--num-prompts=4"];
    // A file may grow to 64 KiB; a process that ignores SIGXFSZ gets an error as from a full disk.
    let output = limited("trap '' XFSZ; ulimit -f 64", &profile(&sim.url(), directory.path(), &flags));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{}", run::shown(&output));
    assert!(stderr.contains("profile_export.jsonl") && stderr.contains("the run was stopped"), "{stderr}");
    assert!(sim.counters().received < wanted, "it stopped early");
    let (records, bad) = readable(directory.path());
    assert!(!records.is_empty() && bad <= 1, "{} records, {bad} bad lines", records.len());
    let half: Vec<_> = fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| name.ends_with(".partial"))
        .collect();
    assert!(half.is_empty(), "{half:?}");
}

#[test]
fn a_directory_that_takes_no_files_is_named_before_any_request() {
    let sim = run::sim(0.0, 0.0);
    // Nobody may create files there, not even root.
    let output = profile(&sim.url(), Path::new("/sys/kernel"), &["--request-count=3"]).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{}", run::shown(&output));
    assert!(stderr.contains("/sys/kernel") && stderr.contains("fix:"), "{stderr}");
    assert_eq!(sim.counters().received, 0);
}

/// A server that never answers, and a run that waits for it.
fn hanging() -> (RunningSim, tempfile::TempDir, Child) {
    let mut config = run::config(0.0, 0.0);
    config.faults.push(FaultRule::every(Fault::StallMidStream { after: 2 }));
    let sim = Sim::start(config).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let flags = ["--concurrency=3", "--request-count=3"];
    let child = profile(&sim.url(), directory.path(), &flags).spawn().unwrap();
    wait_until("all requests", || sim.counters().received == 3);
    (sim, directory, child)
}

fn assert_all_cancelled(child: Child, directory: &Path) {
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", run::shown(&output));
    let records = run::records(directory);
    assert_eq!(records.len(), 3);
    assert!(records.iter().all(|record| record["error"]["class"] == "cancelled"), "{records:?}");
    let requests = &run::summary(directory)["tokmeter"]["requests"];
    assert_eq!((&requests["sent"], &requests["cancelled"]), (&Value::from(3), &Value::from(3)));
}

#[test]
fn sigterm_ends_a_run_whose_server_hangs() {
    let (_sim, directory, child) = hanging();
    let begin = Instant::now();
    signal(&child, "TERM");
    assert_all_cancelled(child, directory.path());
    assert!(begin.elapsed() >= Duration::from_secs(19), "requests in flight had their time");
}

#[test]
fn a_second_signal_cancels_and_still_writes_the_report() {
    let (_sim, directory, child) = hanging();
    signal(&child, "TERM");
    sleep(Duration::from_millis(300));
    signal(&child, "TERM");
    assert_all_cancelled(child, directory.path());
}

#[test]
fn after_sigkill_all_but_the_last_second_is_there_and_recovers() {
    for after in [1, 150, 900] {
        let sim = run::sim(2.0, 1.0);
        let directory = tempfile::tempdir().unwrap();
        let flags = ["--concurrency=4", "--benchmark-duration=60", "--num-prompts=4"];
        let mut child = profile(&sim.url(), directory.path(), &flags).spawn().unwrap();
        wait_until("requests", || sim.counters().completed >= after);
        // So that there is something older than a second.
        sleep(Duration::from_millis(1500));
        let killed_ns = wall_ns();
        signal(&child, "KILL");
        child.wait().unwrap();

        let (records, bad) = readable(directory.path());
        assert!(bad <= 1, "only the last line may be cut: {bad}");
        let kept: BTreeSet<String> = records.iter().filter_map(|r| r.metadata.x_request_id.clone()).collect();
        // A second, and another one for a machine that is busy with other tests.
        let old = |end_wall_ns: u64| end_wall_ns + 2_000_000_000 < killed_ns;
        let lost: Vec<_> = sim
            .log()
            .iter()
            .filter(|request| old(request.end_wall_ns))
            .filter_map(|request| request.x_request_id.clone())
            .filter(|id| !kept.contains(id))
            .collect();
        assert!(lost.is_empty(), "older than two seconds and not there: {lost:?}");
        assert!(!records.is_empty());
        assert!(!directory.path().join("profile_export_aiperf.json").exists());
        assert_recovers(directory.path());
    }
}

#[test]
fn a_complete_summary_is_not_recovered_over() {
    let sim = run::sim(0.0, 0.0);
    let directory = tempfile::tempdir().unwrap();
    let output = profile(&sim.url(), directory.path(), &["--request-count=5"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", run::shown(&output));
    let output = recover(directory.path());
    assert_eq!(output.status.code(), Some(2), "{}", run::shown(&output));
    assert_eq!(run::summary(directory.path())["is_complete"], true);
    let nothing = recover(tempfile::tempdir().unwrap().path());
    assert_eq!(nothing.status.code(), Some(2), "{}", run::shown(&nothing));
}

#[test]
fn running_out_of_memory_leaves_what_was_flushed() {
    let mut config = run::config(0.0, 0.0);
    config.timing.itl_ms = Distribution::constant(20.0);
    config.faults.push(FaultRule::at(Fault::HugeLine { bytes: 8 << 30 }, [40]));
    let sim = Sim::start(config).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let flags = ["--concurrency=2", "--request-count=60", "--max-event-mib=4000", "--max-body-mib=4000"];
    let output = limited("ulimit -v 1500000", &profile(&sim.url(), directory.path(), &flags));
    assert!(output.status.code().is_none_or(|code| code > 128), "{}", run::shown(&output));
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("memory allocation of"),
        "{}",
        run::shown(&output)
    );
    let (records, bad) = readable(directory.path());
    assert!(records.len() >= 10 && bad <= 1, "{} records, {bad} bad lines", records.len());
    assert_recovers(directory.path());
}

#[test]
fn a_server_restart_costs_only_the_requests_it_met() {
    let mut config = run::config(5.0, 5.0);
    let sim = Sim::start(config.clone()).unwrap();
    config.bind = sim.addr();
    let directory = tempfile::tempdir().unwrap();
    let flags = ["--request-rate=100", "--request-count=300", "--request-timeout-seconds=20"];
    let child = profile(&sim.url(), directory.path(), &flags).spawn().unwrap();
    wait_until("a third of the requests", || sim.counters().completed >= 100);
    let first = sim.stop().unwrap();
    sleep(Duration::from_millis(200));
    let second = Sim::start(config).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", run::shown(&output));

    let records = run::records(directory.path());
    assert_eq!(records.len(), 300);
    let log: Vec<_> = first.requests.into_iter().chain(second.stop().unwrap().requests).collect();
    let answered: BTreeSet<&str> = log
        .iter()
        .filter(|request| request.outcome == tokmeter_sim::Outcome::Completed)
        .filter_map(|request| request.x_request_id.as_deref())
        .collect();
    for record in &records {
        let id = record["metadata"]["x_request_id"].as_str().unwrap();
        match record.get("error") {
            None => assert!(answered.contains(id), "{record}"),
            Some(error) => {
                let class = error["class"].as_str().unwrap();
                assert!(
                    ["disconnected", "connection_refused", "stale_connection"].contains(&class),
                    "{error}"
                );
            }
        }
    }
    let last = records.iter().max_by_key(|r| r["metadata"]["request_start_ns"].as_u64()).unwrap();
    assert!(last.get("error").is_none(), "the run went on with the new server: {last}");
}
