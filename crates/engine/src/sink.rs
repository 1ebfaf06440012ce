//! The sink of an ordinary run: statistics of all records, and the files that are written from records beside
//! their lines.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tokmeter_record::analysis::run_sample::RunSample;
use tokmeter_record::format::har::HarWriter;
use tokmeter_record::format::outputs::OutputsWriter;
use tokmeter_record::format::perfetto::PerfettoWriter;
use tokmeter_record::format::records_parquet::RecordRows;
use tokmeter_record::statistics::RunStatistics;
use tokmeter_record::{BenchmarkPhase, RequestRecord};

use crate::collect::{CollectorError, RecordSink};

type Buffered = BufWriter<File>;

/// Files beside the records, those that are wanted.
#[derive(Clone, Debug, Default)]
pub struct SinkFiles {
    /// The answers: `outputs.json`.
    pub outputs: Option<PathBuf>,
    /// The records as rows: `profile_export.parquet`.
    pub records_parquet: Option<PathBuf>,
    /// HTTP Archive.
    pub har: Option<PathBuf>,
    /// Chrome trace.
    pub perfetto: Option<PathBuf>,
}

/// A file on its way, with its name for errors.
struct Open<W> {
    path: PathBuf,
    writer: W,
}

impl<W> Open<W> {
    fn create(
        path: Option<&PathBuf>,
        begin: impl FnOnce(Buffered) -> io::Result<W>,
    ) -> Result<Option<Open<W>>, CollectorError> {
        let Some(path) = path else { return Ok(None) };
        let begun = File::create(path).and_then(|file| begin(BufWriter::with_capacity(1 << 18, file)));
        begun.map(|writer| Some(Open { path: path.clone(), writer })).map_err(|source| error(path, source))
    }

    fn write<T>(&mut self, write: impl FnOnce(&mut W) -> io::Result<T>) -> Result<(), CollectorError> {
        write(&mut self.writer).map(drop).map_err(|source| error(&self.path, source))
    }

    fn finish(self, finish: impl FnOnce(W) -> io::Result<Buffered>) -> Result<(), CollectorError> {
        let finished = finish(self.writer).and_then(|mut file| file.flush());
        finished.map_err(|source| error(&self.path, source))
    }
}

fn error(path: &Path, source: io::Error) -> CollectorError {
    CollectorError { path: path.to_owned(), source }
}

/// Statistics, `outputs.json`, rows of records, HTTP Archive and Chrome trace.
pub struct RunSink {
    /// Fed with every record.
    pub statistics: RunStatistics,
    /// The values that SLOs of the run are decided on, where there are any; fed with every record.
    pub sample: Option<RunSample>,
    outputs: Option<Open<OutputsWriter<Buffered>>>,
    rows: Option<Open<RecordRows<Buffered>>>,
    har: Option<Open<HarWriter<Buffered>>>,
    perfetto: Option<Open<PerfettoWriter<Buffered>>>,
}

impl RunSink {
    /// A sink; the run begins after this.
    ///
    /// # Errors
    /// A file that cannot be created.
    pub fn create(statistics: RunStatistics, files: &SinkFiles) -> Result<Self, CollectorError> {
        let begin = tokmeter_http::clock::wall_now();
        Ok(RunSink {
            statistics,
            sample: None,
            rows: Open::create(files.records_parquet.as_ref(), RecordRows::create)?,
            outputs: Open::create(files.outputs.as_ref(), OutputsWriter::new)?,
            har: Open::create(files.har.as_ref(), |file| HarWriter::new(file, env!("CARGO_PKG_VERSION")))?,
            perfetto: Open::create(files.perfetto.as_ref(), |file| PerfettoWriter::new(file, begin))?,
        })
    }

    /// Ends the files and gives the statistics.
    ///
    /// # Errors
    /// A file that cannot be written to its end.
    pub fn finish(self) -> Result<RunStatistics, CollectorError> {
        if let Some(outputs) = self.outputs {
            outputs.finish(OutputsWriter::finish)?;
        }
        if let Some(rows) = self.rows {
            rows.finish(RecordRows::finish)?;
        }
        if let Some(har) = self.har {
            har.finish(HarWriter::finish)?;
        }
        if let Some(perfetto) = self.perfetto {
            perfetto.finish(PerfettoWriter::finish)?;
        }
        Ok(self.statistics)
    }
}

impl RecordSink for RunSink {
    fn record(&mut self, record: &RequestRecord, text: Option<&str>) -> Result<(), CollectorError> {
        self.statistics.add(record);
        if let Some(sample) = &mut self.sample {
            sample.add(record);
        }
        if let (Some(outputs), Some(text)) = (&mut self.outputs, text)
            && record.metadata.benchmark_phase == BenchmarkPhase::Profiling
        {
            outputs.write(|writer| writer.answer(record, text))?;
        }
        if let Some(rows) = &mut self.rows {
            rows.write(|writer| writer.push(record))?;
        }
        if let Some(har) = &mut self.har {
            har.write(|writer| writer.record(record))?;
        }
        if let Some(perfetto) = &mut self.perfetto {
            perfetto.write(|writer| writer.record(record))?;
        }
        Ok(())
    }
}
