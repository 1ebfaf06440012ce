//! `gpu_telemetry_export.jsonl`: one line for each GPU and scrape (FORMATS 8).

use std::collections::BTreeMap;
use std::io::Write;

use serde::{Deserialize, Serialize};

use crate::server::telemetry::{GPU_METRICS, Gpu, GpuReading};
use crate::time::WallNs;

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GpuTelemetryLine {
    /// Which GPU.
    #[serde(flatten)]
    pub gpu: Gpu,
    /// When it was read.
    pub timestamp_ns: WallNs,
    /// Where it was read; older files call it `dcgm_url`.
    #[serde(alias = "dcgm_url")]
    pub telemetry_source_url: String,
    /// Values by metric, in the units of [`GPU_METRICS`]; counters as they stand.
    pub telemetry_data: BTreeMap<String, f64>,
}

impl GpuTelemetryLine {
    /// The line of a reading.
    pub fn of(reading: &GpuReading, timestamp_ns: WallNs, source_url: &str) -> GpuTelemetryLine {
        let values = GPU_METRICS.iter().zip(reading.values).filter(|(_, value)| value.is_finite());
        GpuTelemetryLine {
            gpu: reading.gpu.clone(),
            timestamp_ns,
            telemetry_source_url: source_url.to_owned(),
            telemetry_data: values.map(|(metric, value)| (metric.tag.to_owned(), value)).collect(),
        }
    }

    /// Writes the line with its line break.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub fn write(&self, mut output: impl Write) -> std::io::Result<()> {
        serde_json::to_writer(&mut output, self)?;
        output.write_all(b"\n")
    }
}
