//! The `telemetry_data` block of the summary (FORMATS 5).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{GPU_METRICS, GpuMetricKind, GpuSeries, Telemetry};
use crate::format::local_time;
use crate::server::gauge;
use crate::server::statistics::Stats;
use crate::time::WallNs;

/// The whole block.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TelemetryData {
    /// Sources and times.
    pub summary: TelemetrySummary,
    /// GPUs by source, shown as host and port.
    pub endpoints: BTreeMap<String, EndpointTelemetry>,
    /// Errors of the sources.
    #[serde(default)]
    pub error_summary: Vec<serde_json::Value>,
}

/// Sources and times.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TelemetrySummary {
    /// Sources that were asked.
    #[serde(default)]
    pub endpoints_configured: Vec<String>,
    /// Sources that showed a GPU.
    #[serde(default)]
    pub endpoints_successful: Vec<String>,
    /// Begin of the window, local time.
    pub start_time: String,
    /// End of the window, local time.
    pub end_time: String,
}

/// The GPUs of one source.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EndpointTelemetry {
    /// GPUs as `gpu_0`, `gpu_1`, ...
    pub gpus: BTreeMap<String, GpuSummary>,
}

/// One GPU over the window.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GpuSummary {
    /// Index on its machine.
    pub gpu_index: u32,
    /// Product name.
    pub gpu_name: String,
    /// UUID.
    pub gpu_uuid: String,
    /// `nvidia`.
    #[serde(default)]
    pub platform: String,
    /// Machine; readers want the key even when it is unknown.
    #[serde(default)]
    pub hostname: Option<String>,
    /// Kubernetes namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Kubernetes pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_name: Option<String>,
    /// Statistics by metric.
    pub metrics: BTreeMap<String, GpuMetricStatistics>,
}

/// One metric of one GPU: full statistics of a gauge; of a counter its increase, as `avg`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GpuMetricStatistics {
    /// Unit of the values.
    pub unit: String,
    /// The statistics.
    #[serde(flatten)]
    pub stats: Stats,
}

impl Telemetry {
    /// The block for `[start, end]`. Without any GPU it still says which sources were asked.
    pub fn block(&self, start: WallNs, end: WallNs) -> TelemetryData {
        let mut endpoints: BTreeMap<String, EndpointTelemetry> = BTreeMap::new();
        for gpu in &self.gpus {
            let display = display(&self.sources[gpu.source.0 as usize].url);
            let gpus = &mut endpoints.entry(display).or_default().gpus;
            let mut key = format!("gpu_{}", gpu.gpu.gpu_index);
            if gpus.contains_key(&key) {
                // Two machines behind one exporter address have a GPU of the same index.
                key = format!("gpu_{}_{}", gpu.gpu.gpu_index, gpu.gpu.gpu_uuid);
            }
            gpus.insert(key, gpu.summary(start, end));
        }
        let urls = |answered: bool| {
            let wanted = self.sources.iter().filter(move |source| source.answered || !answered);
            wanted.map(|source| source.url.clone()).collect()
        };
        TelemetryData {
            summary: TelemetrySummary {
                endpoints_configured: urls(false),
                endpoints_successful: urls(true),
                start_time: local_time(start),
                end_time: local_time(end),
            },
            endpoints,
            error_summary: Vec::new(),
        }
    }
}

impl GpuSeries {
    fn summary(&self, start: WallNs, end: WallNs) -> GpuSummary {
        let mut metrics = BTreeMap::new();
        for (index, metric) in GPU_METRICS.iter().enumerate() {
            let single = |avg: Option<f64>| avg.map(|avg| Stats { avg: Some(avg), ..Stats::default() });
            let stats = match metric.kind {
                GpuMetricKind::Gauge => {
                    let values = self.within(index, start, end);
                    let count = Some(values.len() as u64);
                    gauge::of_samples(values).map(|stats| Stats { count, ..stats })
                }
                GpuMetricKind::Counter => single(self.increase(index, start, end)),
                GpuMetricKind::Event => single(self.events(index, start, end)),
            };
            if let Some(stats) = stats {
                metrics.insert(
                    metric.tag.to_owned(),
                    GpuMetricStatistics { unit: metric.unit.to_owned(), stats },
                );
            }
        }
        GpuSummary {
            gpu_index: self.gpu.gpu_index,
            gpu_name: self.gpu.gpu_model_name.clone(),
            gpu_uuid: self.gpu.gpu_uuid.clone(),
            platform: self.gpu.platform.clone(),
            hostname: self.gpu.hostname.clone(),
            namespace: self.gpu.namespace.clone(),
            pod_name: self.gpu.pod_name.clone(),
            metrics,
        }
    }
}

/// Host and port of a URL.
fn display(url: &str) -> String {
    let bare = url.split_once("://").map_or(url, |(_, rest)| rest);
    bare.split(['/', '?']).next().unwrap_or_default().to_owned()
}
