//! `profile_export.parquet`: one flat row for each record, for DuckDB, pandas, Spark and their like.
//!
//! Columns: every field of the metadata under its own name; every metric of the catalogue that records may have,
//! under its tag (units are in the file's metadata, key `tokmeter.units`); the seven phases, status and connection
//! from the trace; the error with the prefix `error_`; and as JSON text what has no flat shape (`trace_data`,
//! `other_metrics` of other tools). What is absent is null. Nothing of a record is lost: [`Lines`] gives the
//! lines of `profile_export.jsonl` back.
//!
//! Row groups are written as they fill, so memory does not grow with the file, and a file is complete only after
//! [`RecordRows::finish`].

mod lines;
mod metadata;

pub use lines::{Lines, MAGIC};

use std::collections::BTreeMap;
use std::io::{self, Write};

use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;

use super::parquet_rows::{Cell, Compression, Kind, Rows};
use crate::metric::{Kind as MetricKind, MetricId, MetricKey, MetricValue, Metrics, ValueType};
use crate::request::RequestRecord;
use crate::trace::TraceData;

/// Column with metrics that are not in the catalogue, as a record line shows them.
const OTHER_METRICS: &str = "other_metrics";
/// Column with the whole trace, as a record line shows it.
const TRACE_DATA: &str = "trace_data";

/// Takes a value out of a trace.
type FromTrace = fn(&TraceData) -> Option<i64>;

/// Columns that repeat a part of the trace, for queries; reading takes `trace_data`.
const TRACE: [(&str, Kind, FromTrace); 11] = [
    ("blocked_ns", Kind::Long, |trace| long(trace.blocked_ns)),
    ("dns_lookup_ns", Kind::Long, |trace| long(trace.dns_lookup_ns)),
    ("connecting_ns", Kind::Long, |trace| long(trace.connecting_ns)),
    ("sending_ns", Kind::Long, |trace| long(trace.sending_ns)),
    ("waiting_ns", Kind::Long, |trace| long(trace.waiting_ns)),
    ("receiving_ns", Kind::Long, |trace| long(trace.receiving_ns)),
    ("duration_ns", Kind::Long, |trace| long(trace.duration_ns)),
    ("response_status_code", Kind::Long, |trace| trace.response_status_code.map(i64::from)),
    ("response_bytes_total", Kind::Long, |trace| long(Some(trace.response_bytes_total))),
    ("connection_id", Kind::Long, |trace| {
        trace.connection.as_ref().and_then(|connection| long(Some(connection.connection_id)))
    }),
    ("connection_reused", Kind::Bool, |trace| Some(i64::from(trace.connection_reused_ns.is_some()))),
];

/// Columns of the error: its fields with this prefix.
const ERROR_PREFIX: &str = "error_";
const ERROR: [(&str, Kind); 8] = [
    ("error_code", Kind::Long),
    ("error_type", Kind::Text),
    ("error_message", Kind::Text),
    ("error_cause", Kind::Text),
    ("error_cause_chain", Kind::Text),
    ("error_class", Kind::Text),
    ("error_side", Kind::Text),
    ("error_phase", Kind::Text),
];

fn long(value: Option<u64>) -> Option<i64> {
    value.and_then(|value| i64::try_from(value).ok())
}

/// Metrics that have a column.
fn metric_columns() -> impl Iterator<Item = MetricId> {
    MetricId::all().filter(|id| id.def().in_records() && id.def().kind == MetricKind::Record)
}

/// Writes records as rows.
pub struct RecordRows<W: Write + Send> {
    rows: Rows<W>,
    /// Place of each metric of the catalogue among the cells of a row.
    places: Vec<Option<usize>>,
    first_metric: usize,
    row: Vec<Cell>,
}

