//! GPU telemetry from the pages of NVIDIA's DCGM exporter: per GPU, in the units of AIPerf's files
//! (METRICS 2.4, FORMATS 8).
//!
//! A GPU is known by its UUID. Where a GPU is cut into instances (MIG), the exporter repeats the values of the
//! device for every instance; the largest one counts, so that power and energy are never counted twice.

mod block;

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::exposition::{Label, Page, Part};
use crate::time::WallNs;

/// How a value behaves over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GpuMetricKind {
    /// Goes up and down.
    Gauge,
    /// Only grows: the increase over the window counts.
    Counter,
    /// A code that stays until the next event: the number of events counts.
    Event,
}

/// A metric of a GPU.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GpuMetric {
    /// Name of the family in the exporter's page.
    pub field: &'static str,
    /// Name in our files.
    pub tag: &'static str,
    /// Unit in our files.
    pub unit: &'static str,
    /// From the exporter's unit to ours.
    pub scale: f64,
    /// How it behaves.
    pub kind: GpuMetricKind,
}

const fn gauge(field: &'static str, tag: &'static str, unit: &'static str, scale: f64) -> GpuMetric {
    GpuMetric { field, tag, unit, scale, kind: GpuMetricKind::Gauge }
}

/// Position of power in [`GPU_METRICS`].
const POWER: usize = 0;
/// Position of energy in [`GPU_METRICS`].
const ENERGY: usize = 1;

/// Every metric we read, in the order of the files. Memory is MiB there and 10^9 bytes here, energy mJ there and
/// MJ here.
pub const GPU_METRICS: [GpuMetric; 12] = [
    gauge("DCGM_FI_DEV_POWER_USAGE", "nvidia_power_usage", "W", 1.0),
    GpuMetric {
        field: "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION",
        tag: "nvidia_energy_consumption",
        unit: "MJ",
        scale: 1e-9,
        kind: GpuMetricKind::Counter,
    },
    gauge("DCGM_FI_DEV_GPU_UTIL", "nvidia_gpu_utilization", "%", 1.0),
    gauge("DCGM_FI_DEV_MEM_COPY_UTIL", "nvidia_memory_utilization", "%", 1.0),
    gauge("DCGM_FI_DEV_FB_USED", "nvidia_memory_used", "GB", 1_048_576.0 / 1e9),
    gauge("DCGM_FI_DEV_GPU_TEMP", "nvidia_temperature", "°C", 1.0),
    gauge("DCGM_FI_PROF_SM_ACTIVE", "nvidia_sm_utilization", "%", 100.0),
    gauge("DCGM_FI_DEV_DEC_UTIL", "nvidia_decoder_utilization", "%", 1.0),
    gauge("DCGM_FI_DEV_ENC_UTIL", "nvidia_encoder_utilization", "%", 1.0),
    gauge("DCGM_FI_DEV_JPG_UTIL", "nvidia_jpg_utilization", "%", 1.0),
    GpuMetric {
        field: "DCGM_FI_DEV_XID_ERRORS",
        tag: "nvidia_xid_errors",
        unit: "count",
        scale: 1.0,
        kind: GpuMetricKind::Event,
    },
    GpuMetric {
        field: "DCGM_FI_DEV_POWER_VIOLATION",
        tag: "nvidia_power_violation",
        unit: "us",
        scale: 1.0,
        kind: GpuMetricKind::Counter,
    },
];

/// Values DCGM writes for "blank", "not found", "not supported", "not permitted", as integer and as float.
const BLANK: [std::ops::RangeInclusive<f64>; 2] =
    [9_223_372_036_854_775_000.0..=f64::INFINITY, 140_737_488_355_328.0..=140_737_488_355_331.0];

/// Which GPU: the fields of a line of `gpu_telemetry_export.jsonl` that do not change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gpu {
    /// Index on its machine.
    pub gpu_index: u32,
    /// UUID.
    pub gpu_uuid: String,
    /// Product name.
    pub gpu_model_name: String,
    /// PCI address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pci_bus_id: Option<String>,
    /// Device name (`nvidia0`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// Machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// Kubernetes namespace of the pod that uses it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Kubernetes pod that uses it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_name: Option<String>,
    /// `nvidia`.
    #[serde(default)]
    pub platform: String,
}

