//! `profile_export_aiperf.json`: the summary of a run (FORMATS 5).

use std::fmt;
use std::io::{self, Write};

use serde::de::{Error as _, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::telemetry::TelemetryData;
use super::{AIPERF_VERSION, local_time, parse_local_time};
use crate::metric::MetricId;
use crate::metric::catalogue as c;
use crate::statistics::{ErrorCount, MetricSet, MetricSummary, RunSummary, Window};
use crate::time::WallNs;

/// Version of the format.
pub const SCHEMA_VERSION: &str = "1.4";

/// Metrics that AIPerf's model names; they come before everything else, in this order.
const DECLARED: [MetricId; 23] = [
    c::REQUEST_THROUGHPUT,
    c::REQUEST_LATENCY,
    c::REQUEST_COUNT,
    c::TIME_TO_FIRST_TOKEN,
    c::TIME_TO_SECOND_TOKEN,
    c::INTER_TOKEN_LATENCY,
    c::OUTPUT_TOKEN_THROUGHPUT,
    c::OUTPUT_TOKEN_THROUGHPUT_PER_USER,
    c::OUTPUT_SEQUENCE_LENGTH,
    c::INPUT_SEQUENCE_LENGTH,
    c::GOODPUT,
    c::GOOD_REQUEST_COUNT,
    c::OUTPUT_TOKEN_COUNT,
    c::REASONING_TOKEN_COUNT,
    c::INTER_CHUNK_LATENCY,
    c::TOTAL_OUTPUT_TOKENS,
    c::TOTAL_REASONING_TOKENS,
    c::BENCHMARK_DURATION,
    c::TOTAL_ISL,
    c::TOTAL_OSL,
    c::ERROR_REQUEST_COUNT,
    c::ERROR_ISL,
    c::TOTAL_ERROR_ISL,
];

/// Identity of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunInfo {
    /// 12 hex digits, the same in all files of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub benchmark_id: Option<String>,
    /// Of all runs of a sweep.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sweep_id: Option<String>,
    /// Seed of everything random.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub random_seed: Option<u64>,
    /// Number among repeated runs, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trial: Option<u32>,
    /// Name among repeated runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_label: Option<String>,
    /// Name among the variations of a sweep.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variation_label: Option<String>,
    /// Number among the variations of a sweep, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variation_index: Option<u32>,
    /// What the variation sets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variation_values: Option<Map<String, Value>>,
    /// The command as typed, secrets redacted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cli_command: Option<String>,
}

/// The summary of a run. Reads AIPerf's files too; what neither of us names is kept in `other`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SummaryDocument {
    /// [`SCHEMA_VERSION`] for ours.
    pub schema_version: String,
    /// Release whose format the file follows.
    pub aiperf_version: Option<String>,
    /// 12 hex digits, the same in all files of the run.
    pub benchmark_id: Option<String>,
    /// Metrics of the profiling phase.
    pub metrics: MetricSet,
    /// GPUs; absent when telemetry was off.
    pub telemetry_data: Option<TelemetryData>,
    /// The configuration as run, in AIPerf's schema, which refuses keys of ours.
    pub input_config: Option<Value>,
    /// Identity of the run.
    pub run_info: Option<RunInfo>,
    /// Ended by a signal.
    pub was_cancelled: Option<bool>,
    /// All requests that were asked for came back.
    pub is_complete: Option<bool>,
    /// Why not.
    pub incomplete_reason: Option<String>,
    /// Errors of the profiling phase.
    pub error_summary: Vec<ErrorCount>,
    /// Phase start, local time.
    pub start_time: Option<String>,
    /// Last request returned, local time.
    pub end_time: Option<String>,
    /// Metrics of the warmup phase.
    pub warmup_metrics: Option<MetricSet>,
    /// What only tokmeter says: verdict, clock anchors, token source, load asked and delivered, versions,
    /// `notes` on what is not exact, and `window` with the exact bounds of the phase.
    pub tokmeter: Map<String, Value>,
    /// Keys of other tools that are no metrics.
    pub other: Map<String, Value>,
}

impl SummaryDocument {
    /// The summary of a finished run; configuration, identity, telemetry and verdict are the caller's to add.
    pub fn of(summary: &RunSummary, window: &Window) -> Self {
        let mut tokmeter = Map::new();
        if !summary.notes.is_empty() {
            tokmeter.insert("notes".to_owned(), summary.notes.clone().into());
        }
        let bounds: Map<String, Value> = [("start_ns", window.start), ("end_ns", window.end)]
            .into_iter()
            .filter_map(|(key, at)| Some((key.to_owned(), at?.0.into())))
            .collect();
        if !bounds.is_empty() {
            tokmeter.insert("window".to_owned(), bounds.into());
        }
        SummaryDocument {
            schema_version: SCHEMA_VERSION.to_owned(),
            aiperf_version: Some(AIPERF_VERSION.to_owned()),
            metrics: summary.metrics.clone(),
            error_summary: summary.errors.clone(),
            start_time: window.start.map(local_time),
            end_time: window.end.map(local_time),
            warmup_metrics: summary.warmup_metrics.clone(),
            was_cancelled: Some(false),
            is_complete: Some(true),
            tokmeter,
            ..SummaryDocument::default()
        }
    }

