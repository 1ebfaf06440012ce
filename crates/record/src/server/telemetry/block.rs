//! The `telemetry_data` block of the summary (FORMATS 5).

use std::collections::BTreeMap;

use super::{GPU_METRICS, GpuMetricKind, GpuSeries, Telemetry};
use crate::format::local_time;
use crate::format::telemetry::{GpuSummary, TelemetryData, TelemetryEndpoint, TelemetrySummary};
use crate::server::gauge;
use crate::server::statistics::Stats;
use crate::statistics::{MetricSet, MetricSummary};
use crate::time::WallNs;

impl Telemetry {
    /// The block for `[start, end]`. Without any GPU it still says which sources were asked.
    pub fn block(&self, start: WallNs, end: WallNs) -> TelemetryData {
        let mut endpoints: BTreeMap<String, TelemetryEndpoint> = BTreeMap::new();
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
            error_summary: Some(Vec::new()),
        }
    }
}

impl GpuSeries {
    fn summary(&self, start: WallNs, end: WallNs) -> GpuSummary {
        let mut metrics = MetricSet::default();
        for (index, metric) in GPU_METRICS.iter().enumerate() {
            let single = |avg: Option<f64>| avg.and_then(|avg| MetricSummary::scalar(metric.unit, avg));
            let summary = match metric.kind {
                GpuMetricKind::Gauge => {
                    let values = self.within(index, start, end);
                    let count = Some(values.len() as u64);
                    gauge::of_samples(values).map(|stats| of_gauge(metric.unit, Stats { count, ..stats }))
                }
                GpuMetricKind::Counter => single(self.increase(index, start, end)),
                GpuMetricKind::Event => single(self.events(index, start, end)),
            };
            if let Some(summary) = summary {
                metrics.insert(metric.tag, summary);
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

fn of_gauge(unit: &'static str, stats: Stats) -> MetricSummary {
    let Stats { count, avg, min, max, std, p1, p5, p10, p25, p50, p75, p90, p95, p99, .. } = stats;
    let unit = unit.into();
    MetricSummary {
        unit,
        avg,
        p1,
        p5,
        p10,
        p25,
        p50,
        p75,
        p90,
        p95,
        p99,
        min,
        max,
        std,
        count,
        sum: None,
        approximate: false,
    }
}

/// Host and port of a URL.
fn display(url: &str) -> String {
    let bare = url.split_once("://").map_or(url, |(_, rest)| rest);
    bare.split(['/', '?']).next().unwrap_or_default().to_owned()
}
