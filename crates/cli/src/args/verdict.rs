//! Flags on what a run's numbers must be worth.

use clap::Args;

/// Verdict.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Verdict")]
pub struct VerdictArgs {
    /// Exit with 4 unless the run's verdict is `valid`.
    #[arg(long)]
    pub require_valid: bool,
    /// What is tolerated before a run is no longer valid, `NAME=NUMBER`, e.g. `samples=1000`; names and defaults are
    /// in docs/verdict.md.
    #[arg(long, value_name = "NAME=NUMBER")]
    pub verdict_limit: Vec<String>,
    /// First load a simulated server of our own for 3 seconds in the same way, compare with its log, and state this
    /// machine's own error at this load: the error bar of the result.
    #[arg(long)]
    pub calibrate: bool,
}
