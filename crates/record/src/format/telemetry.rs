//! `telemetry_data` of the summary: what the GPUs did (FORMATS 5 and METRICS 2.4). Gauges have full statistics,
//! counters their increase as `avg`. Made by [`Telemetry::block`](crate::server::telemetry::Telemetry::block).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::statistics::{ErrorCount, MetricSet};

/// GPUs by the endpoint that reported them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TelemetryData {
    /// Sources and times.
    pub summary: TelemetrySummary,
    /// Sources by their short name (`host:port`).
    #[serde(default)]
    pub endpoints: BTreeMap<String, TelemetryEndpoint>,
    /// What went wrong while collecting.
    #[serde(default)]
    pub error_summary: Option<Vec<ErrorCount>>,
}

/// Which sources were asked, and which answered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TelemetrySummary {
    /// Asked.
    #[serde(default)]
    pub endpoints_configured: Vec<String>,
    /// Answered.
    #[serde(default)]
    pub endpoints_successful: Vec<String>,
    /// First sample, local time.
    pub start_time: String,
    /// Last sample, local time.
    pub end_time: String,
}

/// The GPUs of one source.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TelemetryEndpoint {
    /// By `gpu_0`, `gpu_1` ...
    #[serde(default)]
    pub gpus: BTreeMap<String, GpuSummary>,
}

/// One GPU.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GpuSummary {
    /// Its number on the host.
    pub gpu_index: u32,
    /// Product name.
    pub gpu_name: String,
    /// Its UUID.
    pub gpu_uuid: String,
    /// `nvidia` or `amd`.
    #[serde(default = "unknown")]
    pub platform: String,
    /// The host it is in; AIPerf's model wants the key even when nothing is known.
    #[serde(default)]
    pub hostname: Option<String>,
    /// Kubernetes namespace that uses it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Kubernetes pod that uses it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_name: Option<String>,
    /// Its metrics.
    #[serde(default)]
    pub metrics: MetricSet,
}

fn unknown() -> String {
    "unknown".to_owned()
}
