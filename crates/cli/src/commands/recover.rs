//! `recover`: the summary of a run that never came to write one, from its records.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use anyhow::Result;
use serde_json::json;
use tokmeter_record::BenchmarkPhase;
use tokmeter_record::analysis::source;
use tokmeter_record::format::names::ArtifactNames;
use tokmeter_record::format::ready::ResultsReady;
use tokmeter_record::format::records::{BadLines, RecordReader};
use tokmeter_record::format::summary_csv;
use tokmeter_record::format::summary_json::{RunInfo, SummaryDocument};
use tokmeter_record::statistics::{Options, RunStatistics, RunSummary, Window};
use tokmeter_record::time::WallNs;

use super::profile::files::{self, Beginning};
use super::profile::ranks::KEY;
use crate::args::recover::RecoverArgs;
use crate::console::harmless;
use crate::exit::{Exit, Failure};

/// Runs the command.
///
/// # Errors
/// No records, a complete summary already there, a file that cannot be written.
pub fn run(args: &RecoverArgs) -> Result<Exit> {
    let names = ArtifactNames::new(&args.directory, args.profile_export_prefix.as_deref());
    if !args.force && is_complete(&names.summary_json()) {
        return Err(Failure::usage(format!(
            "{} is the summary of a complete run",
            names.summary_json().display()
        ))
        .fix("nothing is to be recovered; --force replaces it")
        .into());
    }
    let recovered = read(&names)?;
    let document = document(&recovered, files::beginning(&names));
    files::replace(&names.summary_json(), |file| document.write(file))?;
    files::replace(&names.summary_csv(), |file| summary_csv::write_csv(&document, file))?;
    files::replace(&names.ready(), |mut file| file.write_all(ResultsReady::to_json(false, true).as_bytes()))?;
    tell(&names, &recovered)?;
    Ok(Exit::Ok)
}

/// Whether a summary is there and says that nothing is missing. Half a summary is never there: it is renamed
/// into place when it is whole.
fn is_complete(summary: &Path) -> bool {
    let read = fs::read(summary).ok();
    let document = read.and_then(|bytes| serde_json::from_slice::<SummaryDocument>(&bytes).ok());
    document.is_some_and(|document| document.is_complete == Some(true))
}

/// What the records tell.
struct Recovered {
    summary: RunSummary,
    window: Window,
    records: u64,
    bad: BadLines,
}

fn read(names: &ArtifactNames) -> Result<Recovered, Failure> {
    let path = names.records();
    let missing = |error: String| {
        Failure::usage(error)
            .fix("name the artifact directory of a run with --export-level records (the default) or raw")
    };
    let file = source::open(&path).map_err(|error| missing(error.to_string()))?;
    let mut reader = RecordReader::new(path.display().to_string(), file).tolerant();
    let mut statistics = RunStatistics::new(Options::default());
    let (mut profiling, mut warmup) = (None, None);
    let mut records = 0;
    for record in reader.by_ref() {
        let span = match record.metadata.benchmark_phase {
            BenchmarkPhase::Profiling => &mut profiling,
            BenchmarkPhase::Warmup => &mut warmup,
        };
        let (start, end) = (record.metadata.request_start_ns, record.metadata.request_end_ns);
        let known: (WallNs, WallNs) = span.unwrap_or((start, end));
        *span = Some((known.0.min(start), known.1.max(end)));
        statistics.add(&record);
        records += 1;
    }
    if records == 0 {
        return Err(missing(format!("{} holds no record", path.display())));
    }
    let window = match profiling {
        Some((start, end)) => Window { warmup, ..Window::new(start, end) },
        None => Window { warmup, ..Window::default() },
    };
    let bad = BadLines { count: reader.bad_lines().count, named: reader.bad_lines().named.clone() };
    Ok(Recovered { summary: statistics.finish(&window), window, records, bad })
}

fn document(recovered: &Recovered, beginning: Option<Beginning>) -> SummaryDocument {
    let counts = recovered.summary.counts;
    let mut document = SummaryDocument::of(&recovered.summary, &recovered.window);
    document.is_complete = Some(false);
    document.incomplete_reason = Some(format!(
        "recovered from {} records: the run ended before its summary was written; requests in flight and up to one \
         second of records are missing",
        recovered.records
    ));
    let facts = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "recovered": {"records": recovered.records, "unreadable_lines": recovered.bad.count},
        "requests": {
            "sent": counts.completed(),
            "succeeded": counts.succeeded,
            "failed": counts.failed - counts.cancelled,
            "cancelled": counts.cancelled,
        },
    });
    if let serde_json::Value::Object(facts) = facts {
        document.tokmeter.extend(facts);
    }
    if let Some(beginning) = beginning {
        if let Some(mut rank) = beginning.rank {
            rank.start.actual_ns = recovered.window.start;
            document.tokmeter.insert(KEY.to_owned(), json!(rank));
        }
        document.benchmark_id = Some(beginning.benchmark_id.clone());
        document.input_config = Some(beginning.input_config);
        document.run_info = Some(RunInfo {
            benchmark_id: Some(beginning.benchmark_id),
            random_seed: beginning.random_seed,
            trial: Some(0),
            cli_command: Some(beginning.cli_command),
            ..RunInfo::default()
        });
    }
    document
}

fn tell(names: &ArtifactNames, recovered: &Recovered) -> io::Result<()> {
    let counts = recovered.summary.counts;
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "recovered {} records: {} succeeded, {} failed, {} cancelled",
        recovered.records,
        counts.succeeded,
        counts.failed - counts.cancelled,
        counts.cancelled
    )?;
    for line in &recovered.bad.named {
        writeln!(out, "not read: {}", harmless(line))?;
    }
    writeln!(out, "summary, marked incomplete: {}", names.summary_json().display())
}
