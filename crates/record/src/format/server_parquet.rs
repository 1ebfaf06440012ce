//! `server_metrics_export.parquet`: the time series of a window, one row for each scrape and value (FORMATS 7.7).
//!
//! A histogram has one row for each bucket. Every label is a column. Counters, histograms and summaries are
//! shown as increases since the reference scrape, so that the last row of a series is its total in the JSON
//! file; gauges are raw. Row groups have at most 10 000 rows and are written as they fill: memory does not
//! grow with the file.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::sync::Arc;

use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use serde_json::Value;

pub use super::parquet_rows::Compression;
use super::parquet_rows::{Cell, Kind, Rows};
use super::{AIPERF_VERSION, utc_time};
use crate::server::phase::{Selection, Window};
use crate::server::reading::MetricKind;
use crate::server::series::{Endpoint, Metric, Series, Store};
use crate::server::statistics::Scope;
use crate::server::{EndpointId, unit};
use crate::time::WallNs;

/// Version of the format.
pub const SCHEMA_VERSION: &str = "1.0";

/// More label columns than this are left out.
const MAX_LABEL_COLUMNS: usize = 1_000;

/// Columns before and after the label columns.
const LEADING: [&str; 6] =
    ["endpoint_url", "metric_name", "metric_type", "unit", "description", "timestamp_ns"];
const TRAILING: [&str; 5] = ["value", "sum", "count", "bucket_le", "bucket_count"];

/// What the file's metadata says about the run.
#[derive(Clone, Debug, Default)]
pub struct ParquetMetadata {
    /// Id of the run.
    pub benchmark_id: String,
    /// When the file is written.
    pub exported_at: WallNs,
    /// Name of this machine.
    pub hostname: String,
    /// Settings of the run.
    pub input_config: Value,
    /// Models that were asked.
    pub model_names: Vec<String>,
    /// Configured concurrency.
    pub concurrency: Option<u64>,
    /// Configured request rate, 1/s.
    pub request_rate: Option<f64>,
}

/// A series that has rows, with what its rows repeat.
struct Part<'s> {
    endpoint: &'s Endpoint,
    metric: &'s Metric,
    series: &'s Series,
    selection: Selection,
}

/// Writes the file.
///
/// # Errors
/// When the output cannot be written.
pub fn write<W: Write + Send>(
    store: &Store,
    window: Window,
    metadata: &ParquetMetadata,
    compression: Compression,
    output: W,
) -> Result<(), ParquetError> {
    let parts = parts(store, window);
    let labels = label_columns(&parts);
    let pairs = key_values(store, window, metadata, &parts, &labels);
    let mut columns = Rows::create(output, schema(&labels), pairs, compression)?;
    for part in &parts {
        write_part(part, store, &labels, &mut columns)?;
    }
    columns.finish()?;
    Ok(())
}

/// Columns are text, but for the instant and the numbers.
fn schema(labels: &[Arc<str>]) -> impl Iterator<Item = (&str, Kind)> {
    let leading =
        LEADING.iter().map(|&name| (name, if name == "timestamp_ns" { Kind::Long } else { Kind::Text }));
    let trailing =
        TRAILING.iter().map(|&name| (name, if name == "bucket_le" { Kind::Text } else { Kind::Double }));
    leading.chain(labels.iter().map(|label| (&**label, Kind::Text))).chain(trailing)
}

fn parts(store: &Store, window: Window) -> Vec<Part<'_>> {
    let endpoints = store.endpoints();
    let selections: Vec<_> =
        (0..endpoints.len() as u32).map(|endpoint| store.select(EndpointId(endpoint), window)).collect();
    let mut parts: Vec<_> = store
        .series()
        .iter()
        .filter_map(|series| {
            let at = series.endpoint.0 as usize;
            let selection = selections[at]?;
            let metric = &store.metrics()[series.metric as usize];
            let part = Part { endpoint: &endpoints[at], metric, series, selection };
            series.track.is_present(selection.first, selection.last).then_some(part)
        })
        .collect();
    // Rows of one metric together: they compress better and readers filter by metric.
    parts.sort_by(|a, b| (&a.metric.name, &a.endpoint.url).cmp(&(&b.metric.name, &b.endpoint.url)));
    parts
}

