//! `server_metrics_export.json`: statistics of every series (AIPerf schema 1.1, FORMATS 7.2).

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{AIPERF_VERSION, local_time};
use crate::request::BenchmarkPhase;
use crate::server::series::{Fetches, Store};
use crate::server::statistics::Metrics;
use crate::server::{PhaseMark, Window};
use crate::time::WallNs;

/// Version of the format.
pub const SCHEMA_VERSION: &str = "1.1";

/// The whole file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServerMetricsFile {
    /// [`SCHEMA_VERSION`].
    pub schema_version: String,
    /// [`AIPERF_VERSION`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aiperf_version: Option<String>,
    /// Id of the run, the same in all of its files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub benchmark_id: Option<String>,
    /// Endpoints and times.
    pub summary: Summary,
    /// The phase `metrics` is about.
    #[serde(default)]
    pub metrics_phase: BenchmarkPhase,
    /// Metrics by name.
    pub metrics: Metrics,
    /// The same for the warmup, when there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warmup_metrics: Option<Metrics>,
    /// Settings of the run.
    #[serde(default)]
    pub input_config: Value,
}

/// Endpoints and times of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// What should have been scraped.
    #[serde(default)]
    pub endpoints_configured: Vec<Arc<str>>,
    /// What delivered at least one page.
    #[serde(default)]
    pub endpoints_successful: Vec<Arc<str>>,
    /// Begin of the phase, local time.
    #[serde(default)]
    pub start_time: String,
    /// End of the phase, local time.
    #[serde(default)]
    pub end_time: String,
    /// Fetches of each successful endpoint.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub endpoint_info: BTreeMap<Arc<str>, EndpointInfo>,
    /// Times of the phases, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub phase_time_ranges: BTreeMap<String, TimeRange>,
    /// What a reader should know: lost resolution, resets, values left out. Not in AIPerf's files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<String>,
}

/// A time range, ns since the epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeRange {
    /// Begin.
    pub start_ns: u64,
    /// End.
    pub end_ns: u64,
}

/// Fetches of one endpoint over the whole run, warmup and flush included.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EndpointInfo {
    /// Fetches that delivered a page.
    pub total_fetches: u64,
    /// First fetch.
    pub first_fetch_ns: u64,
    /// Last fetch.
    pub last_fetch_ns: u64,
    /// Mean time of a fetch.
    pub avg_fetch_latency_ms: f64,
    /// Fetches whose page differed from the one before.
    pub unique_updates: u64,
    /// First of those.
    pub first_update_ns: u64,
    /// Last of those.
    pub last_update_ns: u64,
    /// From the first to the last fetch.
    pub duration_seconds: f64,
    /// Mean time between updates; 0 with fewer than two.
    pub avg_update_interval_ms: f64,
    /// Median time between updates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub median_update_interval_ms: Option<f64>,
}

/// What to export besides the scrapes.
#[derive(Clone, Debug, Default)]
pub struct ExportOptions {
    /// Id of the run.
    pub benchmark_id: Option<String>,
    /// Settings of the run.
    pub input_config: Value,
    /// The phase to export, by its index in the store. By default the last profiling phase, or everything in
    /// a run without phases.
    pub phase: Option<usize>,
    /// Length of the time slices, ns.
    pub slice_ns: Option<u64>,
    /// What a reader should know.
    pub notices: Vec<String>,
}

impl ExportOptions {
    /// The window to export.
    pub fn window(&self, store: &Store) -> Window {
        let last = || store.phases().iter().rposition(|phase| phase.kind == BenchmarkPhase::Profiling);
        self.phase.or_else(last).map_or(Window::Whole, Window::Phase)
    }
}

