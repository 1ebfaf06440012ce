//! The files of a run that are written before and after it (the others stream while it runs).

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokmeter_record::BenchmarkPhase;
use tokmeter_record::format::inputs::InputsWriter;
use tokmeter_record::format::names::ArtifactNames;
use tokmeter_record::format::ready::ResultsReady;
use tokmeter_record::format::summary_csv;
use tokmeter_record::format::summary_json::{RunInfo, SummaryDocument};
use tokmeter_record::format::timeslices::TimeslicesDocument;
use tokmeter_record::ranks::RankFacts;
use tokmeter_record::statistics::Window;

use super::{Finished, asked, phases, ranks, report, server_metrics, window};
use crate::args::profile::ProfileArgs;
use crate::exit::Failure;
use crate::settings::profile::ProfileSettings;

/// `inputs.json`: every dataset entry with the body of each turn, as it will be sent (without history).
pub fn write_inputs(settings: &ProfileSettings) -> Result<()> {
    let Some(entries) = settings.inputs else { return Ok(()) };
    let builder = tokmeter_engine::request::RequestBuilder::new(settings.request.clone());
    replace(&settings.names.inputs(), |file| {
        let mut inputs = InputsWriter::new(file)?;
        for index in 0..entries {
            let session = settings.dataset.entry(index);
            let payloads = (0..session.turns.len())
                .map(|turn| {
                    let body = builder.body(&session, turn, &[]).map_err(io::Error::other)?;
                    builder.shown_body(&body).ok_or_else(|| io::Error::other("a request body is no JSON"))
                })
                .collect::<io::Result<Vec<_>>>()?;
            inputs.session(&session.id, payloads.iter().map(|payload| &**payload))?;
        }
        inputs.finish()?;
        Ok(())
    })
}

/// What a run was asked to do, written before its first request: `recover` needs it when nothing else came.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Beginning {
    /// As in all files of the run.
    pub benchmark_id: String,
    /// As in the summary.
    pub input_config: Value,
    /// When it was given.
    pub random_seed: Option<u64>,
    /// As typed, secrets redacted.
    pub cli_command: String,
    /// Its place in a run that several machines share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rank: Option<RankFacts>,
}

/// Hidden, and only there while the run goes on.
fn beginning_path(names: &ArtifactNames) -> PathBuf {
    let summary = names.summary_json();
    let name = summary.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    summary.with_file_name(format!(".{name}.begun"))
}

/// Writes [`Beginning`].
pub fn begin(settings: &ProfileSettings, command_line: &str) -> Result<()> {
    let beginning = Beginning {
        benchmark_id: settings.benchmark_id.clone(),
        input_config: settings.input_config.clone(),
        random_seed: settings.seed_given.then_some(settings.seed.0),
        cli_command: command_line.to_owned(),
        rank: ranks::before(settings),
    };
    replace(&beginning_path(&settings.names), |file| {
        serde_json::to_writer(file, &beginning).map_err(io::Error::other)
    })
}

/// [`Beginning`] of a run that did not end.
pub fn beginning(names: &ArtifactNames) -> Option<Beginning> {
    serde_json::from_slice(&fs::read(beginning_path(names)).ok()?).ok()
}

/// Summary JSON and CSV, slices, console text, and the mark that all is there.
pub fn write_summary(args: &ProfileArgs, command_line: &str, finished: &Finished) -> Result<()> {
    let names = &finished.settings.names;
    let document = document(command_line, finished);
    replace(&names.summary_json(), |file| document.write(file))?;
    replace(&names.summary_csv(), |file| summary_csv::write_csv(&document, file))?;
    phases::write(finished, &document)?;
    if args.output.slice_duration.is_some() {
        let slices = TimeslicesDocument {
            timeslices: finished.summary.slices.clone(),
            input_config: document.input_config.clone(),
        };
        replace(&names.timeslices_json(), |file| slices.write(file))?;
        replace(&names.timeslices_csv(), |file| slices.write_csv(file))?;
    }
    replace(&names.console(), |mut file| file.write_all(report::tables(args, finished, 140).as_bytes()))?;
    let cancelled = finished.outcome.was_cancelled;
    replace(&names.ready(), |mut file| {
        file.write_all(ResultsReady::to_json(cancelled, cancelled).as_bytes())
    })?;
    // Whoever recovers this directory finds a complete summary; a leftover would only be confusing.
    let _ = fs::remove_file(beginning_path(names));
    Ok(())
}

