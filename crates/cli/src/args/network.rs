//! Flags of the network's own latency.

use clap::Args;

/// The network's round trip, for latencies without it.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Network latency")]
pub struct NetworkArgs {
    /// Measure the round trip to the server by TCP connections beside the load, and give latencies without it too
    #[arg(long, conflicts_with = "network_latency_mean")]
    pub network_latency_automatic: bool,
    /// The round trip to the server, in ms, where it is known
    #[arg(long, value_name = "MS")]
    pub network_latency_mean: Option<f64>,
    /// Pause between two measurements, in seconds [default: 1]
    #[arg(long, value_name = "SECONDS", requires = "network_latency_automatic")]
    pub network_latency_ping_interval: Option<f64>,
}
