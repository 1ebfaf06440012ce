//! Flags of `report`.

use std::path::PathBuf;

use clap::Args;

/// Write one self-contained HTML page about one or several finished runs, ours or AIPerf's.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  The last run, opened in the browser:
    tokmeter report artifacts/my-run --open
  A sweep on one page, throughput against latency:
    tokmeter report artifacts/c1 artifacts/c8 artifacts/c64 -o sweep.html")]
pub struct ReportArgs {
    /// Run directories, record files (profile_export.jsonl, plain, gzip or zstd), or summaries
    /// (profile_export_aiperf.json)
    #[arg(value_name = "RUN", required = true)]
    pub runs: Vec<PathBuf>,
    /// The page [default: report.html in the directory of the first run]
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Open the page in the browser
    #[arg(long)]
    pub open: bool,
    /// Requests shown one by one over all runs: an even sample beyond it, and always the slowest and the failed
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    pub max_requests: usize,
}
