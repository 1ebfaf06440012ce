//! Runs to compare, from whatever a path leads to: a run directory, a record file, or the result of another tool.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::analysis::run_sample::RunSample;
use crate::analysis::source::{self, SourceError};
use crate::foreign::{self, ForeignError};
use crate::format::records::{ReadError, RecordReader};

/// Largest document of another tool that is read, after decompression.
const MAX_DOCUMENT_BYTES: u64 = 1 << 30;

/// A run and what else its path told.
#[derive(Clone, Debug)]
pub struct RunFile {
    /// Its values.
    pub run: RunSample,
    /// Its summary (`profile_export_aiperf.json`), with the configuration.
    pub summary: Option<Value>,
    /// Lines that were no records.
    pub bad_lines: u64,
}

/// Why a path gives no run.
#[derive(Debug, thiserror::Error)]
pub enum RunFileError {
    /// It cannot be opened, or is a directory without results.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// It breaks off.
    #[error("{name}: {source}")]
    Io {
        /// The file.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// It is no JSON.
    #[error("{name}: {source}")]
    Json {
        /// The file.
        name: String,
        /// Why and where.
        source: serde_json::Error,
    },
    /// It is JSON, but no result.
    #[error("{name}: {source}")]
    Foreign {
        /// The file.
        name: String,
        /// Why.
        source: ForeignError,
    },
    /// There is no request of the measurement in it.
    #[error("{0}: no requests in it")]
    Empty(String),
}

/// Reads the runs of a path. Most have one; a sweep of another tool has several.
///
/// # Errors
/// [`RunFileError`].
pub fn read(path: &Path) -> Result<Vec<RunFile>, RunFileError> {
    let name = path.display().to_string();
    let file = match source::record_file(path) {
        Ok(file) => file,
        // A run without records (`--export-level summary`) has its summary still.
        Err(error @ SourceError::NoRecords { .. }) => match summary_in(path) {
            Some(summary) => summary,
            None => return Err(error.into()),
        },
        Err(error) => return Err(error.into()),
    };
    let failed = |source| RunFileError::Io { name: name.clone(), source };
    let mut reader = source::open(&file)?;
    let mut head = vec![0; 64 * 1024];
    let length = fill(&mut reader, &mut head).map_err(failed)?;
    head.truncate(length);
    let records = is_record_line(&head);
    let whole = Cursor::new(head).chain(reader);
    if records {
        read_records(&name, &file, Box::new(whole)).map(|run| vec![run])
    } else {
        read_documents(&name, whole)
    }
}

fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match reader.read(&mut buffer[length..]) {
            Ok(0) => break,
            Ok(n) => length += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

/// Whether a file begins like record lines: with an object whose first key is one of a record's.
fn is_record_line(head: &[u8]) -> bool {
    let mut rest = head.trim_ascii_start();
    for expected in [&b"{"[..], b"\""] {
        match rest.strip_prefix(expected) {
            Some(after) => rest = after.trim_ascii_start(),
            None => return false,
        }
    }
    [&b"metadata\""[..], b"metrics\"", b"trace_data\""].iter().any(|key| rest.starts_with(key))
}

fn summary_in(directory: &Path) -> Option<PathBuf> {
    Some(directory.join("profile_export_aiperf.json")).filter(|path| path.is_file())
}

/// The summary beside a record file.
fn summary_beside(records: &Path) -> Option<Value> {
    let directory = records.parent().unwrap_or(Path::new(""));
    let name = records.file_name()?.to_string_lossy();
    let stem = name.split(".jsonl").next().unwrap_or(&name);
    let stem = stem.strip_suffix(".parquet").unwrap_or(stem);
    let own = if stem == "profile_export" { "profile_export_aiperf".to_owned() } else { stem.to_owned() };
    let file = File::open(directory.join(format!("{own}.json"))).ok()?;
    serde_json::from_reader(BufReader::new(file).take(MAX_DOCUMENT_BYTES)).ok()
}

fn read_records(name: &str, file: &Path, reader: Box<dyn Read + '_>) -> Result<RunFile, RunFileError> {
    let mut run = RunSample::new(name);
    let mut bad_lines = 0;
    for record in RecordReader::new(name, reader) {
        match record {
            Ok(record) => run.add(&record),
            Err(ReadError::Line { .. }) => bad_lines += 1,
            Err(ReadError::Source(error)) => return Err(error.into()),
            Err(ReadError::Io { name, source }) => return Err(RunFileError::Io { name, source }),
        }
    }
    if !run.has_records() {
        return Err(RunFileError::Empty(name.to_owned()));
    }
    let summary = summary_beside(file);
    if let Some(summary) = &summary {
        foreign::complete(&mut run, summary);
    }
    Ok(RunFile { run, summary, bad_lines })
}

/// One document, or several one after another (JSON lines of runs).
fn read_documents(name: &str, reader: impl Read) -> Result<Vec<RunFile>, RunFileError> {
    let mut runs = Vec::new();
    let limited = BufReader::with_capacity(1 << 16, reader.take(MAX_DOCUMENT_BYTES));
    for document in serde_json::Deserializer::from_reader(limited).into_iter::<Value>() {
        let document = document.map_err(|source| RunFileError::Json { name: name.to_owned(), source })?;
        let found = foreign::runs(name, &document)
            .map_err(|source| RunFileError::Foreign { name: name.to_owned(), source })?;
        let summary = (foreign::tool_of(&document) == Some(foreign::Tool::Summary)).then_some(document);
        runs.extend(found.into_iter().map(|run| RunFile { run, summary: summary.clone(), bad_lines: 0 }));
    }
    if runs.is_empty() { Err(RunFileError::Empty(name.to_owned())) } else { Ok(runs) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixture(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures").join(name)
    }

    #[test]
    fn a_run_directory_gives_records_and_summary() {
        let files = read(&fixture("aiperf-run-streaming")).unwrap();
        assert_eq!(files.len(), 1);
        assert_eq!(files[0].run.requests(), 40);
        let summary = files[0].summary.as_ref().unwrap();
        // Our figures of the records are those of AIPerf's own summary.
        for (figure, tag, statistic) in [
            ("ttft_p90", "time_to_first_token", "p90"),
            ("latency_avg", "request_latency", "avg"),
            ("itl_p99", "inter_token_latency", "p99"),
            ("effective_latency_p50", "effective_latency", "p50"),
        ] {
            let ours = files[0].run.estimate(figure.parse().unwrap()).unwrap();
            let theirs = summary[tag][statistic].as_f64().unwrap();
            assert!((ours.value - theirs).abs() < 1e-6 * theirs, "{figure}: {} against {theirs}", ours.value);
            assert_eq!(ours.samples, 40);
        }
    }

    #[test]
    fn a_summary_alone_is_a_run_without_records() {
        let file = read(&fixture("aiperf-run-streaming/profile_export_aiperf.json")).unwrap().remove(0);
        assert!(!file.run.has_records());
        assert!(file.run.estimate("latency_p99".parse().unwrap()).is_some());
        assert!(file.summary.is_some());
    }

    #[test]
    fn json_lines_of_runs_are_several_runs() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sglang.jsonl");
        std::fs::write(&path, "{\"mean_ttft_ms\":1.0,\"request_rate\":2}\n{\"mean_ttft_ms\":3.0}\n").unwrap();
        let names: Vec<String> = read(&path).unwrap().into_iter().map(|file| file.run.name).collect();
        assert_eq!(names.len(), 2);
        assert!(names[0].ends_with("sglang.jsonl (request rate 2)"), "{names:?}");
    }

    #[test]
    fn what_is_no_result_says_why() {
        let dir = tempfile::tempdir().unwrap();
        let error = |content: &str| {
            let path = dir.path().join("x.json");
            std::fs::write(&path, content).unwrap();
            read(&path).unwrap_err().to_string()
        };
        assert!(error("").contains("no requests"));
        assert!(error("{\"a\":1}").contains("no known result format"));
        assert!(error("hello").contains("expected"));
        assert!(error("{\"metadata\":{}}").contains("no requests"));
        assert!(read(dir.path()).unwrap_err().to_string().contains("no profile_export.jsonl"));
    }
}
