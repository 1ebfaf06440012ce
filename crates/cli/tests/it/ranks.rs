//! A run that several processes share: together they send what one sends, and `merge` tells what one tells.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Output, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tokmeter_sim::RunningSim;

use crate::run;

/// Starts one rank.
fn start(sim: &RunningSim, directory: &Path, flags: &[&str], shard: &str) -> Child {
    run::tokmeter()
        .args(["profile", "-m", "sim-model", "--url", &sim.url(), "--ui", "none", "--streaming"])
        .args(["--artifact-dir", directory.to_str().unwrap(), "--shard", shard])
        .args(flags)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts")
}

fn share(sim: &RunningSim, directory: &Path, flags: &[&str], ranks: u32) {
    let children: Vec<Child> =
        (0..ranks).map(|rank| start(sim, directory, flags, &format!("{rank}/{ranks}"))).collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", run::shown(&output));
    }
}

fn merge(words: &[&str]) -> Output {
    run::tokmeter().arg("merge").args(words).output().unwrap()
}

fn now_s() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

fn prompts(log: &[std::sync::Arc<tokmeter_sim::RequestLog>]) -> Vec<String> {
    let mut bodies: Vec<String> = log.iter().map(|line| line.body.clone().expect("kept")).collect();
    bodies.sort();
    bodies
}

fn logging_sim() -> RunningSim {
    let mut config = run::config(5.0, 1.0);
    config.log.bodies = true;
    tokmeter_sim::Sim::start(config).unwrap()
}

/// Figures of a metric, equal but for the order in which floats were added.
fn assert_alike(a: &Value, b: &Value, metric: &str) {
    let (a, b) = (a.as_object().unwrap(), b.as_object().unwrap());
    assert!(a.len() > 1 && a.keys().eq(b.keys()), "{metric}: {a:?} {b:?}");
    for (name, value) in a.iter().filter(|(_, value)| value.is_number()) {
        let (x, y) = (value.as_f64().unwrap(), b[name].as_f64().unwrap());
        assert!((x - y).abs() <= 1e-12 * x.abs(), "{metric}.{name}: {x} and {y}");
    }
}

