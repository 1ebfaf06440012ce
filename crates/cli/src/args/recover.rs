//! Flags of `recover`.

use std::path::PathBuf;

use clap::Args;

/// Write the summary of a run that was killed, from the records it had written.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Records are flushed at least once a second, so a run that was killed (SIGKILL, out of memory, power) leaves all but its
last second. The recovered summary is marked incomplete: `is_complete` is false, `incomplete_reason` says why.

Examples:
  tokmeter recover artifacts/my-run")]
pub struct RecoverArgs {
    /// Artifact directory of the run
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    /// Beginning of file names, as the run was given it
    #[arg(long = "profile-export-prefix", visible_alias = "profile-export-file", value_name = "PREFIX")]
    pub profile_export_prefix: Option<String>,
    /// Replace a complete summary too
    #[arg(long)]
    pub force: bool,
}
