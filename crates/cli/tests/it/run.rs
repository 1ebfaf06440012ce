//! Starting the binary and reading what it leaves behind.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tokmeter_sim::{Distribution, RunningSim, Sim, SimConfig};

/// The binary, without a terminal and without the caller's environment variables of ours.
pub fn tokmeter() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tokmeter"));
    command.env_remove("TOKMETER_API_KEY").env_remove("NO_PROXY");
    // The flush after the load serves slow servers; the simulated one needs none.
    command.env("TOKMETER_SERVER_METRICS_COLLECTION_FLUSH_PERIOD", "0");
    command
}

/// A simulated server with this time to first token and between tokens, in ms.
pub fn sim(ttft_ms: f64, itl_ms: f64) -> RunningSim {
    Sim::start(config(ttft_ms, itl_ms)).expect("the simulated server starts")
}

/// Its configuration.
pub fn config(ttft_ms: f64, itl_ms: f64) -> SimConfig {
    let mut config = SimConfig::default();
    config.timing.ttft_ms = Distribution::constant(ttft_ms);
    config.timing.itl_ms = Distribution::constant(itl_ms);
    config
}

/// `tokmeter profile` against a simulated server, with more flags.
pub fn profile(sim: &RunningSim, directory: &Path, flags: &[&str]) -> Output {
    tokmeter()
        .args(["profile", "--model", "sim-model", "--url", &sim.url(), "--ui", "none", "--artifact-dir"])
        .arg(directory)
        .args(flags)
        .output()
        .expect("the binary starts")
}

/// What a command printed, for messages of failed assertions.
pub fn shown(output: &Output) -> String {
    format!(
        "exit {:?}\n{}\n{}",
        output.status.code(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// The records of a run.
pub fn records(directory: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(directory.join("profile_export.jsonl")).expect("records");
    text.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
}

/// The summary of a run.
pub fn summary(directory: &Path) -> Value {
    let text = std::fs::read_to_string(directory.join("profile_export_aiperf.json")).expect("summary");
    serde_json::from_str(&text).expect("the summary is JSON")
}