#[test]
fn ranks_together_send_the_schedule_of_one_and_merge_to_its_summary() {
    let place = tempfile::tempdir().unwrap();
    let (one, shared) = (place.path().join("one"), place.path().join("shared"));
    let start_s = now_s() as u64 + 5;
    let at = start_s.to_string();
    let load =
        ["--request-rate", "60", "--request-count", "50", "--isl", "20", "--osl", "4", "--random-seed", "9"];
    let ranks = logging_sim();
    share(&ranks, &shared, &[&load[..], &["--start-at", &at]].concat(), 3);
    let alone = logging_sim();
    let output = run::profile(&alone, &one, &[&load[..], &["--streaming"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", run::shown(&output));
    assert_eq!(prompts(&ranks.log()), prompts(&alone.log()), "the same requests");

    // Instants from the start of the schedule, ns: the union over ranks is the schedule of one.
    let intended = |directory: &Path, start: u64| -> Vec<u64> {
        let records = run::records(directory);
        records
            .iter()
            .map(|record| record["metadata"]["credit_issued_ns"].as_u64().unwrap() - start)
            .collect()
    };
    let start_of =
        |directory: &Path| run::summary(directory)["tokmeter"]["window"]["start_ns"].as_u64().unwrap();
    let mut union: Vec<u64> = (0..3)
        .map(|rank| shared.join(format!("rank-{rank}")))
        .flat_map(|rank| intended(&rank, start_of(&rank)))
        .collect();
    let mut schedule = intended(&one, start_of(&one));
    union.sort_unstable();
    schedule.sort_unstable();
    assert_eq!(union, schedule);

    let output = merge(&[shared.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", run::shown(&output));
    let (merged, single) = (run::summary(&shared), run::summary(&one));
    for metric in
        ["request_count", "total_osl", "total_isl", "output_sequence_length", "input_sequence_length"]
    {
        assert_alike(&merged[metric], &single[metric], metric);
    }
    let records = run::records(&shared);
    let distinct =
        |key: &str| records.iter().map(|record| record["metadata"][key].to_string()).collect::<BTreeSet<_>>();
    assert_eq!((records.len(), distinct("session_num").len(), distinct("x_request_id").len()), (50, 50, 50));
    assert_eq!(distinct("conversation_id").len(), 50);
    for (rank, part) in merged["tokmeter"]["merged"]["parts"].as_array().unwrap().iter().enumerate() {
        assert_eq!((&part["rank"], &part["ranks"]), (&rank.into(), &3.into()));
        assert_eq!(part["start"]["intended_ns"].as_u64(), Some(start_s * 1_000_000_000));
        assert!(
            part["start"]["actual_ns"].is_u64() && part["clock_against_first"]["ahead_ms"].is_number(),
            "{part}"
        );
    }
    assert!(shared.join("inputs.json").exists() && shared.join("profile_export_aiperf.csv").exists());
    let pages =
        |rank: u32| run::summary(&shared.join(format!("rank-{rank}")))["tokmeter"]["server_metrics"].clone();
    assert!(pages(0)["pages"].is_array() && pages(1).is_null(), "only rank 0 asks for metrics");
}

/// The metrics of a merged summary equal those of one pass over the same records.
#[test]
fn a_merge_equals_one_summary_over_the_same_records() {
    let place = tempfile::tempdir().unwrap();
    let sim = run::sim(5.0, 1.0);
    let load =
        ["--concurrency", "4", "--conversation-num", "12", "--warmup-request-count", "4", "--osl", "6"];
    share(&sim, place.path(), &[&load[..], &["--random-seed", "3"]].concat(), 2);
    assert_eq!(merge(&[place.path().to_str().unwrap()]).status.code(), Some(0));
    let merged = run::summary(place.path());
    assert_eq!(sim.counters().completed, 16);

    let together = place.path().join("together");
    std::fs::create_dir(&together).unwrap();
    std::fs::copy(place.path().join("profile_export.jsonl"), together.join("profile_export.jsonl")).unwrap();
    let recovered = run::tokmeter().arg("recover").arg(&together).output().unwrap();
    assert_eq!(recovered.status.code(), Some(0), "{}", run::shown(&recovered));
    let single = run::summary(&together);
    let distributions =
        ["request_latency", "time_to_first_token", "inter_token_latency", "inter_chunk_latency"];
    for metric in distributions {
        assert_eq!(merged[metric], single[metric], "{metric}");
    }
    // Rates are over the union of the ranks' windows.
    let window = |key: &str| merged["tokmeter"]["window"][key].as_u64().unwrap();
    let of_rank = |rank: u32, key: &str| {
        run::summary(&place.path().join(format!("rank-{rank}")))["tokmeter"]["window"][key].as_u64().unwrap()
    };
    assert_eq!(window("start_ns"), of_rank(0, "start_ns").min(of_rank(1, "start_ns")));
    assert_eq!(window("end_ns"), of_rank(0, "end_ns").max(of_rank(1, "end_ns")));
    let seconds = (window("end_ns") - window("start_ns")) as f64 / 1e9;
    let rate = merged["request_throughput"]["avg"].as_f64().unwrap();
    assert!((rate - 12.0 / seconds).abs() < 1e-9 * rate, "{rate} in {seconds} s");
    assert!(merged["warmup_metrics"].is_object());
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let sim = run::sim(1.0, 1.0);
    let load = ["--concurrency", "3", "--request-count", "6", "--osl", "2", "--random-seed"];
    let path = |name: &str| place.path().join(name).to_str().unwrap().to_owned();
    share(&sim, &place.path().join("a"), &[&load[..], &["3"]].concat(), 3);
    share(&sim, &place.path().join("b"), &[&load[..], &["4"]].concat(), 3);
    let refused = |words: &[&str], part: &str| {
        let output = merge(words);
        assert_eq!(output.status.code(), Some(2), "{}", run::shown(&output));
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(text.contains(part), "{text}");
    };
    let (a0, a1, b1, out) = (path("a/rank-0"), path("a/rank-1"), path("b/rank-1"), path("out"));
    refused(&[&a0, &b1, "--artifact-dir", &out], "parts of different runs");
    refused(&[&a0, &a0, "--artifact-dir", &out], "are both rank 0");
    refused(&[&a0, &a1, "--artifact-dir", &out], "of 3 ranks these are missing: 2");
    refused(&[&path("a"), "--artifact-dir", &a0], "is one of the parts");
    refused(&[&out], "cannot read");
    assert!(!Path::new(&out).exists(), "nothing is written");

    let partial = merge(&[&a0, &a1, "--partial", "--artifact-dir", &out]);
    assert_eq!(partial.status.code(), Some(0), "{}", run::shown(&partial));
    let summary = run::summary(Path::new(&out));
    assert_eq!(summary["incomplete_reason"], "ranks are missing: 2");
    assert_eq!(
        (&summary["is_complete"], &summary["request_count"]["avg"]),
        (&Value::Bool(false), &4.0.into())
    );
    // Half a line at the end of a copied file is told, not counted.
    let records = place.path().join("a/rank-1/profile_export.jsonl");
    let text = std::fs::read(&records).unwrap();
    std::fs::write(&records, &text[..text.len() - 20]).unwrap();
    refused(&[&path("a")], "line 2");
    assert!(!place.path().join("a/profile_export.jsonl").exists(), "no half result remains");
}

#[test]
fn a_rank_that_comes_late_is_named() {
    let place = tempfile::tempdir().unwrap();
    let sim = run::sim(1.0, 1.0);
    let past = format!("{:.0}", now_s() - 30.0);
    let load = [
        "--request-rate",
        "50",
        "--request-count",
        "8",
        "--osl",
        "2",
        "--random-seed",
        "1",
        "--start-at",
        &past,
    ];
    share(&sim, place.path(), &load, 2);
    let output = merge(&[place.path().to_str().unwrap()]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("ranks 0, 1 began late"), "{text}");
    let summary = run::summary(place.path());
    let late = summary["tokmeter"]["merged"]["parts"][1]["late_ms"].as_f64().unwrap();
    assert!(late >= 29_000.0, "{late}");
    // Late, and not in a hurry: the schedule keeps its distances.
    assert_eq!(sim.counters().completed, 8);
}

#[test]
fn a_rank_that_was_killed_is_recovered_and_merged() {
    let place = tempfile::tempdir().unwrap();
    let sim = run::sim(5.0, 1.0);
    let load = ["--concurrency", "2", "--benchmark-duration", "600", "--osl", "2", "--random-seed", "1"];
    let mut children: Vec<Child> =
        (0..2).map(|rank| start(&sim, place.path(), &load, &format!("{rank}/2"))).collect();
    // Records are flushed at least once a second.
    let records = |rank: u32| place.path().join(format!("rank-{rank}/profile_export.jsonl"));
    let has_lines = |rank: u32| std::fs::metadata(records(rank)).is_ok_and(|file| file.len() > 2_000);
    while !(has_lines(0) && has_lines(1)) {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let killed = children.pop().unwrap();
    let kill = |signal: &str, child: &Child| {
        let sent = std::process::Command::new("kill").args([signal, &child.id().to_string()]).status();
        assert!(sent.unwrap().success());
    };
    kill("-KILL", &killed);
    killed.wait_with_output().unwrap();
    kill("-INT", &children[0]);
    children.pop().unwrap().wait_with_output().unwrap();

    let whole = place.path().to_str().unwrap();
    let refused = merge(&[whole]);
    assert_eq!(refused.status.code(), Some(2), "{}", run::shown(&refused));
    let recovered = run::tokmeter().arg("recover").arg(place.path().join("rank-1")).output().unwrap();
    assert_eq!(recovered.status.code(), Some(0), "{}", run::shown(&recovered));
    let merged = merge(&[whole]);
    assert_eq!(merged.status.code(), Some(0), "{}", run::shown(&merged));
    let (summary, records) = (run::summary(place.path()), run::records(place.path()));
    assert_eq!(
        (&summary["is_complete"], &summary["was_cancelled"]),
        (&Value::Bool(false), &Value::Bool(true))
    );
    let parts = summary["tokmeter"]["merged"]["parts"].as_array().unwrap();
    let counted: u64 = parts.iter().map(|part| part["records"].as_u64().unwrap()).sum();
    assert_eq!((parts.len(), counted), (2, records.len() as u64));
}

#[test]
fn flags_that_a_shared_run_needs_or_cannot_have() {
    let place = tempfile::tempdir().unwrap();
    let sim = run::sim(1.0, 1.0);
    let told = |flags: &[&str], variables: &[(&str, &str)]| {
        let output = run::tokmeter()
            .args(["profile", "-m", "m", "--url", &sim.url(), "--ui", "none", "--artifact-dir"])
            .arg(place.path())
            .args(flags)
            .envs(variables.iter().copied())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", run::shown(&output));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert!(told(&["--shard", "0/2"], &[]).contains("--random-seed: 2 ranks"));
    assert!(told(&["--shard", "2/2"], &[]).contains("count from 0"));
    assert!(told(&["--shard", "auto"], &[]).contains("SLURM_PROCID with SLURM_NTASKS"));
    let seeded = ["--shard", "auto", "--random-seed", "1", "--concurrency", "2"];
    assert!(told(&seeded, &[("JOB_COMPLETION_INDEX", "1")]).contains("TOKMETER_COMPLETIONS"));
    let slurm = [("SLURM_PROCID", "3"), ("SLURM_NTASKS", "4")];
    assert!(told(&seeded, &slurm).contains("`--concurrency` is 2: 4 ranks"));
    let swept = ["--shard", "0/2", "--random-seed", "1", "--concurrency", "2,4"];
    assert!(told(&swept, &[]).contains("--shard: holds for one run"));
    assert!(told(&["--start-at", "tomorrow"], &[]).contains("RFC 3339"));
    assert_eq!(sim.counters().received, 0, "nothing was sent");
}