/// One GPU at one scrape; a metric that is absent is NaN.
#[derive(Clone, Debug, PartialEq)]
pub struct GpuReading {
    /// Which GPU.
    pub gpu: Gpu,
    /// Its values, as [`GPU_METRICS`].
    pub values: [f64; GPU_METRICS.len()],
}

/// The GPUs of a page, in page order; empty when it is no page of a DCGM exporter.
pub fn read_page(page: &Page<'_>) -> Vec<GpuReading> {
    let mut readings: Vec<GpuReading> = Vec::new();
    let mut by_uuid: HashMap<String, usize> = HashMap::new();
    for family in &page.families {
        let Some(at) = GPU_METRICS.iter().position(|metric| metric.field == family.declared) else {
            continue;
        };
        for sample in page.samples(family).iter().filter(|sample| sample.part == Part::Value) {
            let Some(gpu) = gpu(page.labels(sample)) else { continue };
            let index = *by_uuid.entry(gpu.gpu_uuid.clone()).or_insert_with(|| {
                readings.push(GpuReading { gpu, values: [f64::NAN; GPU_METRICS.len()] });
                readings.len() - 1
            });
            if sample.value.is_finite() && !BLANK.iter().any(|blank| blank.contains(&sample.value)) {
                let value = &mut readings[index].values[at];
                *value = value.max(sample.value * GPU_METRICS[at].scale);
            }
        }
    }
    readings
}

fn gpu(labels: &[Label<'_>]) -> Option<Gpu> {
    let label = |name: &str| {
        let found = labels.iter().find(|label| label.name == name && !label.value.is_empty());
        found.map(|label| label.value.to_string())
    };
    let gpu_index = label("gpu")?.parse().ok()?;
    Some(Gpu {
        gpu_index,
        gpu_uuid: label("UUID")?,
        gpu_model_name: label("modelName").unwrap_or_default(),
        pci_bus_id: label("pci_bus_id"),
        device: label("device"),
        hostname: label("Hostname"),
        namespace: label("namespace"),
        pod_name: label("pod"),
        platform: "nvidia".to_owned(),
    })
}

/// Number of a source in its telemetry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SourceId(u32);

#[derive(Clone, Debug)]
struct Source {
    url: String,
    answered: bool,
}

#[derive(Clone, Debug)]
struct GpuSeries {
    source: SourceId,
    gpu: Gpu,
    times: Vec<WallNs>,
    values: Vec<[f64; GPU_METRICS.len()]>,
    /// Energy and other counters: what resets took away, to be added to what follows.
    lost: [f64; GPU_METRICS.len()],
    last: [f64; GPU_METRICS.len()],
}

/// Energy and power of all GPUs over a window: what the `nvidia_*` efficiency metrics are made of.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Power {
    /// Energy used, J: increase of the energy counters; without counters power times window.
    pub energy_j: Option<f64>,
    /// Sum over the GPUs of their mean power, W.
    pub power_w: Option<f64>,
}

/// Samples of one GPU beyond this halve its time resolution: 12 hours at 3 Hz, 13 MB.
const MAX_SAMPLES: usize = 131_072;

/// Most GPUs that are followed.
const MAX_GPUS: usize = 4_096;

/// All GPU samples of a run.
#[derive(Clone, Debug, Default)]
pub struct Telemetry {
    sources: Vec<Source>,
    gpus: Vec<GpuSeries>,
}

impl Telemetry {
    /// Nothing yet.
    pub fn new() -> Self {
        Telemetry::default()
    }

    /// Adds a source.
    pub fn source(&mut self, url: &str) -> SourceId {
        self.sources.push(Source { url: super::series::without_credentials(url), answered: false });
        SourceId(self.sources.len() as u32 - 1)
    }

    /// Adds the GPUs of one scrape.
    pub fn add(&mut self, source: SourceId, at: WallNs, readings: &[GpuReading]) {
        self.sources[source.0 as usize].answered |= !readings.is_empty();
        for reading in readings {
            let known =
                |series: &GpuSeries| series.source == source && series.gpu.gpu_uuid == reading.gpu.gpu_uuid;
            let index = match self.gpus.iter().position(known) {
                Some(index) => index,
                None if self.gpus.len() >= MAX_GPUS => continue,
                None => {
                    self.gpus.push(GpuSeries::new(source, reading.gpu.clone()));
                    self.gpus.len() - 1
                }
            };
            self.gpus[index].push(at, &reading.values);
        }
    }

