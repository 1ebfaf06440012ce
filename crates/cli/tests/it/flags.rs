//! Wrong flags: one clear message that names the flag and the fix, exit 2.

use crate::run;

fn refused(flags: &[&str]) -> String {
    let output = run::tokmeter().arg("profile").args(["-m", "m"]).args(flags).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", run::shown(&output));
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn each_mistake_names_its_flag() {
    let bad = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(bad.path(), "{\"text\": \"fine\"}\n{\"text\": 3}\n").unwrap();
    let bad = bad.path().to_str().unwrap();
    for (flags, expected) in [
        (vec!["--concurency", "3"], "--concurrency"),
        (vec!["--url", "htp://x"], "--url"),
        (vec!["--header", "no-colon"], "--header"),
        (vec!["--endpoint", "v1/chat"], "--endpoint"),
        (vec!["--goodput", "no_such_metric:1"], "--goodput"),
        (vec!["--tokenizer", "org/model"], "--tokenizer"),
        (vec!["--input-file", "/nowhere.jsonl"], "/nowhere.jsonl"),
        (vec!["--input-file", bad, "--custom-dataset-type", "single-turn"], ":2"),
        (
            vec!["--request-rate", "2", "--arrival-smoothness", "2", "--arrival-pattern", "poisson"],
            "--arrival",
        ),
        (vec!["--slice-duration", "0"], "--slice-duration"),
        (vec!["--config", "/nowhere.yaml"], "/nowhere.yaml"),
        (vec!["--prefill-concurrency", "1"], "--streaming"),
        (vec!["--streaming", "--concurrency", "2", "--prefill-concurrency", "3"], "--prefill-concurrency"),
        (vec!["--concurrency", "2,x"], "`x`"),
        (vec!["--num-profile-runs", "11"], "--num-profile-runs"),
        (vec!["--num-profile-runs", "2", "--confidence-level", "1"], "--confidence-level"),
        (vec!["--vary-seed-per-trial"], "--num-profile-runs"),
        (vec!["--model-selection-strategy", "weighted"], "--model-selection-strategy"),
        (vec!["--wait-for-model-interval", "1"], "--wait-for-model-timeout"),
    ] {
        let message = refused(&flags);
        assert!(message.contains(expected), "{flags:?} said: {message}");
    }
}

#[test]
fn a_configuration_file_gives_the_same_run_as_flags() {
    let sim = run::sim(1.0, 1.0);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(
        file.path(),
        "concurrency: 3\nrequest-count: 7\nstreaming: true\nosl: 4\nrandom_seed: 5\n",
    )
    .unwrap();
    let (from_file, from_flags) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let config = file.path().to_str().unwrap();
    let output = run::profile(&sim, from_file.path(), &["--config", config, "--request-count", "6"]);
    assert!(output.status.success(), "{}", run::shown(&output));
    let flags =
        ["--concurrency", "3", "--request-count", "6", "--streaming", "--osl", "4", "--random-seed", "5"];
    assert!(run::profile(&sim, from_flags.path(), &flags).status.success());
    assert_eq!(run::records(from_file.path()).len(), 6, "the command line wins over the file");
    let inputs = |directory: &std::path::Path| std::fs::read(directory.join("inputs.json")).unwrap();
    assert_eq!(inputs(from_file.path()), inputs(from_flags.path()), "same seed, same bytes");
}

#[test]
fn more_connections_than_this_process_may_open_are_refused_before_the_run() {
    let output = std::process::Command::new("bash")
        .args([
            "-c",
            r#"ulimit -n 256 && exec "$0" profile -m m --url 127.0.0.1:9 --concurrency 5000 --ui none"#,
        ])
        .arg(env!("CARGO_BIN_EXE_tokmeter"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", run::shown(&output));
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(message.contains("--concurrency") && message.contains("ulimit"), "{message}");
}

#[test]
fn an_expanded_configuration_is_the_same_configuration() {
    let directory = tempfile::tempdir().unwrap();
    let (short, long) = (directory.path().join("short.yaml"), directory.path().join("long.yaml"));
    let text = "model: [a, b]\nmodel-selection-strategy: random\nstreaming: true\nconcurrency: [4, 8]\n\
                prefill_concurrency: 2\nprefill-concurrency-ramp-duration: 0.5\nisl: [64, 128]\n\
                sweep-type: zip\nnum-profile-runs: 2\nvary-seed-per-trial: true\nwarmup-request-count: 3\n\
                warmup-prefill-concurrency: 1\nwait-for-model-timeout: 2\nwait-for-model-mode: models\n\
                no-profile-run-disable-warmup-after-first: true\nnetwork-latency-mean: 0.5\nheader: [A:1, B:2]\n";
    std::fs::write(&short, text).unwrap();
    let expand = |file: &std::path::Path| -> String {
        let output = run::tokmeter().args(["config", "expand"]).arg(file).output().unwrap();
        assert!(output.status.success(), "{}", run::shown(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    let expanded = expand(&short);
    for line in
        ["concurrency: \"4,8\"", "num-profile-runs: 2", "confidence-level: 0.95", "sweep-type: \"zip\""]
    {
        assert!(expanded.lines().any(|shown| shown == line), "{line} is missing in\n{expanded}");
    }
    std::fs::write(&long, &expanded).unwrap();
    assert_eq!(expand(&long), expanded);
}
