//! Flags of `gate`.

use std::path::PathBuf;

use clap::Args;
use tokmeter_record::analysis::gate::MaxRegress;
use tokmeter_record::analysis::slo::RunSlo;

/// Fail when a run got worse than a baseline allows, or breaks an SLO.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  At most 5 % slower at the p95 of first tokens, at most 2 % less throughput:
    tokmeter gate artifacts/after --baseline artifacts/before \\
      --max-regress ttft_p95=5% --max-regress output_token_throughput=2%
  SLOs of a run, with JUnit XML for the CI system:
    tokmeter gate artifacts/run --slo 'ttft_p99<500ms' --slo 'error_rate<1%' --junit slo.xml
  In GitHub Actions the step summary is written on its own ($GITHUB_STEP_SUMMARY).

A check passes when it is proven with the confidence asked for (95% unless --confidence or '@99%' behind an
SLO say otherwise), and is broken when the contrary is. In between it is not proven, and a run may have too few
requests for any statement; both fail unless --allow-unproven is given.

Exit codes: 0 all checks passed, 1 at least one did not, 2 wrong usage or unreadable runs.")]
pub struct GateArgs {
    /// The run to judge: a directory, a record file, or a result of another tool
    #[arg(value_name = "RUN")]
    pub run: PathBuf,
    /// The run it is compared with
    #[arg(long, value_name = "RUN", requires = "max_regress")]
    pub baseline: Option<PathBuf>,
    /// Most that a figure may get worse, such as ttft_p95=5%; may be repeated
    #[arg(long, value_name = "FIGURE=PERCENT", requires = "baseline")]
    pub max_regress: Vec<MaxRegress>,
    /// SLO of the run, such as 'time_to_first_token_p99<500ms'; may be repeated
    #[arg(long, value_name = "SLO", required_unless_present_any = ["max_regress", "slo_file"])]
    pub slo: Vec<RunSlo>,
    /// File with one SLO on a line
    #[arg(long, value_name = "FILE")]
    pub slo_file: Option<PathBuf>,
    /// Confidence of --max-regress, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = 95.0, value_parser = confidence)]
    pub confidence: f64,
    /// Let checks pass that are neither proven nor broken
    #[arg(long)]
    pub allow_unproven: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Write the checks as JUnit XML
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Append the checks as Markdown [default: $GITHUB_STEP_SUMMARY, where it is set]
    #[arg(long, value_name = "FILE", env = "GITHUB_STEP_SUMMARY")]
    pub step_summary: Option<PathBuf>,
    /// Seed of the resampling
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    pub seed: u64,
    /// Compare although load, input or endpoint of the runs differ
    #[arg(long)]
    pub force: bool,
}

fn confidence(text: &str) -> Result<f64, String> {
    match super::compare::percent(text) {
        Ok(percent) if (50.0..100.0).contains(&percent) => Ok(percent),
        _ => Err("expected a percentage from 50 to below 100".to_owned()),
    }
}