    /// The URL of a source, without user and password.
    pub fn url(&self, source: SourceId) -> &str {
        &self.sources[source.0 as usize].url
    }

    /// Whether a source showed a GPU.
    pub fn has_answered(&self, source: SourceId) -> bool {
        self.sources[source.0 as usize].answered
    }

    /// Whether any GPU was seen.
    pub fn is_empty(&self) -> bool {
        self.gpus.is_empty()
    }

    /// Energy and power of all GPUs in `[start, end]`, as METRICS defines them: energy from the last sample
    /// before the window to the first one after it, power over the samples within.
    pub fn power(&self, start: WallNs, end: WallNs) -> Power {
        let sum = |values: Vec<f64>| (!values.is_empty()).then(|| values.iter().sum::<f64>());
        let power_w = sum(self.gpus.iter().filter_map(|gpu| gpu.mean(POWER, start, end)).collect());
        let counted = sum(self.gpus.iter().filter_map(|gpu| gpu.increase(ENERGY, start, end)).collect());
        let seconds = end.0.saturating_sub(start.0) as f64 / 1e9;
        Power { energy_j: counted.map(|mj| mj * 1e6).or(power_w.map(|watts| watts * seconds)), power_w }
    }
}

impl GpuSeries {
    fn new(source: SourceId, gpu: Gpu) -> Self {
        let none = [f64::NAN; GPU_METRICS.len()];
        GpuSeries {
            source,
            gpu,
            times: Vec::new(),
            values: Vec::new(),
            lost: [0.0; GPU_METRICS.len()],
            last: none,
        }
    }

    fn push(&mut self, at: WallNs, raw: &[f64; GPU_METRICS.len()]) {
        let mut values = *raw;
        for (index, metric) in GPU_METRICS.iter().enumerate() {
            if metric.kind == GpuMetricKind::Counter && !raw[index].is_nan() {
                if raw[index] < self.last[index] {
                    self.lost[index] += self.last[index];
                }
                self.last[index] = raw[index];
                values[index] += self.lost[index];
            }
        }
        self.times.push(at);
        self.values.push(values);
        if self.times.len() > MAX_SAMPLES {
            // The newest one has an even index, so it stays.
            self.times = self.times.iter().copied().step_by(2).collect();
            self.values = self.values.iter().copied().step_by(2).collect();
        }
    }

    /// Values of a metric within `[start, end]`.
    fn within(&self, metric: usize, start: WallNs, end: WallNs) -> Vec<f64> {
        let from = self.times.partition_point(|at| *at < start);
        let to = self.times.partition_point(|at| *at <= end);
        let values = self.values.get(from..to).unwrap_or_default();
        values.iter().map(|values| values[metric]).filter(|value| !value.is_nan()).collect()
    }

    fn mean(&self, metric: usize, start: WallNs, end: WallNs) -> Option<f64> {
        let values = self.within(metric, start, end);
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    }

    /// Samples from the last one before a window to the first one after it.
    fn around(&self, metric: usize, start: WallNs, end: WallNs) -> impl Iterator<Item = f64> + '_ {
        let from = self.times.partition_point(|at| *at < start).saturating_sub(1);
        let to = (self.times.partition_point(|at| *at <= end) + 1).min(self.times.len());
        let values = self.values.get(from..to).unwrap_or_default();
        values.iter().map(move |values| values[metric]).filter(|value| !value.is_nan())
    }

    fn increase(&self, metric: usize, start: WallNs, end: WallNs) -> Option<f64> {
        let mut values = self.around(metric, start, end);
        let first = values.next()?;
        Some((values.last()? - first).max(0.0))
    }

    /// How often a code changed to another one that is not zero.
    fn events(&self, metric: usize, start: WallNs, end: WallNs) -> Option<f64> {
        let mut values = self.around(metric, start, end);
        let mut code = values.next()?;
        let mut events = 0.0;
        for value in values {
            if value != code && value != 0.0 {
                events += 1.0;
            }
            code = value;
        }
        Some(events)
    }
}

#[cfg(test)]
mod tests;
