//! SLOs that a run is held to.

use std::path::PathBuf;

use clap::Args;
use tokmeter_record::analysis::slo::RunSlo;

/// SLOs of the run.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "SLOs")]
pub struct SloArgs {
    /// SLO of the run, such as 'time_to_first_token_p99<500ms'; exit 1 when broken or not proven; may be repeated
    #[arg(long, value_name = "SLO")]
    pub slo: Vec<RunSlo>,
    /// File with one SLO on a line
    #[arg(long, value_name = "FILE")]
    pub slo_file: Option<PathBuf>,
}
