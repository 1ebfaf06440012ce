//! Flags that say which files a run writes, and how much goes into them.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// What is written.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Output")]
pub struct OutputArgs {
    /// Directory for all files [default: ./artifacts/<model>-<service>-<endpoint>-<load>]
    #[arg(long = "output-artifact-dir", visible_alias = "artifact-dir", value_name = "DIR")]
    pub output_artifact_dir: Option<PathBuf>,
    /// Beginning of file names; a known suffix is cut
    #[arg(long = "profile-export-prefix", visible_alias = "profile-export-file", value_name = "PREFIX")]
    pub profile_export_prefix: Option<String>,
    /// summary: no file per request; records: one line each; raw: bodies and every message too
    #[arg(
        long = "export-level",
        visible_alias = "profile-export-level",
        value_name = "LEVEL",
        default_value = "records"
    )]
    pub export_level: ExportLevel,
    /// Formats of the records: JSON lines, Parquet (one flat row each, complete when the run has ended), or both
    #[arg(long, value_name = "FORMAT", num_args = 1.., value_delimiter = ',', default_value = "jsonl")]
    pub record_formats: Vec<RecordFormat>,
    /// Put instants, headers, connection and chunks of every request into the records
    #[arg(long)]
    pub export_http_trace: bool,
    /// Write every request as an HTTP Archive (HAR 1.2) that network panels of browsers open
    #[arg(long, value_name = "FILE")]
    pub export_har: Option<PathBuf>,
    /// Write every request as a trace for ui.perfetto.dev, one track for each connection
    #[arg(long, value_name = "FILE")]
    pub export_perfetto: Option<PathBuf>,
    /// Print the table of HTTP phases too
    #[arg(long)]
    pub show_trace_timing: bool,
    /// Statistics for windows of this length, in seconds
    #[arg(long, value_name = "SECONDS")]
    pub slice_duration: Option<f64>,
    /// Write the answers to outputs.json
    #[arg(long)]
    pub export_outputs_json: bool,
    /// Objectives of goodput: `tag:value` pairs, `"time_to_first_token:200 inter_token_latency:20"`
    #[arg(long, value_name = "PAIRS", num_args = 1..)]
    pub goodput: Vec<String>,
}

/// A format of the records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RecordFormat {
    /// `profile_export.jsonl`.
    Jsonl,
    /// `profile_export.parquet`.
    Parquet,
}

/// How much is written per request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExportLevel {
    /// Summary files only.
    Summary,
    /// One line for each request.
    Records,
    /// Bodies and every response message too.
    Raw,
}
