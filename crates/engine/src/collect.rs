//! The collector: the one thread that sees every record. It writes lines, feeds the statistics and tells
//! how far the run is.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};
use tokmeter_record::RequestRecord;
use tokmeter_record::metric::catalogue as m;

use crate::decode::Collected;
use crate::delivery::Instants;
use crate::handover::Unhurried;
use crate::live::Live;
use crate::notes::RunNotes;

/// After this long, written lines are on disk even if the process is killed.
const FLUSH_EVERY: Duration = Duration::from_millis(500);

/// Takes every record of a run, in the order in which they were decoded.
pub trait RecordSink: Send {
    /// One record, of any phase and outcome, with its answer text when the run keeps texts and with its trace
    /// when the run keeps traces.
    ///
    /// # Errors
    /// The first file that cannot be written; the run is stopped.
    fn record(&mut self, record: &RequestRecord, text: Option<&str>) -> Result<(), CollectorError>;
}

/// Where the collector writes.
#[derive(Debug, Default)]
pub(crate) struct CollectorFiles {
    pub records: Option<PathBuf>,
    pub raw: Option<PathBuf>,
}

/// What the collector knows at the end.
pub(crate) struct CollectorOutcome<S> {
    pub sink: S,
    pub notes: RunNotes,
    pub instants: Instants,
    /// The first file error; everything after it was counted, but not written.
    pub error: Option<CollectorError>,
}

/// A file that could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}: {source}", path.display())]
pub struct CollectorError {
    /// Which file.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

struct LineFile {
    path: PathBuf,
    writer: BufWriter<File>,
}

impl LineFile {
    fn create(path: &Path) -> Result<LineFile, CollectorError> {
        let file = File::create(path).map_err(|source| CollectorError { path: path.to_owned(), source })?;
        Ok(LineFile { path: path.to_owned(), writer: BufWriter::with_capacity(1 << 18, file) })
    }

    fn run(
        &mut self,
        write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
    ) -> Result<(), CollectorError> {
        write(&mut self.writer).map_err(|source| CollectorError { path: self.path.clone(), source })
    }
}

/// The collector before its thread runs; creating it creates the files.
pub(crate) struct Collector<S> {
    records: Option<LineFile>,
    raw: Option<LineFile>,
    sink: S,
    live: Arc<Live>,
    notes: RunNotes,
    instants: Instants,
    error: Option<CollectorError>,
    on_error: Box<dyn Fn() + Send>,
}

impl<S: RecordSink> Collector<S> {
    /// Creates the files. `on_error` is called once, at the first file error, so that the run can stop.
    pub(crate) fn create(
        files: &CollectorFiles,
        sink: S,
        live: Arc<Live>,
        on_error: Box<dyn Fn() + Send>,
    ) -> Result<Self, CollectorError> {
        Ok(Collector {
            records: files.records.as_deref().map(LineFile::create).transpose()?,
            raw: files.raw.as_deref().map(LineFile::create).transpose()?,
            sink,
            live,
            notes: RunNotes::default(),
            instants: Instants::default(),
            error: None,
            on_error,
        })
    }

    /// Runs until all decoders are gone.
    pub(crate) fn run(mut self, collected: Receiver<Collected>) -> CollectorOutcome<S> {
        let mut collected = Unhurried::new(collected);
        let mut last_flush = Instant::now();
        loop {
            match collected.next_within(FLUSH_EVERY) {
                Ok(collected) => self.take(&collected),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if last_flush.elapsed() >= FLUSH_EVERY {
                self.flush();
                last_flush = Instant::now();
            }
        }
        self.flush();
        CollectorOutcome { sink: self.sink, notes: self.notes, instants: self.instants, error: self.error }
    }

    fn take(&mut self, collected: &Collected) {
        let record = &collected.record;
        let tokens = record.metrics.number(m::OUTPUT_SEQUENCE_LENGTH).unwrap_or(0.0) as u64;
        self.live.record(record.is_success(), record.metadata.was_cancelled, tokens);
        self.notes.add(record, &collected.notes);
        self.instants.add(record.metadata.benchmark_phase, collected.instants);
        let written = write_line(&mut self.records, &collected.line)
            .and_then(|()| write_line(&mut self.raw, &collected.raw_line));
        let sunk = self.sink.record(record, collected.text.as_deref());
        self.note_error(written.and(sunk));
    }

    fn flush(&mut self) {
        for file in [&mut self.records, &mut self.raw].into_iter().flatten() {
            let flushed = file.run(|writer| writer.flush());
            if let Err(error) = flushed {
                self.error.get_or_insert(error);
                (self.on_error)();
            }
        }
    }

    fn note_error(&mut self, result: Result<(), CollectorError>) {
        if let Err(error) = result
            && self.error.is_none()
        {
            self.error = Some(error);
            (self.on_error)();
        }
    }
}

fn write_line(file: &mut Option<LineFile>, line: &[u8]) -> Result<(), CollectorError> {
    match file {
        Some(file) if !line.is_empty() => file.run(|writer| writer.write_all(line)),
        _ => Ok(()),
    }
}
