//! One run read for the page: its records in one pass, its summary and its server metrics beside them.

use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use super::rows::{Requests, Rows};
use super::server::{Line, Timeline};
use super::summary::Facts;
use crate::analysis::source::{self, Blocks, Piece, SourceError};
use crate::analysis::{Analysis, MAX_LINE_BYTES, Options};
use crate::format::SummaryDocument;
use crate::request::RequestRecord;

/// Bytes read at a time.
const BLOCK_BYTES: usize = 1 << 20;

/// How much of a run goes into the page.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Requests of a run that are kept one by one (about 90 bytes of the page each): an even sample beyond it.
    pub requests: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { requests: 100_000 }
    }
}

impl Limits {
    /// The limits of one of `runs` runs that share a page.
    pub fn shared_by(self, runs: usize) -> Limits {
        Limits { requests: self.requests / runs.max(1) }
    }
}

/// Why a run cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// It cannot be opened, or is a directory without results.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// It breaks off before the first record.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A summary that is none.
    #[error("{}: not the summary of a run: {source}", path.display())]
    Summary {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// There is nothing to show.
    #[error("{}: no line is a record", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

/// A run, ready for the page.
#[derive(Debug)]
pub struct Run {
    /// Name on the page.
    pub name: String,
    pub(super) path: PathBuf,
    pub(super) facts: Facts,
    pub(super) requests: Option<Requests>,
    pub(super) server: Vec<Line>,
}

impl Run {
    /// Reads the run of a directory or of a record file (ours or AIPerf's, plain, gzip or zstd), or a summary alone
    /// (`profile_export_aiperf.json`). Bad lines are counted and named on the page.
    ///
    /// # Errors
    /// [`ReportError`].
    pub fn read(path: &Path, limits: &Limits) -> Result<Run, ReportError> {
        let records = match source::record_file(path) {
            Ok(file) => file,
            Err(error @ SourceError::NoRecords { .. }) => {
                let summary = path.join("profile_export_aiperf.json");
                return if summary.is_file() { summary_alone(path, &summary) } else { Err(error.into()) };
            }
            Err(error) => return Err(error.into()),
        };
        if records.extension().is_some_and(|extension| extension == "json") {
            return summary_alone(path, &records);
        }
        with_records(path, &records, limits)
    }
}

fn summary_alone(path: &Path, summary: &Path) -> Result<Run, ReportError> {
    let document = SummaryDocument::read(source::open(summary)?)
        .map_err(|source| ReportError::Summary { path: summary.to_owned(), source })?;
    let mut facts = Facts::of(document);
    facts.note("only the summary is there: charts of single requests need profile_export.jsonl".to_owned());
    Ok(Run { name: name(path, summary), path: path.to_owned(), facts, requests: None, server: Vec::new() })
}

fn with_records(path: &Path, records: &Path, limits: &Limits) -> Result<Run, ReportError> {
    let mut facts = match summary_beside(records) {
        Some(document) => Facts::of(document),
        None => {
            let mut facts = Facts::default();
            facts.note(
                "no summary beside the records: key numbers are computed from the requests shown".to_owned(),
            );
            facts
        }
    };
    let reader = source::open(records)?;
    let mut blocks = Blocks::new(reader, BLOCK_BYTES, MAX_LINE_BYTES);
    let mut analysis = Analysis::new(Options::default());
    let mut rows = Rows::new(limits.requests);
    let source = records.display().to_string();
    let mut buffer = Vec::new();
    loop {
        match blocks.next_piece(std::mem::take(&mut buffer)) {
            Ok(Some(Piece::Lines(block))) => {
                analysis.block(&source, block.first_line, &block.bytes);
                for (number, line) in (block.first_line..).zip(block.bytes.split(|byte| *byte == b'\n')) {
                    // Lines that are no records are counted by the analysis.
                    if let Ok(record) = serde_json::from_slice::<RequestRecord>(line) {
                        rows.add(&record, number);
                    }
                }
                buffer = block.bytes;
            }
            Ok(Some(Piece::TooLong { line })) => {
                analysis.bad_line(&source, line, format!("longer than {} MB", MAX_LINE_BYTES >> 20));
            }
            Ok(None) => break,
            Err(error) if blocks.next_line() == 1 => {
                return Err(ReportError::Read { path: records.to_owned(), source: error });
            }
            Err(error) => {
                facts.note(format!("reading stopped at line {}: {error}", blocks.next_line()));
                break;
            }
        }
    }
    let report = analysis.finish();
    if report.lines.records == 0 {
        return Err(ReportError::Empty { path: records.to_owned() });
    }
    facts.analyzed(report.insights, report.lines);
    let requests = rows.finish();
    let server = Timeline::beside(records)
        .zip(requests.origin())
        .map(|(timeline, origin)| timeline.finish(origin))
        .unwrap_or_default();
    Ok(Run { name: name(path, records), path: path.to_owned(), facts, requests: Some(requests), server })
}

/// `profile_export_aiperf.json` beside `profile_export.jsonl` (or `.parquet`), or `NAME.json` beside `NAME.jsonl`.
fn summary_beside(records: &Path) -> Option<SummaryDocument> {
    let name = records.file_name()?.to_string_lossy();
    let stem = match source::stem(&name) {
        "profile_export" => "profile_export_aiperf",
        own => own,
    };
    let file = std::fs::File::open(records.with_file_name(format!("{stem}.json"))).ok()?;
    SummaryDocument::read(BufReader::new(file)).ok()
}

/// The directory's name, or the file's where a file of an own name was given.
fn name(path: &Path, file: &Path) -> String {
    let own_name = path.is_file() && !path.to_string_lossy().contains("profile_export");
    let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty());
    let directory = directory.map(|parent| parent.canonicalize().unwrap_or_else(|_| parent.to_owned()));
    let named = match own_name {
        true => path.file_stem(),
        false => directory.as_ref().and_then(|directory| directory.file_name()),
    };
    named.map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixture(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures").join(name)
    }

    #[test]
    fn a_directory_gives_requests_figures_and_server_metrics() {
        let run = Run::read(&fixture("aiperf-run-streaming"), &Limits::default()).unwrap();
        assert_eq!(run.name, "aiperf-run-streaming");
        assert!(run.requests.is_some() && !run.server.is_empty());
        let facts = serde_json::to_value(&run.facts).unwrap();
        assert_eq!(facts["metrics"][0]["tag"], "time_to_first_token");
        assert_eq!(facts["lines"]["records"], 40);
        assert!(facts["configuration"].is_object());
    }

    #[test]
    fn a_packed_file_alone_and_a_summary_alone_are_shown() {
        let dir = tempfile::tempdir().unwrap();
        let text = std::fs::read(fixture("aiperf-run-errors/profile_export.jsonl")).unwrap();
        let packed = dir.path().join("night.jsonl.zst");
        std::fs::write(&packed, zstd::encode_all(text.as_slice(), 1).unwrap()).unwrap();
        let run = Run::read(&packed, &Limits::default()).unwrap();
        assert!(run.requests.is_some());
        for ending in ["jsonl", "jsonl.gz", "jsonl.zst", "parquet"] {
            let records = fixture("aiperf-run-errors").join(format!("profile_export.{ending}"));
            assert!(summary_beside(&records).is_some(), "{ending}");
        }
        let summary = fixture("aiperf-run-errors/profile_export_aiperf.json");
        let alone = dir.path().join("summary");
        std::fs::create_dir(&alone).unwrap();
        std::fs::copy(summary, alone.join("profile_export_aiperf.json")).unwrap();
        let run = Run::read(&alone, &Limits::default()).unwrap();
        assert!(run.requests.is_none() && run.name == "summary");
    }

    #[test]
    fn what_is_no_run_says_why() {
        let dir = tempfile::tempdir().unwrap();
        let error = |path: &Path| Run::read(path, &Limits::default()).unwrap_err().to_string();
        assert!(error(dir.path()).contains("no profile_export.jsonl"));
        let junk = dir.path().join("x.jsonl");
        std::fs::write(&junk, "hello\n").unwrap();
        assert!(error(&junk).contains("no line is a record"));
        std::fs::write(dir.path().join("x.json"), "[]").unwrap();
        assert!(error(&dir.path().join("x.json")).contains("not the summary"));
    }
}
