//! Flags of `scrape`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::page_limits::PageLimitArgs;
use super::profile::ParquetCompression;

/// Read servers' metrics without load: the collector of `profile` alone, with the same files.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  What a server does for half a minute:
    tokmeter scrape localhost:8000 --duration 30s
  Two workers and a GPU exporter, the statistics as JSON:
    tokmeter scrape node1:8081 node2:8081 --gpu-telemetry node1:9400 --format json
  What is on one page:
    curl -s localhost:8000/metrics | tokmeter scrape --page -")]
pub struct ScrapeArgs {
    /// Servers or their metrics pages: /metrics is added to a server
    #[arg(value_name = "URL", required_unless_present_any = ["page", "gpu_telemetry"])]
    pub urls: Vec<String>,
    /// How long to read: 30s, 5m, 500ms, or seconds
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    pub duration: Duration,
    /// From one scrape to the next [default: 333ms]
    #[arg(long, value_name = "TIME", value_parser = interval)]
    pub interval: Option<Duration>,
    /// Statistics for windows of this length too, in seconds
    #[arg(long, value_name = "SECONDS")]
    pub slice_duration: Option<f64>,
    /// Read one page from a file instead (- for standard input) and print what is on it
    #[arg(long, value_name = "FILE", conflicts_with_all = [
        "urls", "duration", "interval", "slice_duration", "gpu_telemetry", "server_metrics_formats",
        "server_metrics_compression", "output_artifact_dir", "profile_export_prefix", "header", "cacert", "insecure",
    ])]
    pub page: Option<PathBuf>,
    /// What to print
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub format: PrintFormat,
    /// DCGM exporter pages
    #[arg(long, value_name = "URL", num_args = 1..)]
    pub gpu_telemetry: Vec<String>,
    /// Files to write
    #[arg(long, value_name = "FORMAT", num_args = 1.., value_delimiter = ',', default_values = ["json", "csv", "parquet"], value_parser = ["json", "csv", "parquet", "jsonl"])]
    pub server_metrics_formats: Vec<String>,
    /// Compression of the Parquet file
    #[arg(long, value_name = "CODEC", default_value = "snappy")]
    pub server_metrics_compression: ParquetCompression,
    /// Directory for all files
    #[arg(
        long = "output-artifact-dir",
        visible_alias = "artifact-dir",
        value_name = "DIR",
        default_value = "artifacts/scrape"
    )]
    pub output_artifact_dir: PathBuf,
    /// Beginning of file names; a known suffix is cut
    #[arg(long = "profile-export-prefix", visible_alias = "profile-export-file", value_name = "PREFIX")]
    pub profile_export_prefix: Option<String>,
    /// Sent as `Authorization: Bearer` to every page; never written anywhere
    #[arg(long, value_name = "KEY", env = "TOKMETER_API_KEY", hide_env_values = true)]
    pub api_key: Option<String>,
    /// Header `Name:Value`, or a JSON object of headers; may be repeated
    #[arg(long, short = 'H', value_name = "HEADER")]
    pub header: Vec<String>,
    /// Trust the certificates of this PEM file too
    #[arg(long, value_name = "FILE")]
    pub cacert: Option<PathBuf>,
    /// Accept any certificate
    #[arg(long)]
    pub insecure: bool,
    /// Limits on pages.
    #[command(flatten)]
    pub page_limits: PageLimitArgs,
}

/// What goes to standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PrintFormat {
    /// Tables.
    Table,
    /// JSON: of a page its samples, else the content of `server_metrics_export.json`.
    Json,
}

/// A length of time: a number with `ms`, `s`, `m` or `h`; without a unit it is seconds.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no length of time, as 30s, 5m or 500ms");
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let seconds_per_unit = match &text[digits.len()..] {
        "ms" => 1e-3,
        "" | "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return Err(wrong()),
    };
    let number: f64 = digits.trim().parse().map_err(|_| wrong())?;
    Duration::try_from_secs_f64(number * seconds_per_unit).map_err(|_| wrong())
}

/// A length of time above zero.
fn interval(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("must be above 0".to_owned()),
        interval => Ok(interval),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time() {
        for (text, millis) in
            [("30s", 30_000), ("5m", 300_000), ("500ms", 500), ("1.5", 1500), ("1h", 3_600_000), ("0", 0)]
        {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "s", "-1s", "1d", "ten", "1e300h", "inf"] {
            assert!(duration(text).is_err(), "{text}");
        }
        assert!(interval("0ms").is_err() && interval("1ms").is_ok());
    }
}