    /// A metric of the profiling phase.
    pub fn metric(&self, id: MetricId) -> Option<&MetricSummary> {
        self.metrics.get(id)
    }

    /// The profiling phase in time: exact in our files; in AIPerf's to the microsecond, as local time of this
    /// machine.
    pub fn window(&self) -> Window {
        let exact = |key: &str| Some(WallNs(self.tokmeter.get("window")?.get(key)?.as_u64()?));
        let written = |text: &Option<String>| parse_local_time(text.as_deref()?);
        Window {
            start: exact("start_ns").or_else(|| written(&self.start_time)),
            end: exact("end_ns").or_else(|| written(&self.end_time)),
            ..Window::default()
        }
    }

    /// Writes the file, laid out with two blanks for each level.
    ///
    /// # Errors
    /// The writer's own.
    pub fn write(&self, mut writer: impl Write) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut writer, self)?;
        writer.write_all(b"\n")?;
        writer.flush()
    }

    /// Reads a file.
    ///
    /// # Errors
    /// What is wrong with the text, or why it cannot be read.
    pub fn read(reader: impl io::Read) -> serde_json::Result<Self> {
        serde_json::from_reader(io::BufReader::new(reader))
    }
}

fn entry<M: SerializeMap>(map: &mut M, key: &str, value: &Option<impl Serialize>) -> Result<(), M::Error> {
    match value {
        Some(value) => map.serialize_entry(key, value),
        None => Ok(()),
    }
}

impl Serialize for SummaryDocument {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("schema_version", &self.schema_version)?;
        entry(&mut map, "aiperf_version", &self.aiperf_version)?;
        entry(&mut map, "benchmark_id", &self.benchmark_id)?;
        for id in DECLARED {
            entry(&mut map, id.tag(), &self.metrics.get(id))?;
        }
        entry(&mut map, "telemetry_data", &self.telemetry_data)?;
        entry(&mut map, "input_config", &self.input_config)?;
        entry(&mut map, "run_info", &self.run_info)?;
        entry(&mut map, "was_cancelled", &self.was_cancelled)?;
        entry(&mut map, "is_complete", &self.is_complete)?;
        entry(&mut map, "incomplete_reason", &self.incomplete_reason)?;
        map.serialize_entry("error_summary", &self.error_summary)?;
        entry(&mut map, "start_time", &self.start_time)?;
        entry(&mut map, "end_time", &self.end_time)?;
        entry(&mut map, "warmup_metrics", &self.warmup_metrics)?;
        if !self.tokmeter.is_empty() {
            map.serialize_entry("tokmeter", &self.tokmeter)?;
        }
        for (tag, summary) in self.metrics.iter() {
            if !DECLARED.iter().any(|id| id.tag() == tag) {
                map.serialize_entry(tag, summary)?;
            }
        }
        for (key, value) in &self.other {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for SummaryDocument {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct DocumentVisitor;
        impl<'de> Visitor<'de> for DocumentVisitor {
            type Value = SummaryDocument;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("the summary of a run")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SummaryDocument, A::Error> {
                let mut document = SummaryDocument::default();
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "schema_version" => document.schema_version = map.next_value()?,
                        "aiperf_version" => document.aiperf_version = map.next_value()?,
                        "benchmark_id" => document.benchmark_id = map.next_value()?,
                        "telemetry_data" => document.telemetry_data = map.next_value()?,
                        "input_config" => document.input_config = map.next_value()?,
                        "run_info" => document.run_info = map.next_value()?,
                        "was_cancelled" => document.was_cancelled = map.next_value()?,
                        "is_complete" => document.is_complete = map.next_value()?,
                        "incomplete_reason" => document.incomplete_reason = map.next_value()?,
                        "error_summary" => {
                            let errors: Option<Vec<ErrorCount>> = map.next_value()?;
                            document.error_summary = errors.unwrap_or_default();
                        }
                        "start_time" => document.start_time = map.next_value()?,
                        "end_time" => document.end_time = map.next_value()?,
                        "warmup_metrics" => document.warmup_metrics = map.next_value()?,
                        "tokmeter" => document.tokmeter = map.next_value()?,
                        // Metrics are recognised by their unit, as every reader of these files does.
                        _ => match map.next_value()? {
                            Value::Object(object) if object.contains_key("unit") => {
                                let summary =
                                    MetricSummary::deserialize(Value::Object(object)).map_err(|error| {
                                        A::Error::custom(format_args!("metric {key}: {error}"))
                                    })?;
                                document.metrics.insert(key, summary);
                            }
                            other => {
                                document.other.insert(key, other);
                            }
                        },
                    }
                }
                Ok(document)
            }
        }
        deserializer.deserialize_map(DocumentVisitor)
    }
}
