//! The sink of an ordinary run: statistics of all records, and the answers where they are wanted.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use tokmeter_record::format::outputs::OutputsWriter;
use tokmeter_record::statistics::RunStatistics;
use tokmeter_record::{BenchmarkPhase, RequestRecord};

use crate::collect::RecordSink;

/// Statistics and `outputs.json`.
pub struct RunSink {
    /// Fed with every record.
    pub statistics: RunStatistics,
    outputs: Option<OutputsWriter<BufWriter<File>>>,
}

impl RunSink {
    /// A sink; `outputs` is the path of `outputs.json`, when wanted.
    ///
    /// # Errors
    /// When that file cannot be created.
    pub fn create(statistics: RunStatistics, outputs: Option<&Path>) -> io::Result<Self> {
        let create = |path: &Path| OutputsWriter::new(BufWriter::new(File::create(path)?));
        Ok(RunSink { statistics, outputs: outputs.map(create).transpose()? })
    }

    /// Ends `outputs.json` and gives the statistics.
    ///
    /// # Errors
    /// When the file cannot be written to its end.
    pub fn finish(self) -> io::Result<RunStatistics> {
        if let Some(outputs) = self.outputs {
            outputs.finish()?.flush()?;
        }
        Ok(self.statistics)
    }
}

impl RecordSink for RunSink {
    fn record(&mut self, record: &RequestRecord, text: Option<&str>) -> io::Result<()> {
        self.statistics.add(record);
        match (&mut self.outputs, text) {
            (Some(outputs), Some(text)) if record.metadata.benchmark_phase == BenchmarkPhase::Profiling => {
                outputs.answer(record, text)
            }
            _ => Ok(()),
        }
    }
}