impl<W: Write + Send> RecordRows<W> {
    /// Starts a file.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub fn create(output: W) -> io::Result<Self> {
        let mut schema: Vec<(&str, Kind)> =
            metadata::COLUMNS.iter().map(|column| (column.name, column.kind)).collect();
        let first_metric = schema.len();
        let mut places = vec![None; MetricId::COUNT];
        for id in metric_columns() {
            places[id.index()] = Some(schema.len());
            let kind = match id.def().value {
                ValueType::Int => Kind::Long,
                ValueType::Float => Kind::Double,
                ValueType::List => Kind::Doubles,
            };
            schema.push((id.tag(), kind));
        }
        schema.push((OTHER_METRICS, Kind::Text));
        schema.extend(TRACE.map(|(name, kind, _)| (name, kind)));
        schema.push((TRACE_DATA, Kind::Text));
        schema.extend(ERROR);
        let row = Vec::with_capacity(schema.len());
        let rows = Rows::create(output, schema, key_values(), Compression::default()).map_err(into_io)?;
        Ok(RecordRows { rows, places, first_metric, row })
    }

    /// Adds a record.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub fn push(&mut self, record: &RequestRecord) -> io::Result<()> {
        self.row.clear();
        self.row.extend(metadata::COLUMNS.iter().map(|column| (column.cell)(&record.metadata)));
        let metrics = self.places.iter().flatten().count();
        self.row.resize(self.first_metric + metrics, Cell::Null);
        let other = self.metrics(&record.metrics);
        self.row.push(if other.is_empty() { Cell::Null } else { json(&other) });
        for (_, kind, value) in TRACE {
            self.row.push(match record.trace_data.as_ref().and_then(value) {
                Some(value) if kind == Kind::Bool => Cell::Bool(value != 0),
                Some(value) => Cell::Long(value),
                None => Cell::Null,
            });
        }
        self.row.push(record.trace_data.as_ref().map_or(Cell::Null, json));
        self.error(record);
        self.rows.push(&self.row).map_err(into_io)
    }

    /// Fills the metrics' cells; returns those that have none.
    fn metrics(&mut self, metrics: &Metrics) -> Metrics {
        let mut other = Metrics::default();
        for (key, value) in metrics.iter().filter(|(key, value)| key.in_files() && value.is_writable()) {
            let place = match key {
                MetricKey::Known(id) => self.places[id.index()].map(|place| (place, id.def().value)),
                MetricKey::Foreign(..) => None,
            };
            let cell = match (place, value) {
                (Some((_, ValueType::Int)), MetricValue::Int(value)) => Cell::Long(*value),
                (Some((_, ValueType::Float)), MetricValue::Float(value)) => Cell::Double(*value),
                // Other tools write whole numbers where ours are floats; an f64 holds those below 2^53.
                (Some((_, ValueType::Float)), MetricValue::Int(value)) if value.unsigned_abs() < 1 << 53 => {
                    Cell::Double(*value as f64)
                }
                (Some((_, ValueType::List)), MetricValue::List(values)) => {
                    Cell::Doubles(values.iter().copied().filter(|value| value.is_finite()).collect())
                }
                _ => {
                    other.push(key.clone(), value.clone());
                    continue;
                }
            };
            if let Some((place, _)) = place {
                self.row[place] = cell;
            }
        }
        other
    }

    fn error(&mut self, record: &RequestRecord) {
        let Some(error) = &record.error else {
            return self.row.extend(ERROR.map(|_| Cell::Null));
        };
        let text = |text: &Option<String>| text.as_deref().map_or(Cell::Null, text_cell);
        self.row.extend([
            error.code.map_or(Cell::Null, Cell::Long),
            text(&error.kind),
            text_cell(&error.message),
            text(&error.cause),
            error.cause_chain.as_ref().map_or(Cell::Null, json),
            error.class.map_or(Cell::Null, |class| word(&class)),
            error.side.map_or(Cell::Null, |side| word(&side)),
            error.phase.map_or(Cell::Null, |phase| word(&phase)),
        ]);
    }

    /// Writes what is left, and the footer; without it the file is no Parquet file.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub fn finish(self) -> io::Result<W> {
        self.rows.finish().map_err(into_io)
    }
}

/// The file's own metadata: version of the writer, and the unit of each metric.
fn key_values() -> Vec<KeyValue> {
    let units: BTreeMap<&str, &str> = metric_columns().map(|id| (id.tag(), id.def().unit)).collect();
    let units = serde_json::to_string(&units).unwrap_or_default();
    [("tokmeter.version", env!("CARGO_PKG_VERSION").to_owned()), ("tokmeter.units", units)]
        .map(|(key, value)| KeyValue::new(key.to_owned(), value))
        .to_vec()
}

fn text_cell(text: &str) -> Cell {
    Cell::Text(ByteArray::from(text))
}

fn json<T: serde::Serialize>(value: &T) -> Cell {
    serde_json::to_vec(value).map_or(Cell::Null, |bytes| Cell::Text(ByteArray::from(bytes)))
}

/// The name of a variant as files show it, without quotes.
fn word<T: serde::Serialize>(value: &T) -> Cell {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => text_cell(&name),
        _ => Cell::Null,
    }
}

fn into_io(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(inner) => match inner.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(inner) => io::Error::other(inner),
        },
        other => io::Error::other(other),
    }
}

#[cfg(test)]
mod tests;
