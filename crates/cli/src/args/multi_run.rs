//! Flags of repeated runs and of sweeps.

use clap::Args;

/// Several runs in one command.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Several runs")]
pub struct MultiRunArgs {
    /// Runs of the same load, for confidence intervals (1 to 10)
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10))]
    pub num_profile_runs: u32,
    /// Pause between two runs of the same load, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 0.0)]
    pub profile_run_cooldown_seconds: f64,
    /// Probability with which a confidence interval holds the mean
    #[arg(long, value_name = "LEVEL", default_value_t = 0.95)]
    pub confidence_level: f64,
    /// Warm up before the first run only (the default)
    #[arg(long, overrides_with = "no_profile_run_disable_warmup_after_first")]
    pub profile_run_disable_warmup_after_first: bool,
    /// Warm up before every run
    #[arg(long)]
    pub no_profile_run_disable_warmup_after_first: bool,
    /// The same seed, so the same prompts, in every run of the same load (the default)
    #[arg(long, overrides_with = "no_set_consistent_seed")]
    pub set_consistent_seed: bool,
    /// A seed of its own for every run: no run meets the prefix cache that another has filled
    #[arg(long)]
    pub no_set_consistent_seed: bool,
    /// A seed derived from --random-seed for every run of the same load
    #[arg(long, conflicts_with = "set_consistent_seed")]
    pub vary_seed_per_trial: bool,
    /// Pause between two variations of a sweep, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 0.0)]
    pub parameter_sweep_cooldown_seconds: f64,
    /// The same seed for all variations of a sweep
    #[arg(long)]
    pub parameter_sweep_same_seed: bool,
    /// repeated: the whole sweep several times; independent: all runs of a variation, then the next one
    #[arg(long, value_name = "MODE", default_value = "repeated", ignore_case = true, value_parser = ["repeated", "independent"])]
    pub parameter_sweep_mode: String,
    /// Several swept flags: grid runs all combinations, zip the first values together, the second values ...
    #[arg(long, value_name = "TYPE", default_value = "grid", ignore_case = true, value_parser = ["grid", "zip"])]
    pub sweep_type: String,
    /// Do not print the table of a sweep
    #[arg(long)]
    pub no_sweep_table: bool,
}
