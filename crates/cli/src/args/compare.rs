//! Flags of `compare`.

use std::path::PathBuf;

use clap::Args;
use tokmeter_record::analysis::statistic::Statistic;

/// Compare runs with a baseline, figure by figure, and say which differences are more than chance.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  Did the new build get slower?
    tokmeter compare artifacts/before artifacts/after
  Several candidates against the first run, as JSON:
    tokmeter compare artifacts/base artifacts/a artifacts/b --json
  Only first tokens, at the tail:
    tokmeter compare a b --metric time_to_first_token --stat p95 --stat p99
  With other tools' results (AIPerf, genai-perf, vLLM bench, sglang bench_serving, guidellm):
    tokmeter compare vllm-bench.json artifacts/after --force

Intervals hold together: of comparisons of two equal runs at most the rate given by --alpha shows any
difference. Interrupted streaks and other differences between runs are not in them: compare two runs of the
same server first to see how large those are. Runs whose load or input differs are refused without --force.

Exit codes: 0 compared, 2 wrong usage or runs that cannot be compared.")]
pub struct CompareArgs {
    /// Run directories, record files, or results of other tools; the first is the baseline
    #[arg(value_name = "RUN", required = true)]
    pub runs: Vec<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Compare this metric instead of the usual ones; may be repeated
    #[arg(long, value_name = "TAG", value_delimiter = ',')]
    pub metric: Vec<String>,
    /// Compare this statistic: avg, min, max or a percentile; may be repeated [default: avg, p50, p90, p99]
    #[arg(long = "stat", value_name = "STAT", value_delimiter = ',')]
    pub statistics: Vec<Statistic>,
    /// Share of comparisons of equal runs in which anything may be called a difference
    #[arg(long, value_name = "RATE", default_value_t = 0.05, value_parser = rate)]
    pub alpha: f64,
    /// Smallest change that is called a difference, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = 1.0, value_parser = percent)]
    pub min_effect: f64,
    /// Seed of the resampling
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    pub seed: u64,
    /// Compare although load, input or endpoint of the runs differ
    #[arg(long)]
    pub force: bool,
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate > 0.0 && rate < 1.0 => Ok(rate),
        _ => Err("expected a number between 0 and 1, such as 0.05".to_owned()),
    }
}

/// A percentage, with or without `%`.
pub(super) fn percent(text: &str) -> Result<f64, String> {
    match text.trim().trim_end_matches('%').trim().parse::<f64>() {
        Ok(percent) if percent.is_finite() && percent >= 0.0 => Ok(percent),
        _ => Err("expected a percentage such as 5%".to_owned()),
    }
}
