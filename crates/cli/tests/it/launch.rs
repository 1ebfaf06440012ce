//! The examples in `deploy/` are what `launch` prints, and the script is one that a shell runs.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::run;

const LOAD: [&str; 11] = [
    "--",
    "--model",
    "my-model",
    "--url",
    "http://server:8000",
    "--streaming",
    "--request-rate",
    "400",
    "--benchmark-duration",
    "60",
    "--random-seed=7",
];

fn launch(words: &[&str]) -> Output {
    run::tokmeter().arg("launch").args(words).output().unwrap()
}

fn printed(words: &[&str]) -> String {
    let output = launch(&[words, &LOAD].concat());
    assert_eq!(output.status.code(), Some(0), "{}", run::shown(&output));
    String::from_utf8(output.stdout).unwrap()
}

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy").join(name)
}

#[test]
fn the_examples_are_what_is_printed() {
    let slurm = printed(&["slurm", "--ranks", "4", "--dry-run"]);
    let image = "registry.example/tokmeter:0.1.0";
    let kubernetes = printed(&["kubernetes", "--ranks", "4", "--image", image, "--dry-run"]);
    for (name, text) in [("slurm/tokmeter.sbatch", slurm), ("kubernetes/job.yaml", kubernetes)] {
        let file = example(name);
        if std::env::var_os("TOKMETER_WRITE_EXAMPLES").is_some() {
            std::fs::write(&file, &text).unwrap();
        }
        let kept = std::fs::read_to_string(&file).unwrap_or_default();
        assert_eq!(kept, text, "{name}: write it again with TOKMETER_WRITE_EXAMPLES=1");
    }
}

#[test]
fn the_batch_script_starts_all_ranks_and_merges() {
    let sim = run::sim(2.0, 1.0);
    let place = tempfile::tempdir().unwrap();
    let url = sim.url();
    let words =
        ["slurm", "--ranks", "2", "--start-in", "2", "--dry-run", "--", "-m", "it's a model", "-u", &url];
    let load =
        ["--concurrency", "2", "--request-count", "8", "--osl", "2", "--random-seed", "1", "--ui", "none"];
    let output = launch(&[&words[..], &load].concat());
    assert_eq!(output.status.code(), Some(0), "{}", run::shown(&output));
    // Slurm is not here: a stand-in starts the tasks as srun does, with its variables.
    let srun =
        "#!/bin/sh\nshift 2\nfor task in 0 1; do SLURM_PROCID=$task SLURM_NTASKS=2 \"$@\" & done\nwait\n";
    std::fs::write(place.path().join("srun"), srun).unwrap();
    std::fs::write(place.path().join("job"), &output.stdout).unwrap();
    let binaries = Path::new(env!("CARGO_BIN_EXE_tokmeter")).parent().unwrap();
    let path =
        format!("{}:{}:{}", place.path().display(), binaries.display(), std::env::var("PATH").unwrap());
    let made = Command::new("chmod").arg("+x").arg(place.path().join("srun")).status().unwrap();
    assert!(made.success());
    let job = Command::new("sh")
        .arg("job")
        .current_dir(place.path())
        .envs([("PATH", path.as_str()), ("SLURM_JOB_ID", "77"), ("SLURM_STEP_ID", "0")])
        .output()
        .unwrap();
    assert_eq!(job.status.code(), Some(0), "{}", run::shown(&job));
    let merged = run::summary(&place.path().join("artifacts/tokmeter-77"));
    assert_eq!((&merged["request_count"]["avg"], sim.counters().completed), (&8.0.into(), 8));
    assert_eq!(merged["tokmeter"]["merged"]["parts"][1]["job"], "77.0");
}

#[test]
fn jobs_that_would_go_wrong_are_refused() {
    let refused = |words: &[&str]| {
        let output = launch(words);
        assert_eq!(output.status.code(), Some(2), "{}", run::shown(&output));
        assert!(output.stdout.is_empty(), "nothing is printed");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let slurm = ["slurm", "--ranks", "4", "--dry-run", "--", "-m", "m", "-u", "http://h:1"];
    let with = |more: &[&'static str]| refused(&[&slurm[..], more].concat());
    assert!(with(&[]).contains("--random-seed"));
    assert!(with(&["--random-seed", "1", "--shard", "0/4"]).contains("--shard"));
    assert!(with(&["--random-seed", "1", "--api-key", "s3cret"]).contains("TOKMETER_API_KEY"));
    assert!(with(&["--random-seed", "1", "--header", "Authorization: s3cret"]).contains("TOKMETER_API_KEY"));
    assert!(with(&["--random-seed", "1", "--no-such-flag"]).contains("--no-such-flag"));
    let pod = ["kubernetes", "--ranks", "2", "--image", "i", "--dry-run", "--", "-m", "m", "-u", "h:1"];
    assert!(
        refused(&[&pod[..], &["--random-seed", "1", "--artifact-dir", "x"]].concat()).contains("/artifacts")
    );
    assert!(refused(&["slurm", "--ranks", "2", "--name", "a\nb", "--", "-m", "m"]).contains("--name"));
}
