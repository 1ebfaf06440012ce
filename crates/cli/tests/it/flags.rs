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
