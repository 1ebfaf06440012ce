//! Flags for waiting until the server is ready.

use clap::Args;
use tokmeter_engine::readiness::ReadinessMode;

/// Wait before the run.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Waiting for the server")]
pub struct ReadinessArgs {
    /// Wait at most this long until the server is ready, in seconds; 0 does not wait
    #[arg(long, value_name = "SECONDS", default_value_t = 0.0)]
    pub wait_for_model_timeout: f64,
    /// inference: a small request is answered; models: /v1/models lists the model; both [default: inference]
    #[arg(long, value_name = "MODE")]
    pub wait_for_model_mode: Option<ReadinessMode>,
    /// Pause between two attempts, in seconds [default: 5]
    #[arg(long, value_name = "SECONDS")]
    pub wait_for_model_interval: Option<f64>,
}
