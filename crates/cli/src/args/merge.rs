//! Flags of `merge`.

use std::path::PathBuf;

use clap::Args;

/// Join the parts of a run that several machines shared.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
The result is that of one run over all records: percentiles are those of all requests, rates are over the time from the
first start to the last end. Clock offsets and late ranks are told. Parts of different runs are refused.

Examples:
  tokmeter merge artifacts/my-run
  tokmeter merge rank-0 rank-1 rank-2 --artifact-dir merged")]
pub struct MergeArgs {
    /// Directory of a rank, or one that holds rank-0, rank-1, ...
    #[arg(value_name = "DIR", required = true)]
    pub directories: Vec<PathBuf>,
    /// Where the result goes [default: the directory that holds the ranks']
    #[arg(long, visible_alias = "output-artifact-dir", value_name = "OUT")]
    pub artifact_dir: Option<PathBuf>,
    /// Beginning of file names, as the ranks were given it
    #[arg(long = "profile-export-prefix", visible_alias = "profile-export-file", value_name = "PREFIX")]
    pub profile_export_prefix: Option<String>,
    /// Join what is there when ranks are missing; the summary says so
    #[arg(long)]
    pub partial: bool,
    /// A rank that begins this much later than it should is called late, in ms
    #[arg(long, value_name = "MS", default_value_t = 100.0)]
    pub late_threshold_ms: f64,
    /// Exit with 4 unless the merged run's verdict is `valid`
    #[arg(long)]
    pub require_valid: bool,
    /// What is tolerated before a run is no longer valid, `NAME=NUMBER` as for `profile`
    #[arg(long, value_name = "NAME=NUMBER")]
    pub verdict_limit: Vec<String>,
}
