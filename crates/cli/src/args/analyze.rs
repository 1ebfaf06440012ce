//! Flags of `analyze`.

use std::path::PathBuf;

use clap::Args;
use tokmeter_record::analysis::Filter;
use tokmeter_record::analysis::text::Section;

/// Analyze the HTTP traces and tokens of finished runs, ours or AIPerf's.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  Everything about the last run:
    tokmeter analyze artifacts/my-run
  Why were the ten slowest requests slow:
    tokmeter analyze artifacts/my-run --section slowest --slowest 10
  Only the requests with a slow first token, as JSON:
    tokmeter analyze profile_export.jsonl.zst --filter 'ttft>500ms and not failed' --json
  Several machines' files as one, from a pipe:
    zcat node-*/profile_export.jsonl.gz | tokmeter analyze -

Filters compare a metric (its tag, or ttft, itl, latency, isl, osl, ...) or a fact of the trace (ttfb, ttlb,
blocked, dns_lookup, connecting, sending, waiting, receiving, duration, total, request_bytes, response_bytes,
chunks, status, failed, reused, created, retried, streaming, connection_request_number, ...) with a number:
  'ttft>500ms'   'status>=500 or failed'   'isl>4000 and not reused'   'response_bytes>1MB'
A number without a unit is meant in the unit of the file (ms for times). A name alone asks whether it holds.")]
pub struct AnalyzeArgs {
    /// Record files (profile_export.jsonl, plain, gzip or zstd), run directories, or - for standard input;
    /// several are analyzed as one
    #[arg(value_name = "PATH", required = true)]
    pub paths: Vec<PathBuf>,
    /// Print JSON
    #[arg(long, conflicts_with = "csv")]
    pub json: bool,
    /// Print CSV: section, figure, statistic, unit, value
    #[arg(long)]
    pub csv: bool,
    /// Print this section only; may be repeated: overview, phases, connections, dns, send, ttfb, ttlb, streaming,
    /// bandwidth, tokens, correlation, efficiency, validation, insights, slowest
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub section: Vec<Section>,
    /// Analyze only records for which this holds, such as 'ttft>500ms'
    #[arg(long, value_name = "FILTER")]
    pub filter: Option<Filter>,
    /// Explain the N slowest requests [default: 5 with --section slowest, else none]
    #[arg(long, value_name = "N")]
    pub slowest: Option<usize>,
    /// Count the warmup records too
    #[arg(long)]
    pub include_warmup: bool,
}
