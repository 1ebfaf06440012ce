//! Every command in the README and the docs runs as it stands.

use std::fs;
use std::path::{Path, PathBuf};

use crate::run;

const SERVER: &str = "localhost:8000";

fn documents() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let docs = fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let is_text = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "md");
    [root.join("README.md")].into_iter().chain(docs.filter(is_text)).collect()
}

/// The commands of ```sh blocks: continued lines joined, comments left out.
fn commands(text: &str) -> Vec<String> {
    let mut commands = Vec::new();
    for block in text.split("```sh\n").skip(1) {
        let block = block.split("```").next().unwrap_or_default().replace("\\\n", " ");
        let lines = block.lines().map(|line| line.split(" #").next().unwrap_or_default().trim().to_owned());
        commands.extend(lines.filter(|line| !line.is_empty() && !line.starts_with('#')));
    }
    commands
}

#[test]
fn every_tokmeter_command_runs() {
    let sim = run::sim(2.0, 1.0);
    let address = sim.url().replace("http://", "");
    let place = tempfile::tempdir().unwrap();
    let traces = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/mooncake-sample.jsonl");
    let first: String =
        fs::read_to_string(traces).unwrap().lines().take(20).map(|line| format!("{line}\n")).collect();
    fs::write(place.path().join("trace.jsonl"), first).unwrap();
    let mut ran = 0;
    for document in documents() {
        for command in commands(&fs::read_to_string(&document).unwrap()) {
            // What builds, tests or serves for ever is run by CI itself.
            let command = command.replace("cargo run --release -- ", "tokmeter ");
            let Some(arguments) = command.strip_prefix("tokmeter ") else { continue };
            if arguments.starts_with("sim") {
                continue;
            }
            let arguments = arguments.replace(SERVER, &address).replace("--benchmark-duration 60", "--benchmark-duration 1");
            let output =
                run::tokmeter().args(arguments.split_whitespace()).current_dir(place.path()).output().unwrap();
            assert!(output.status.success(), "{}: tokmeter {arguments}\n{}", document.display(), run::shown(&output));
            ran += 1;
        }
    }
    assert!(ran >= 4, "the documents have commands: {ran}");
}
