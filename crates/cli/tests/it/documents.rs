//! Every command in the README and the docs runs as it stands.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::run;

const SERVER: &str = "localhost:8000";

fn documents() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let docs = fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let is_text = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "md");
    [root.join("README.md")].into_iter().chain(docs.filter(is_text)).collect()
}

/// The ```sh blocks of a text as scripts. What builds, tests or serves for ever is run by CI itself.
fn scripts(text: &str) -> Vec<String> {
    const ELSEWHERE: [&str; 5] = ["cargo build", "./test", ".ci/run", "tokmeter sim", "cargo bench"];
    let blocks = text.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap_or_default());
    let script = |block: &str| {
        let kept =
            block.lines().filter(|line| !ELSEWHERE.iter().any(|begin| line.trim_start().starts_with(begin)));
        kept.map(|line| format!("{line}\n"))
            .collect::<String>()
            .replace("cargo run --release -- ", "tokmeter ")
    };
    blocks.map(script).filter(|script| script.contains("tokmeter ")).collect()
}

#[test]
fn every_command_runs() {
    let sim = run::sim(2.0, 1.0);
    let address = sim.url().replace("http://", "");
    let place = tempfile::tempdir().unwrap();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/mooncake-sample.jsonl");
    let trace = fs::read_to_string(fixtures).unwrap();
    let first: String = trace.lines().take(20).map(|line| format!("{line}\n")).collect();
    fs::write(place.path().join("trace.jsonl"), first).unwrap();
    let binaries = Path::new(env!("CARGO_BIN_EXE_tokmeter")).parent().unwrap();
    let path = format!("{}:{}", binaries.display(), std::env::var("PATH").unwrap());
    let mut ran = 0;
    for document in documents() {
        for script in scripts(&fs::read_to_string(&document).unwrap()) {
            let script =
                script.replace(SERVER, &address).replace("--benchmark-duration 60", "--benchmark-duration 1");
            let output = Command::new("bash")
                .args(["-euc", &script])
                .current_dir(place.path())
                .env("PATH", &path)
                .env("TOKMETER_SERVER_METRICS_COLLECTION_FLUSH_PERIOD", "0")
                .output()
                .unwrap();
            assert!(output.status.success(), "{}:\n{script}\n{}", document.display(), run::shown(&output));
            ran += 1;
        }
    }
    assert!(ran >= 6, "the documents have commands: {ran}");
}
