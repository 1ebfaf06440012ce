//! Planted secrets never come out, wherever they went in.

use std::fs;
use std::path::Path;

use crate::run;

const SECRET: &str = "tk-PLANTED-5ecret";

fn contents(directory: &Path) -> Vec<(String, Vec<u8>)> {
    fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| (path.display().to_string(), fs::read(&path).unwrap()))
        .collect()
}

#[test]
fn no_file_and_no_output_holds_a_secret() {
    let sim = run::sim(1.0, 1.0);
    let directory = tempfile::tempdir().unwrap();
    let url = sim.url().replace("http://", &format!("http://user:{SECRET}@"));
    let output = run::tokmeter()
        .args([
            "profile",
            "-m",
            "sim-model",
            "--streaming",
            "--request-count",
            "4",
            "--osl",
            "4",
            "--ui",
            "none",
        ])
        .args(["--url", &url, "--api-key", SECRET, "--header", &format!("X-Session-Token: {SECRET}")])
        .args([
            "--extra-inputs",
            &format!("api_key:{SECRET}"),
            "--export-level",
            "raw",
            "--export-http-trace",
            "-vv",
        ])
        .arg("--artifact-dir")
        .arg(directory.path())
        .arg("--export-har")
        .arg(directory.path().join("run.har"))
        .arg("--export-perfetto")
        .arg(directory.path().join("run.perfetto.json"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", run::shown(&output));
    let files = contents(directory.path());
    assert!(files.len() >= 8, "the run wrote its files");
    let printed = [("stdout".to_owned(), output.stdout), ("stderr".to_owned(), output.stderr)];
    for (name, bytes) in files.iter().chain(&printed) {
        let found = bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes());
        assert!(!found, "{name} holds the secret");
    }
    // The server did get it: the test would prove nothing otherwise.
    assert_eq!(sim.counters().completed, 4);
}
