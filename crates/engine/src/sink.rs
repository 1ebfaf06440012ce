//! The sink of an ordinary run: statistics of all records, and the answers where they are wanted.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use serde_json::json;
use tokmeter_record::metric::{MetricKey, MetricValue};
use tokmeter_record::statistics::RunStatistics;
use tokmeter_record::{BenchmarkPhase, RequestRecord};

use crate::collect::RecordSink;

/// Statistics and `outputs.json`.
pub struct RunSink {
    /// Fed with every record.
    pub statistics: RunStatistics,
    outputs: Option<Outputs>,
}

impl RunSink {
    /// A sink; `outputs` is the path of `outputs.json`, when wanted.
    ///
    /// # Errors
    /// When that file cannot be created.
    pub fn create(statistics: RunStatistics, outputs: Option<&Path>) -> io::Result<Self> {
        Ok(RunSink { statistics, outputs: outputs.map(Outputs::create).transpose()? })
    }

    /// Ends `outputs.json` and gives the statistics.
    ///
    /// # Errors
    /// When the file cannot be written to its end.
    pub fn finish(self) -> io::Result<RunStatistics> {
        if let Some(outputs) = self.outputs {
            outputs.finish()?;
        }
        Ok(self.statistics)
    }
}

impl RecordSink for RunSink {
    fn record(&mut self, record: &RequestRecord, text: Option<&str>) -> io::Result<()> {
        self.statistics.add(record);
        match (&mut self.outputs, text) {
            (Some(outputs), Some(text)) if record.metadata.benchmark_phase == BenchmarkPhase::Profiling => {
                outputs.add(record, text)
            }
            _ => Ok(()),
        }
    }
}

/// `outputs.json` (FORMATS 4), written as answers come.
struct Outputs {
    file: BufWriter<File>,
    first: bool,
}

impl Outputs {
    fn create(path: &Path) -> io::Result<Self> {
        let mut file = BufWriter::new(File::create(path)?);
        file.write_all(b"{\"schema_version\":\"1.0\",\"data\":[")?;
        Ok(Outputs { file, first: true })
    }

    fn add(&mut self, record: &RequestRecord, text: &str) -> io::Result<()> {
        let numbers = record.metrics.iter().filter_map(|(key, value)| number(key, value));
        let metadata = &record.metadata;
        let entry = json!({
            "session_num": metadata.session_num,
            "conversation_id": metadata.conversation_id,
            "turn_index": metadata.turn_index,
            "x_request_id": metadata.x_request_id,
            "request_start_ns": metadata.request_start_ns,
            "request_end_ns": metadata.request_end_ns,
            "metrics": numbers.collect::<serde_json::Map<_, _>>(),
            "response_text": text,
        });
        let separator: &[u8] = if self.first { b"\n" } else { b",\n" };
        self.first = false;
        self.file.write_all(separator)?;
        serde_json::to_writer(&mut self.file, &entry).map_err(io::Error::from)
    }

    fn finish(mut self) -> io::Result<()> {
        self.file.write_all(b"\n]}\n")?;
        self.file.flush()
    }
}

fn number(key: &MetricKey, value: &MetricValue) -> Option<(String, serde_json::Value)> {
    let number = match value {
        MetricValue::Int(value) => json!(value),
        MetricValue::Float(value) => json!(value),
        MetricValue::List(_) => return None,
    };
    let shown = !matches!(key, MetricKey::Known(id) if !id.def().in_records());
    shown.then(|| (key.tag().to_owned(), number))
}
