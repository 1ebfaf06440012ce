//! Flags of `demo`.

use std::path::PathBuf;

use clap::Args;

use super::profile::UiType;

/// See the whole product with no server at hand: start the simulated server and profile it.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  tokmeter demo
  tokmeter demo --concurrency 64 --request-count 1000 --ttft 200 --itl 20")]
pub struct DemoArgs {
    /// Requests in flight
    #[arg(long, default_value_t = 16)]
    pub concurrency: usize,
    /// Requests to send
    #[arg(long, default_value_t = 200)]
    pub request_count: u64,
    /// Time to first token of the simulated server, in ms
    #[arg(long, default_value_t = 50.0)]
    pub ttft: f64,
    /// Time between its tokens, in ms
    #[arg(long, default_value_t = 10.0)]
    pub itl: f64,
    /// Tokens of each answer
    #[arg(long, default_value_t = 32)]
    pub osl: u32,
    /// Directory for all files
    #[arg(
        long = "output-artifact-dir",
        visible_alias = "artifact-dir",
        value_name = "DIR",
        default_value = "artifacts/demo"
    )]
    pub output_artifact_dir: PathBuf,
    /// Progress display
    #[arg(long = "ui-type", visible_alias = "ui", value_name = "TYPE")]
    pub ui_type: Option<UiType>,
}
