//! What a run knows of itself.

use serde::{Deserialize, Serialize};

/// The figures a verdict is decided on. What is not known is absent and decides nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Evidence {
    /// Time received data lay in the socket before it was read, median, ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recv_lag_p50_ms: Option<f64>,
    /// The same, 99th percentile, ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recv_lag_p99_ms: Option<f64>,
    /// Most bytes that lay in one socket for over 1 ms before they were read; absent without kernel stamps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unread_high_bytes: Option<u64>,
    /// Send start minus intended instant, 99th percentile, ms; open loops only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule_lag_p99_ms: Option<f64>,
    /// Median time to first token, ms: what the calibrated error is measured against.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_token_p50_ms: Option<f64>,
    /// Median inter-token latency, ms: what lags are measured against.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inter_token_p50_ms: Option<f64>,
    /// Share of requests whose latencies rest on kernel stamps, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel_stamps: Option<f64>,
    /// CPU time of the busiest sending thread over the length of its phase, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shard_busy: Option<f64>,
    /// Mean time from being ready to running of the sending thread that waited longest, ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub core_wait_ms: Option<f64>,
    /// Share of the run a CPU quota held this process back, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub throttled_share: Option<f64>,
    /// Share of the machine's CPU the hypervisor took, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steal_share: Option<f64>,
    /// How often requests waited for the decoders.
    pub decode_stalls: u64,
    /// Most exchanges that waited for a decoder.
    pub decode_backlog_high: u64,
    /// Requests per second asked for; open loops only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked_rate: Option<f64>,
    /// Requests per second sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivered_rate: Option<f64>,
    /// Arrivals that found every slot taken.
    pub slot_waits: u64,
    /// Requests sent.
    pub requests: u64,
    /// Share of the prompt tokens that came from the server's cache, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cached_share: Option<f64>,
    /// Share that the dataset shares on purpose, 0 to 1; absent when the dataset does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cached_share_asked: Option<f64>,
    /// Move of the wall clock against the monotonic one during the run, ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock_step_ms: Option<f64>,
    /// Successful requests.
    pub samples: u64,
    /// Error of this machine's times to first token at this load, 99th percentile, ms (`--calibrate`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calibrated_error_p99_ms: Option<f64>,
}

impl Evidence {
    /// Requests sent over requests asked for, 0 to 1.
    pub fn delivered_share(&self) -> Option<f64> {
        Some(self.delivered_rate? / self.asked_rate.filter(|rate| *rate > 0.0)?)
    }

    /// Share of an open loop's arrivals that found every slot taken, 0 to 1.
    pub fn slot_wait_share(&self) -> Option<f64> {
        self.asked_rate?;
        (self.requests > 0).then(|| self.slot_waits as f64 / self.requests as f64)
    }

    /// Cached share beyond what the dataset shares on purpose, 0 to 1.
    pub fn unasked_cached_share(&self) -> Option<f64> {
        Some(self.cached_share? - self.cached_share_asked.unwrap_or(0.0))
    }

    /// The calibrated error as a share of the median time to first token.
    pub fn own_error_share(&self) -> Option<f64> {
        Some(self.calibrated_error_p99_ms? / self.first_token_p50_ms.filter(|latency| *latency > 0.0)?)
    }

    /// How far a single latency may be off because of this client, ms: what calibration measured; without it the
    /// receive lag, which is an upper bound, as stamps of the kernel do not contain it.
    pub fn error_bar_ms(&self) -> Option<f64> {
        self.calibrated_error_p99_ms.or(self.recv_lag_p99_ms)
    }
}
