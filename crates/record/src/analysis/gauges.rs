//! What the server said of itself while the requests ran: queue, running requests and cache use over time, from
//! `server_metrics_export.jsonl` or `.parquet`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead};
use std::sync::Arc;

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use parquet::schema::types::Type;

use serde::{Deserialize, Serialize};

use crate::analysis::distribution::nearest_rank;

/// What a gauge tells about a slow request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GaugeKind {
    /// Requests that wait in the server.
    Queue,
    /// Requests that are being served.
    Running,
    /// Share of the KV cache in use.
    CacheUse,
}

/// Gauges of the servers we know, by what they mean.
const KNOWN: &[(&str, GaugeKind)] = &[
    ("vllm:num_requests_waiting", GaugeKind::Queue),
    ("sglang:num_queue_reqs", GaugeKind::Queue),
    ("llamacpp:requests_deferred", GaugeKind::Queue),
    ("tgi_queue_size", GaugeKind::Queue),
    ("dynamo_frontend_queued_requests", GaugeKind::Queue),
    ("nv_inference_pending_request_count", GaugeKind::Queue),
    ("trtllm_num_requests_waiting", GaugeKind::Queue),
    ("vllm:num_requests_running", GaugeKind::Running),
    ("sglang:num_running_reqs", GaugeKind::Running),
    ("llamacpp:requests_processing", GaugeKind::Running),
    ("tgi_batch_current_size", GaugeKind::Running),
    ("dynamo_frontend_inflight_requests", GaugeKind::Running),
    ("trtllm_num_requests_running", GaugeKind::Running),
    ("vllm:kv_cache_usage_perc", GaugeKind::CacheUse),
    ("vllm:gpu_cache_usage_perc", GaugeKind::CacheUse),
    ("sglang:token_usage", GaugeKind::CacheUse),
    ("llamacpp:kv_cache_usage_ratio", GaugeKind::CacheUse),
    ("trtllm_kv_cache_utilization", GaugeKind::CacheUse),
];

/// What a gauge means, if we know it.
pub fn kind_of(name: &str) -> Option<GaugeKind> {
    KNOWN.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind)
}

/// The value of a gauge at a moment, beside what it usually was.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GaugeAt {
    /// What it means.
    pub kind: GaugeKind,
    /// Name in the server's metrics page.
    pub name: String,
    /// Value of the last scrape at or before the moment; the sum over label sets for queue and running requests,
    /// the largest for cache use.
    pub value: f64,
    /// Median over all scrapes.
    pub median: f64,
}

/// Known gauges over time.
#[derive(Clone, Debug, Default)]
pub struct GaugeSeries {
    /// By name: value at each instant (ns since the epoch).
    series: BTreeMap<String, BTreeMap<u64, f64>>,
}

#[derive(Deserialize)]
struct Scrape {
    timestamp_ns: u64,
    #[serde(default)]
    metrics: BTreeMap<String, Samples>,
}

/// Samples of one family; those of families we do not know are skipped.
struct Samples(Vec<f64>);

impl<'de> Deserialize<'de> for Samples {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Sample {
            #[serde(default)]
            value: Option<f64>,
        }
        let samples = Vec::<Sample>::deserialize(deserializer)?;
        Ok(Samples(samples.into_iter().filter_map(|sample| sample.value).collect()))
    }
}

impl GaugeSeries {
    /// Reads `server_metrics_export.jsonl`. Lines that cannot be read are skipped.
    ///
    /// # Errors
    /// The reader's own.
    pub fn read_jsonl(&mut self, reader: &mut dyn BufRead) -> io::Result<()> {
        let mut line = Vec::new();
        loop {
            line.clear();
            if reader.read_until(b'\n', &mut line)? == 0 {
                return Ok(());
            }
            let Ok(scrape) = serde_json::from_slice::<Scrape>(&line) else { continue };
            for (name, samples) in &scrape.metrics {
                for value in &samples.0 {
                    self.add(name, scrape.timestamp_ns, *value);
                }
            }
        }
    }