impl ServerMetricsFile {
    /// Computes the file of a run.
    pub fn of(store: &Store, options: &ExportOptions) -> ServerMetricsFile {
        let window = options.window(store);
        let phase = match window {
            Window::Phase(index) => store.phases().get(index),
            Window::Whole => None,
        };
        let metrics_phase = phase.map_or(BenchmarkPhase::Profiling, |phase| phase.kind);
        let warmup = store.phases().iter().position(|phase| phase.kind == BenchmarkPhase::Warmup);
        let warmup_metrics = warmup
            .filter(|_| metrics_phase == BenchmarkPhase::Profiling)
            .map(|index| store.statistics(Window::Phase(index), options.slice_ns))
            .filter(|metrics| !metrics.is_empty());
        ServerMetricsFile {
            schema_version: SCHEMA_VERSION.to_owned(),
            aiperf_version: Some(AIPERF_VERSION.to_owned()),
            benchmark_id: options.benchmark_id.clone(),
            summary: Summary::of(store, phase, &options.notices),
            metrics_phase,
            metrics: store.statistics(window, options.slice_ns),
            warmup_metrics,
            input_config: match &options.input_config {
                Value::Null => Value::Object(serde_json::Map::new()),
                config => config.clone(),
            },
        }
    }

    /// Writes the file, indented by two spaces.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub fn write(&self, mut output: impl Write) -> std::io::Result<()> {
        serde_json::to_writer_pretty(&mut output, self)?;
        output.write_all(b"\n")?;
        output.flush()
    }

    /// Reads a file of ours or of AIPerf.
    ///
    /// # Errors
    /// When the input cannot be read or is no such file.
    pub fn read(input: impl Read) -> serde_json::Result<ServerMetricsFile> {
        serde_json::from_reader(input)
    }
}

impl Summary {
    fn of(store: &Store, phase: Option<&PhaseMark>, notices: &[String]) -> Summary {
        let fetched = store.endpoints().iter().filter_map(|endpoint| endpoint.fetches.range);
        let whole = fetched.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))).unwrap_or_default();
        let end_of = |phase: &PhaseMark| phase.end_ns.unwrap_or(whole.1.max(phase.start_ns));
        let range = phase.map_or(whole, |phase| (phase.start_ns, end_of(phase)));
        let successful = || store.endpoints().iter().filter(|endpoint| endpoint.fetches.total > 0);
        Summary {
            endpoints_configured: store.endpoints().iter().map(|e| Arc::clone(&e.configured_url)).collect(),
            endpoints_successful: successful().map(|endpoint| Arc::clone(&endpoint.url)).collect(),
            start_time: local_time(range.0),
            end_time: local_time(range.1),
            endpoint_info: successful()
                .map(|endpoint| (Arc::clone(&endpoint.url), EndpointInfo::of(&endpoint.fetches)))
                .collect(),
            phase_time_ranges: store
                .phases()
                .iter()
                .map(|phase| {
                    let range = TimeRange { start_ns: phase.start_ns.0, end_ns: end_of(phase).0 };
                    (phase.name.clone(), range)
                })
                .collect(),
            notices: notices.to_vec(),
        }
    }
}

impl EndpointInfo {
    fn of(fetches: &Fetches) -> EndpointInfo {
        let (first, last) = fetches.range.unwrap_or_default();
        let (first_update, last_update) = fetches.update_range.unwrap_or_default();
        let ms = |ns: f64| ns / 1e6;
        let span = |from: WallNs, to: WallNs| to.0.saturating_sub(from.0) as f64;
        let intervals = fetches.updates.saturating_sub(1);
        let mut sorted = fetches.update_intervals_ns.clone();
        sorted.sort_unstable();
        let middle = sorted.len() / 2;
        let median = match sorted.get(middle) {
            Some(&upper) if sorted.len() % 2 == 1 => Some(ms(upper as f64)),
            Some(&upper) => Some(ms((sorted[middle - 1] as f64 + upper as f64) / 2.0)),
            None => None,
        };
        EndpointInfo {
            total_fetches: fetches.total,
            first_fetch_ns: first.0,
            last_fetch_ns: last.0,
            avg_fetch_latency_ms: ms(fetches.latency_sum_ns as f64) / fetches.total.max(1) as f64,
            unique_updates: fetches.updates,
            first_update_ns: first_update.0,
            last_update_ns: last_update.0,
            duration_seconds: span(first, last) / 1e9,
            avg_update_interval_ms: match intervals {
                0 => 0.0,
                n => ms(span(first_update, last_update)) / n as f64,
            },
            median_update_interval_ms: median,
        }
    }
}
