//! `outputs.json`: the answers of the profiling phase (FORMATS 4, `--export-outputs-json`).

use std::io::{self, Write};

use serde::Serialize;
use serde::ser::SerializeMap;

use crate::metric::{MetricKey, MetricValue, Metrics};
use crate::request::{BenchmarkPhase, RequestRecord};

/// Version of the format.
pub const SCHEMA_VERSION: &str = "1.0";

/// Values without units, as this file shows them.
struct Values<'a>(&'a Metrics);

impl Serialize for Values<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (key, value) in self.0.iter().filter(|(key, _)| MetricKey::in_files(key)) {
            match value {
                MetricValue::Int(value) => map.serialize_entry(key.tag(), value)?,
                MetricValue::Float(value) if value.is_finite() => map.serialize_entry(key.tag(), value)?,
                MetricValue::Float(_) | MetricValue::List(_) => {}
            }
        }
        map.end()
    }
}

#[derive(Serialize)]
struct Output<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    session_num: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    conversation_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    turn_index: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    x_request_id: Option<&'a str>,
    request_start_ns: u64,
    request_end_ns: u64,
    metrics: Values<'a>,
    response_text: &'a str,
}

/// Writes the file answer by answer. Unless it is finished, the file is not valid JSON.
#[derive(Debug)]
pub struct OutputsWriter<W: Write> {
    writer: W,
    line: Vec<u8>,
    answers: u64,
}

impl<W: Write> OutputsWriter<W> {
    /// Begins the file.
    ///
    /// # Errors
    /// The writer's own.
    pub fn new(mut writer: W) -> io::Result<Self> {
        write!(writer, "{{\n  \"schema_version\": \"{SCHEMA_VERSION}\",\n  \"data\": [")?;
        Ok(OutputsWriter { writer, line: Vec::with_capacity(4096), answers: 0 })
    }

    /// Adds the answer of a request. Failures and warmup requests are passed over.
    ///
    /// # Errors
    /// The writer's own.
    pub fn answer(&mut self, record: &RequestRecord, text: &str) -> io::Result<()> {
        let metadata = &record.metadata;
        if !record.is_success() || metadata.benchmark_phase != BenchmarkPhase::Profiling {
            return Ok(());
        }
        self.line.clear();
        self.line.extend_from_slice(if self.answers == 0 { b"\n    " } else { b",\n    " });
        let output = Output {
            session_num: metadata.session_num,
            conversation_id: metadata.conversation_id.as_deref(),
            turn_index: metadata.turn_index,
            x_request_id: metadata.x_request_id.as_deref(),
            request_start_ns: metadata.request_start_ns.0,
            request_end_ns: metadata.request_end_ns.0,
            metrics: Values(&record.metrics),
            response_text: text,
        };
        serde_json::to_writer(&mut self.line, &output)?;
        self.answers += 1;
        self.writer.write_all(&self.line)
    }

    /// Ends the file.
    ///
    /// # Errors
    /// The writer's own.
    pub fn finish(mut self) -> io::Result<W> {
        self.writer.write_all(if self.answers == 0 { b"]\n}\n" } else { b"\n  ]\n}\n" })?;
        self.writer.flush()?;
        Ok(self.writer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::catalogue;

    #[test]
    fn successes_of_the_measurement_are_written() {
        let mut writer = OutputsWriter::new(Vec::new()).unwrap();
        let mut record = RequestRecord::default();
        record.metadata.session_num = Some(1);
        record.metrics.int(catalogue::OUTPUT_SEQUENCE_LENGTH, 3);
        record.metrics.int(catalogue::REQUESTED_OSL, 3);
        record.metrics.list(catalogue::INTER_CHUNK_LATENCY, vec![1.0]);
        writer.answer(&record, "alpha \"beta\"\n").unwrap();
        record.metadata.benchmark_phase = BenchmarkPhase::Warmup;
        writer.answer(&record, "warm").unwrap();
        let text = String::from_utf8(writer.finish().unwrap()).unwrap();
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json["schema_version"], "1.0");
        assert_eq!(json["data"].as_array().unwrap().len(), 1);
        assert_eq!(json["data"][0]["response_text"], "alpha \"beta\"\n");
        assert_eq!(json["data"][0]["metrics"], serde_json::json!({"output_sequence_length": 3}));
    }
}