fn document(command_line: &str, finished: &Finished) -> SummaryDocument {
    let Finished { identity, settings, outcome, summary, server_metrics: collected, .. } = finished;
    let mut document = SummaryDocument::of(summary, &window(outcome));
    document.benchmark_id = Some(settings.benchmark_id.clone());
    document.input_config = Some(settings.input_config.clone());
    document.run_info = Some(RunInfo {
        benchmark_id: Some(settings.benchmark_id.clone()),
        random_seed: settings.seed_given.then_some(settings.seed.0),
        cli_command: Some(command_line.to_owned()),
        ..identity.clone()
    });
    document.was_cancelled = Some(outcome.was_cancelled);
    let incomplete = match (&outcome.file_error, outcome.was_cancelled) {
        (Some(error), _) => Some(error.to_string()),
        (None, true) => Some("interrupted by the user".to_owned()),
        (None, false) => finished.memory_reached.clone(),
    };
    document.is_complete = Some(incomplete.is_none());
    document.incomplete_reason = incomplete;
    document.tokmeter.extend(own_facts(finished));
    document.tokmeter.extend(asked::facts(finished));
    let rank = ranks::facts(finished);
    document.tokmeter.extend(rank.map(|facts| (ranks::KEY.to_owned(), json!(facts))));
    if let Some(collected) = collected {
        document
            .tokmeter
            .insert("server_metrics".to_owned(), server_metrics::facts(collected, &summary.metrics));
        let Window { start, end, .. } = window(outcome);
        if let (false, Some(start), Some(end)) = (collected.outcome.telemetry.is_empty(), start, end) {
            document.telemetry_data = Some(collected.outcome.telemetry.block(start, end));
        }
    }
    document
}

/// What only tokmeter says, under its own key.
fn own_facts(finished: &Finished) -> Map<String, Value> {
    let Finished { settings, outcome, summary, verdict, calibration, .. } = finished;
    let profiling = outcome.phases.iter().find(|phase| phase.phase == BenchmarkPhase::Profiling);
    let facts = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "verdict": verdict,
        "random_seed": settings.seed.0,
        "requests": {
            "sent": profiling.map(|phase| phase.requests),
            "succeeded": summary.counts.succeeded,
            "failed": summary.counts.failed - summary.counts.cancelled,
            "cancelled": summary.counts.cancelled,
        },
        "clock": {"start": outcome.anchors.0, "end": outcome.anchors.1,
                  "drift_ns": outcome.anchors.0.drift_ns(&outcome.anchors.1)},
        "notes": outcome.notes,
        "coalesced_read_share": outcome.notes.coalesced_read_share(),
        "health": outcome.health,
        "client": {
            "shards": settings.shards,
            "decoders": settings.decoders,
            "slot_waits": outcome.counts.slot_waits,
            "decode_stalls": outcome.counts.decode_stalls,
            "decode_backlog_high": outcome.counts.decode_backlog_high,
            "feeder_starved": profiling.map(|phase| phase.feeder.starved()),
        },
    });
    let warmup = outcome.phases.iter().find(|phase| phase.phase == BenchmarkPhase::Warmup);
    let warmup = warmup.map(|phase| json!({"start_ns": phase.start, "end_ns": phase.end}));
    match facts {
        Value::Object(mut facts) => {
            facts.extend(calibration.as_ref().map(|errors| ("calibration".to_owned(), json!(errors))));
            facts.extend(warmup.map(|window| ("warmup_window".to_owned(), window)));
            facts
        }
        _ => Map::new(),
    }
}

/// Writes a file under a temporary name and renames it: a reader never sees half of one.
pub fn replace(path: &Path, write: impl FnOnce(BufWriter<File>) -> io::Result<()>) -> Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let partial = directory.join(format!(".{name}.partial"));
    let written = File::create(&partial)
        .and_then(|file| write(BufWriter::with_capacity(1 << 16, file)))
        .and_then(|()| fs::rename(&partial, path));
    written.map_err(|error| {
        let _ = fs::remove_file(&partial);
        Failure::usage(format!("cannot write {}: {error}", path.display()))
            .fix("free space or choose another --output-artifact-dir")
    })?;
    Ok(())
}

/// Where to look afterwards: the files that exist, with their sizes.
pub fn listing(settings: &ProfileSettings) -> Result<Vec<(String, u64)>> {
    let directory = settings.names.directory();
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).with_context(|| format!("cannot list {}", directory.display()))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_file() && !name.starts_with('.') {
            files.push((name, entry.metadata()?.len()));
        }
    }
    files.sort();
    Ok(files)
}
