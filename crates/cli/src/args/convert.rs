//! Flags of `convert`.

use std::path::PathBuf;

use clap::Args;

/// Write the records of a run in another format: JSON lines or Parquet.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  Records for DuckDB, pandas or Spark (one flat row each):
    tokmeter convert artifacts/run run.parquet
  And back:
    tokmeter convert run.parquet run.jsonl
  AIPerf's own records, packed:
    tokmeter convert profile_export.jsonl.gz profile_export.parquet

Exit codes: 0 converted (lines that are no records are left out, counted and the first ones named), 2 wrong usage,
unreadable input, or an output that cannot be written.")]
pub struct ConvertArgs {
    /// Run directory or record file: JSON lines (plain, gzip, zstd) or Parquet
    #[arg(value_name = "RUN")]
    pub input: PathBuf,
    /// File to write; its ending decides: .parquet or .jsonl
    #[arg(value_name = "FILE")]
    pub output: PathBuf,
}