    /// Reads `server_metrics_export.parquet`.
    ///
    /// # Errors
    /// A file that is no Parquet file or is damaged.
    pub fn read_parquet(&mut self, file: File) -> io::Result<()> {
        let reader = SerializedFileReader::new(file).map_err(io::Error::other)?;
        let schema = reader.metadata().file_metadata().schema();
        let fields: Vec<Arc<Type>> = schema
            .get_fields()
            .iter()
            .filter(|field| ["metric_name", "timestamp_ns", "value"].contains(&field.name()))
            .cloned()
            .collect();
        let wanted =
            Type::group_type_builder(schema.name()).with_fields(fields).build().map_err(io::Error::other)?;
        for row in reader.get_row_iter(Some(wanted)).map_err(io::Error::other)? {
            let row = row.map_err(io::Error::other)?;
            let (mut name, mut at, mut value) = (None, None, None);
            for (column, field) in row.get_column_iter() {
                match (column.as_str(), field) {
                    ("metric_name", Field::Str(text)) => name = Some(text),
                    ("timestamp_ns", Field::Long(instant)) => at = u64::try_from(*instant).ok(),
                    ("value", Field::Double(number)) => value = Some(*number),
                    _ => {}
                }
            }
            if let (Some(name), Some(at), Some(value)) = (name, at, value) {
                self.add(name, at, value);
            }
        }
        Ok(())
    }

    /// Adds one sample; samples of one instant (other label sets) are summed, of cache use the largest counts.
    /// Gauges we do not know are left out.
    pub fn add(&mut self, name: &str, timestamp_ns: u64, value: f64) {
        let Some(kind) = kind_of(name).filter(|_| value.is_finite()) else { return };
        if !self.series.contains_key(name) {
            self.series.insert(name.to_owned(), BTreeMap::new());
        }
        if let Some(values) = self.series.get_mut(name) {
            values
                .entry(timestamp_ns)
                .and_modify(|known| {
                    *known = if kind == GaugeKind::CacheUse { known.max(value) } else { *known + value }
                })
                .or_insert(value);
        }
    }

    /// Whether no gauge is known.
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    /// All gauges at a moment; those that were not scraped before it are left out.
    pub fn at(&self, instant_ns: u64) -> Vec<GaugeAt> {
        let mut all: Vec<GaugeAt> = self
            .series
            .iter()
            .filter_map(|(name, values)| {
                let (_, value) = values.range(..=instant_ns).next_back()?;
                let mut sorted: Vec<f64> = values.values().copied().collect();
                sorted.sort_unstable_by(f64::total_cmp);
                let median = sorted[nearest_rank(sorted.len(), 50.0)];
                Some(GaugeAt { kind: kind_of(name)?, name: name.clone(), value: *value, median })
            })
            .collect();
        all.sort_by(|a, b| (a.kind, &a.name).cmp(&(b.kind, &b.name)));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parquet_and_json_lines_tell_the_same() {
        let run = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../tests/fixtures/aiperf-run-streaming");
        let (mut rows, mut lines) = (GaugeSeries::default(), GaugeSeries::default());
        rows.read_parquet(File::open(run.join("server_metrics_export.parquet")).unwrap()).unwrap();
        let text = std::fs::read(run.join("server_metrics_export.jsonl")).unwrap();
        lines.read_jsonl(&mut text.as_slice()).unwrap();
        let running = |gauges: &GaugeSeries| gauges.series["vllm:num_requests_running"].clone();
        let (rows, lines) = (running(&rows), running(&lines));
        assert!(!rows.is_empty());
        for (instant, value) in &rows {
            // Unchanged pages are left out of the JSON lines: the value before them still holds.
            let (_, known) = lines.range(..=instant).next_back().unwrap();
            assert_eq!(value, known, "at {instant}");
        }
    }

    #[test]
    fn what_is_no_parquet_file_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.parquet");
        std::fs::write(&path, "PAR1 but not really PAR1").unwrap();
        assert!(GaugeSeries::default().read_parquet(File::open(&path).unwrap()).is_err());
    }

    #[test]
    fn a_moment_sees_the_last_scrape_before_it() {
        let lines = concat!(
            r#"{"timestamp_ns":100,"metrics":{"vllm:num_requests_waiting":[{"value":1},{"value":2}],"x":[{"sum":1}]}}"#,
            "\nnot json\n",
            r#"{"timestamp_ns":200,"metrics":{"vllm:num_requests_waiting":[{"value":7}],"vllm:kv_cache_usage_perc":[{"value":0.5},{"value":0.25}]}}"#,
            "\n",
            r#"{"timestamp_ns":300,"metrics":{"vllm:num_requests_waiting":[{"value":0}]}}"#,
        );
        let mut gauges = GaugeSeries::default();
        gauges.read_jsonl(&mut lines.as_bytes()).unwrap();
        assert_eq!(gauges.at(99), []);
        let at =
            |instant| gauges.at(instant).iter().map(|gauge| (gauge.kind, gauge.value)).collect::<Vec<_>>();
        assert_eq!(at(199), [(GaugeKind::Queue, 3.0)]);
        assert_eq!(at(200), [(GaugeKind::Queue, 7.0), (GaugeKind::CacheUse, 0.5)]);
        assert_eq!(gauges.at(1_000)[0].median, 3.0);
    }
}
