//! Flags of the tool itself: its threads, its memory, what it shows while it works.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::memory::Memory;

/// How the tool itself behaves.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Tool")]
pub struct ServiceArgs {
    /// YAML file with flags as keys; flags given here win
    #[arg(long, short = 'f', value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Progress display [default: bars on a terminal, else a line every five seconds]
    #[arg(long = "ui-type", visible_alias = "ui", value_name = "TYPE")]
    pub ui_type: Option<UiType>,
    /// Threads that send requests [default: half the cores, at most 16]
    #[arg(long = "workers-max", visible_alias = "max-workers", value_name = "N")]
    pub workers_max: Option<usize>,
    /// Threads that read answers [default: a quarter of the cores, at least 1]
    #[arg(long = "record-processor-service-count", visible_alias = "record-processors", value_name = "N")]
    pub record_processors: Option<usize>,
    /// Memory this process may use, e.g. `2GB`: a run that reaches it ends early, with its report and exit code 1
    #[arg(long, value_name = "SIZE")]
    pub max_memory: Option<Memory>,
    /// Log level
    #[arg(long, value_name = "LEVEL", default_value = "info", ignore_case = true, value_parser = ["trace", "debug", "info", "notice", "warning", "success", "error", "critical"])]
    pub log_level: String,
    /// Log more
    #[arg(long, short = 'v', action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// Progress display.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum UiType {
    /// A full-screen view of the run; as `simple` when not on a terminal.
    Dashboard,
    /// Progress bars, or plain lines when not on a terminal.
    Simple,
    /// Nothing.
    None,
}
