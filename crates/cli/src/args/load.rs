//! Load flags of `profile`: how much, and when; and the same for its warmup.

use std::path::PathBuf;

use clap::Args;
use tokmeter_engine::schedule::ArrivalPattern;

use super::swept::Swept;

/// How much, and when.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Load")]
pub struct LoadArgs {
    /// Requests in flight (default 1 without a rate)
    #[arg(long, value_name = "N")]
    pub concurrency: Option<Swept<u32>>,
    /// Requests that may wait for their first token at once (needs --streaming)
    #[arg(long, value_name = "N")]
    pub prefill_concurrency: Option<Swept<u32>>,
    /// Requests a second; with --concurrency that is a cap
    #[arg(long, value_name = "RATE")]
    pub request_rate: Option<Swept<f64>>,
    /// Shape of arrivals (default poisson, or gamma with --arrival-smoothness)
    #[arg(long = "arrival-pattern", visible_alias = "request-rate-mode", value_name = "PATTERN")]
    pub arrival_pattern: Option<ArrivalPattern>,
    /// Shape of gamma arrivals: 1 is Poisson, higher is smoother
    #[arg(long = "arrival-smoothness", visible_alias = "vllm-burstiness", value_name = "SHAPE")]
    pub arrival_smoothness: Option<f64>,
    /// File of `seconds,rate` lines: a rate that changes over time
    #[arg(long, value_name = "FILE", conflicts_with_all = ["request_rate", "user_centric_rate"])]
    pub request_rate_series: Option<PathBuf>,
    /// Requests to send (default 10 without another end)
    #[arg(long = "request-count", visible_alias = "num-requests", value_name = "N")]
    pub request_count: Option<Swept<u64>>,
    /// Send for this long, in seconds
    #[arg(long, value_name = "SECONDS")]
    pub benchmark_duration: Option<Swept<f64>>,
    /// How long requests in flight may go on after that, in seconds (default 30; `inf` waits for all)
    #[arg(long, value_name = "SECONDS", requires = "benchmark_duration")]
    pub benchmark_grace_period: Option<f64>,
    /// Reach the concurrency over this long, in seconds
    #[arg(long, value_name = "SECONDS")]
    pub concurrency_ramp_duration: Option<f64>,
    /// Reach the prefill concurrency over this long, in seconds
    #[arg(long, value_name = "SECONDS")]
    pub prefill_concurrency_ramp_duration: Option<f64>,
    /// Reach the rate over this long, in seconds
    #[arg(long, value_name = "SECONDS")]
    pub request_rate_ramp_duration: Option<f64>,
    /// Send each request at its instant in the trace
    #[arg(long, conflicts_with_all = ["request_rate", "user_centric_rate", "no_fixed_schedule"])]
    pub fixed_schedule: bool,
    /// Ignore the trace's instants
    #[arg(long)]
    pub no_fixed_schedule: bool,
    /// Begin the schedule at its first request
    #[arg(long, requires = "fixed_schedule", conflicts_with = "fixed_schedule_start_offset")]
    pub fixed_schedule_auto_offset: bool,
    /// Leave out requests before this instant, in ms
    #[arg(long, value_name = "MS", requires = "fixed_schedule")]
    pub fixed_schedule_start_offset: Option<u64>,
    /// Leave out requests after this instant, in ms
    #[arg(long, value_name = "MS", requires = "fixed_schedule")]
    pub fixed_schedule_end_offset: Option<u64>,
    /// Play the schedule this many times faster
    #[arg(long, value_name = "FACTOR")]
    pub replay_speedup: Option<f64>,
    /// Each of --num-users sends at its own pace; together this many requests a second
    #[arg(long, value_name = "RATE", requires = "num_users", conflicts_with = "request_rate")]
    pub user_centric_rate: Option<f64>,
    /// Users of --user-centric-rate
    #[arg(long, value_name = "N", requires = "user_centric_rate")]
    pub num_users: Option<Swept<u32>>,
    /// Cancel this share of requests, in percent
    #[arg(long, value_name = "PERCENT")]
    pub request_cancellation_rate: Option<f64>,
    /// Cancel this long after a request was sent, in seconds (default 0)
    #[arg(long, value_name = "SECONDS", requires = "request_cancellation_rate")]
    pub request_cancellation_delay: Option<f64>,
    /// Exit 1 when more than this share of requests failed (0 to 1; requests cancelled on purpose do not count)
    #[arg(long, value_name = "SHARE")]
    pub failed_request_threshold: Option<f64>,
}

/// The phase before the measurement.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Warmup")]
pub struct WarmupArgs {
    /// Requests of the warmup
    #[arg(long = "warmup-request-count", visible_alias = "num-warmup-requests", value_name = "N")]
    pub warmup_request_count: Option<u64>,
    /// Length of the warmup, in seconds
    #[arg(long, value_name = "SECONDS")]
    pub warmup_duration: Option<f64>,
    /// Sessions of the warmup
    #[arg(long, value_name = "N")]
    pub num_warmup_sessions: Option<u64>,
    /// Requests in flight during warmup [default: as in the measurement]
    #[arg(long, value_name = "N")]
    pub warmup_concurrency: Option<u32>,
    /// Requests that may wait for their first token at once during warmup
    #[arg(long, value_name = "N")]
    pub warmup_prefill_concurrency: Option<u32>,
    /// Requests a second during warmup
    #[arg(long, value_name = "RATE")]
    pub warmup_request_rate: Option<f64>,
    /// Shape of arrivals during warmup
    #[arg(long, value_name = "PATTERN")]
    pub warmup_arrival_pattern: Option<ArrivalPattern>,
    /// How long warmup requests may go on after the warmup's duration, in seconds
    #[arg(long, value_name = "SECONDS", requires = "warmup_duration")]
    pub warmup_grace_period: Option<f64>,
    /// Reach the warmup concurrency over this long, in seconds
    #[arg(long, value_name = "SECONDS")]
    pub warmup_concurrency_ramp_duration: Option<f64>,
    /// Reach the warmup prefill concurrency over this long, in seconds
    #[arg(long, value_name = "SECONDS")]
    pub warmup_prefill_concurrency_ramp_duration: Option<f64>,
    /// Reach the warmup rate over this long, in seconds
    #[arg(long, value_name = "SECONDS")]
    pub warmup_request_rate_ramp_duration: Option<f64>,
}