/// Label names of the whole file, sorted; names of other columns are excluded.
fn label_columns(parts: &[Part<'_>]) -> Vec<Arc<str>> {
    let reserved = |name: &str| LEADING.contains(&name) || TRAILING.contains(&name);
    let names: BTreeSet<&Arc<str>> = parts
        .iter()
        .flat_map(|part| part.series.labels.iter().map(|(name, _)| name))
        .filter(|name| !reserved(name))
        .collect();
    names.into_iter().take(MAX_LABEL_COLUMNS).cloned().collect()
}

fn text(value: &str) -> Cell {
    Cell::Text(ByteArray::from(value))
}

fn write_part<W: Write + Send>(
    part: &Part<'_>,
    store: &Store,
    labels: &[Arc<str>],
    columns: &mut Rows<W>,
) -> Result<(), ParquetError> {
    let metric = part.metric;
    let unit = unit::infer(&metric.name, &metric.description).map_or(Cell::Null, text);
    let mut row = vec![text(&part.endpoint.url), text(&metric.name), text(metric.kind.as_str()), unit];
    row.push(text(&metric.description));
    row.push(Cell::Null);
    row.extend(labels.iter().map(|column| {
        let label = part.series.labels.iter().find(|(name, _)| name == column);
        label.map_or(Cell::Null, |(_, value)| text(value))
    }));
    let trailing = row.len();
    row.resize(trailing + TRAILING.len(), Cell::Null);
    let bounds: Vec<Cell> = part.series.bounds.iter().map(|le| text(le)).collect();

    let scrapes = store.endpoints()[part.series.endpoint.0 as usize].scrapes();
    let scope = Scope { series: part.series, scrapes, selection: &part.selection, grid: None };
    let track = &part.series.track;
    let reference = if track.is_cumulative() { scope.reference() } else { vec![0.0; track.width()] };
    for (scrape, values) in track.rows_in(part.selection.first, part.selection.last) {
        row[LEADING.len() - 1] = Cell::Long(scrapes[scrape as usize].timestamp_ns.0 as i64);
        let increase = |column: usize| Cell::Double((values[column] - reference[column]).max(0.0));
        let [value, sum, count, bucket_le, bucket_count] = [0, 1, 2, 3, 4].map(|offset| trailing + offset);
        match metric.kind {
            MetricKind::Gauge | MetricKind::Unknown => row[value] = Cell::Double(values[0]),
            MetricKind::Counter => row[value] = increase(0),
            MetricKind::Summary | MetricKind::Histogram => {
                row[sum] = Cell::Double(values[0] - reference[0]);
                row[count] = increase(1);
            }
        }
        if metric.kind != MetricKind::Histogram {
            columns.push(&row)?;
        }
        for (index, le) in bounds.iter().enumerate() {
            row[bucket_le] = le.clone();
            row[bucket_count] = increase(2 + index);
            columns.push(&row)?;
        }
    }
    Ok(())
}

fn key_values(
    store: &Store,
    window: Window,
    metadata: &ParquetMetadata,
    parts: &[Part<'_>],
    labels: &[Arc<str>],
) -> Vec<KeyValue> {
    let selected = parts.iter().map(|part| (part.selection.first_ns, part.selection.last_ns));
    let (first, last) = selected.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))).unwrap_or_default();
    let phase = match window {
        Window::Phase(index) => store.phases().get(index),
        Window::Whole => None,
    };
    let start = phase.map_or(first, |phase| phase.start_ns).0;
    let end = phase.and_then(|phase| phase.end_ns).unwrap_or(last).max(last).0;
    let duration = end.saturating_sub(start);
    let mut kinds: BTreeMap<&str, u64> = BTreeMap::new();
    for part in parts {
        *kinds.entry(part.metric.kind.as_str()).or_default() += 1;
    }
    let urls: BTreeSet<&str> = parts.iter().map(|part| &*part.endpoint.url).collect();
    let mut pairs = vec![
        ("aiperf.schema_version", SCHEMA_VERSION.to_owned()),
        ("aiperf.version", AIPERF_VERSION.to_owned()),
        ("aiperf.benchmark_id", metadata.benchmark_id.clone()),
        ("aiperf.export_timestamp_utc", utc_time(metadata.exported_at)),
        ("aiperf.exporter", "tokmeter".to_owned()),
        ("aiperf.hostname", metadata.hostname.clone()),
        ("aiperf.python_version", "none".to_owned()),
        ("aiperf.pyarrow_version", "none".to_owned()),
        ("aiperf.time_filter_start_ns", start.to_string()),
        ("aiperf.time_filter_end_ns", end.to_string()),
        ("aiperf.profiling_duration_ns", duration.to_string()),
        ("aiperf.profiling_duration_seconds", (duration as f64 / 1e9).to_string()),
        ("aiperf.input_config", metadata.input_config.to_string()),
        ("aiperf.model_names", json(&metadata.model_names)),
        ("aiperf.endpoint_urls", json(&urls)),
        ("aiperf.endpoint_count", urls.len().to_string()),
        ("aiperf.label_columns", json(&labels)),
        ("aiperf.label_count", labels.len().to_string()),
        ("aiperf.metric_count", parts.len().to_string()),
        ("aiperf.metric_type_counts", json(&kinds)),
        ("aiperf.schema_note", SCHEMA_NOTE.to_owned()),
        ("tokmeter.version", env!("CARGO_PKG_VERSION").to_owned()),
    ];
    pairs.extend(metadata.concurrency.map(|value| ("aiperf.concurrency", value.to_string())));
    pairs.extend(metadata.request_rate.map(|value| ("aiperf.request_rate", value.to_string())));
    pairs.into_iter().map(|(key, value)| KeyValue::new(key.to_owned(), value)).collect()
}

fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

const SCHEMA_NOTE: &str = "The label columns depend on the servers; combine files with union_by_name=true.";

#[cfg(test)]
mod tests;
