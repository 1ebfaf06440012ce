//! `merge`: the parts of a run that several machines shared become one run.

mod evidence;
mod join;
mod parts;
mod report;

use std::fs;
use std::io::{self, Write};

use anyhow::Result;
use serde_json::{Map, Value, json};
use tokmeter_record::analysis::source;
use tokmeter_record::format::names::ArtifactNames;
use tokmeter_record::format::ready::ResultsReady;
use tokmeter_record::format::summary_csv;
use tokmeter_record::format::summary_json::{RunInfo, SummaryDocument};
use tokmeter_record::format::timeslices::TimeslicesDocument;
use tokmeter_record::metric::catalogue as c;
use tokmeter_record::statistics::{GpuEnergy, GpuVendor, Options, RunFacts, RunSummary, Window};
use tokmeter_record::verdict::{Assessment, assess};

use super::profile::files::replace;
use super::profile::verdict;
use crate::args::merge::MergeArgs;
use crate::console::width;
use crate::exit::{Exit, Failure};
use join::{JoinError, Joined, Source};
use parts::{Part, Parts};
use report::Rank;

/// A merged run.
struct Merged {
    parts: Vec<Part>,
    missing: Vec<u32>,
    names: ArtifactNames,
    window: Window,
    summary: RunSummary,
    verdict: Assessment,
    ranks: Vec<Rank>,
}

impl Merged {
    /// The ranks without a part, for the reader.
    fn missing(&self) -> Option<String> {
        let ranks: Vec<_> = self.missing.iter().map(u32::to_string).collect();
        (!ranks.is_empty()).then(|| ranks.join(", "))
    }
}

/// Runs the command.
///
/// # Errors
/// Parts that do not belong together, a record that cannot be read, a file that cannot be written.
pub fn run(args: &MergeArgs) -> Result<Exit> {
    let limits = verdict::limits(&args.verdict_limit)?;
    let Parts { parts, missing, output } = parts::find(args)?;
    fs::create_dir_all(&output).map_err(|error| {
        Failure::usage(format!("--artifact-dir: cannot create {}: {error}", output.display()))
            .fix("choose a directory you may write to")
    })?;
    let names = ArtifactNames::new(output, args.profile_export_prefix.as_deref());
    let mut joined = join_records(&parts, &names)?;
    *joined.statistics.facts_mut() = facts(&parts);
    let window = window(&parts);
    let summary = joined.statistics.finish(&window);
    let verdict = assess(evidence::of_parts(&parts, &summary), &limits);
    let ranks = report::ranks(&parts, &joined.records, args.late_threshold_ms);
    let merged = Merged { parts, missing, names, window, summary, verdict, ranks };
    write(&merged)?;
    let mut out = io::stdout().lock();
    out.write_all(report::text(&merged, width()).as_bytes())?;
    writeln!(out, "\nfiles in {}", merged.names.directory().display())?;
    match verdict::refused(args.require_valid, &merged.verdict) {
        Some(failure) => Err(failure.into()),
        None => Ok(Exit::Ok),
    }
}

/// The records of all parts, in order of the ranks, into one file.
fn join_records(parts: &[Part], names: &ArtifactNames) -> Result<Joined> {
    let mut opened = Vec::new();
    for part in parts {
        let path =
            [part.names.records(), part.names.records_parquet()].into_iter().find(|path| path.exists());
        let path = path.ok_or_else(|| {
            Failure::usage(format!("{} has no records", part.names.directory().display()))
                .fix("run the ranks with --export-level records (the default)")
        })?;
        let file = source::open(&path).map_err(|error| Failure::usage(error.to_string()))?;
        let may_be_cut = part.document.tokmeter.contains_key("recovered");
        opened.push(Source { name: path.display().to_string(), from: file, may_be_cut });
    }
    let mut joined = None;
    replace(&names.records(), |file| match join::join(opened, options(&parts[0]), file) {
        Err(JoinError::Write(error)) => Err(error),
        other => {
            joined = Some(other);
            Ok(())
        }
    })?;
    match joined {
        Some(Ok(joined)) => Ok(joined),
        Some(Err(JoinError::Record(error))) => {
            let _ = fs::remove_file(names.records());
            Err(Failure::usage(error.to_string()).fix("copy the rank's files again, or leave it out").into())
        }
        _ => Err(anyhow::anyhow!("internal error: records were not joined")),
    }
}

/// How the ranks took their statistics.
fn options(first: &Part) -> Options {
    let config = first.document.input_config.as_ref();
    let slice = config.and_then(|config| config.pointer("/artifacts/slice_duration")?.as_f64());
    let replays = profiling(first).is_some_and(|phase| phase["type"] == "fixed_schedule");
    Options {
        slice_ns: slice.map(|seconds| (seconds * 1e9) as u64),
        fixed_schedule: replays,
        ..Options::default()
    }
}

/// The measured phase as the whole run was asked for it.
fn profiling(part: &Part) -> Option<&Value> {
    let phases = part.document.input_config.as_ref()?.get("phases")?.as_array()?;
    phases.iter().find(|phase| phase["kind"] == "profiling")
}

/// What no record holds. Round trips are each rank's own; GPUs were asked by rank 0 alone.
fn facts(parts: &[Part]) -> RunFacts {
    let value = |part: &Part, id| part.document.metric(id).and_then(|metric| metric.avg);
    let trips: Vec<f64> = parts.iter().filter_map(|part| value(part, c::NETWORK_RTT)).collect();
    let energy = |vendor, energy, power| {
        let found = parts.iter().find(|part| value(part, energy).is_some())?;
        Some(GpuEnergy { vendor, energy_j: value(found, energy), power_w: value(found, power) })
    };
    let nvidia = energy(GpuVendor::Nvidia, c::NVIDIA_TOTAL_GPU_ENERGY, c::NVIDIA_TOTAL_GPU_POWER);
    let amd = energy(GpuVendor::Amd, c::AMD_TOTAL_GPU_ENERGY, c::AMD_TOTAL_GPU_POWER);
    let concurrency = profiling(&parts[0]).and_then(|phase| phase.get("concurrency")?.as_u64());
    RunFacts {
        network_rtt_ms: (!trips.is_empty()).then(|| trips.iter().sum::<f64>() / trips.len() as f64),
        gpu_energy: nvidia.into_iter().chain(amd).collect(),
        concurrency: concurrency.and_then(|slots| u32::try_from(slots).ok()),
    }
}

/// From the first start to the last end.
fn window(parts: &[Part]) -> Window {
    let windows = || parts.iter().map(|part| part.document.window());
    let warmups = || parts.iter().filter_map(Part::warmup);
    Window {
        start: windows().filter_map(|window| window.start).min(),
        end: windows().filter_map(|window| window.end).max(),
        warmup: warmups().map(|warmup| warmup.0).min().zip(warmups().map(|warmup| warmup.1).max()),
        ..Window::default()
    }
}

fn write(merged: &Merged) -> Result<()> {
    let names = &merged.names;
    let document = document(merged);
    replace(&names.summary_json(), |file| document.write(file))?;
    replace(&names.summary_csv(), |file| summary_csv::write_csv(&document, file))?;
    if !merged.summary.slices.is_empty() {
        let slices = TimeslicesDocument {
            timeslices: merged.summary.slices.clone(),
            input_config: document.input_config.clone(),
        };
        replace(&names.timeslices_json(), |file| slices.write(file))?;
        replace(&names.timeslices_csv(), |file| slices.write_csv(file))?;
    }
    copy_of_first(merged)?;
    replace(&names.console(), |mut file| file.write_all(report::text(merged, 140).as_bytes()))?;
    let cancelled = document.was_cancelled == Some(true);
    let complete = document.is_complete == Some(true);
    replace(&names.ready(), |mut file| file.write_all(ResultsReady::to_json(cancelled, !complete).as_bytes()))
}

/// What is the same on all ranks, and what only rank 0 collected.
fn copy_of_first(merged: &Merged) -> Result<()> {
    let (from, to) = (&merged.parts[0].names, &merged.names);
    let formats = ["json", "csv", "jsonl", "parquet"];
    let metrics = formats.map(|format| (from.server_metrics(format), to.server_metrics(format)));
    let others = [(from.inputs(), to.inputs()), (from.gpu_telemetry(), to.gpu_telemetry())];
    for (from, to) in metrics.into_iter().chain(others).filter(|(from, _)| from.exists()) {
        let mut source = fs::File::open(&from)
            .map_err(|error| Failure::usage(format!("cannot read {}: {error}", from.display())))?;
        replace(&to, |mut file| {
            io::copy(&mut source, &mut file)?;
            file.flush()
        })?;
    }
    Ok(())
}

fn document(merged: &Merged) -> SummaryDocument {
    let first = &merged.parts[0].document;
    let mut document = SummaryDocument::of(&merged.summary, &merged.window);
    document.benchmark_id = first.benchmark_id.clone();
    document.input_config = first.input_config.clone();
    if let Some(artifacts) = document.input_config.as_mut().and_then(|config| config.get_mut("artifacts")) {
        artifacts["dir"] = json!(merged.names.directory());
    }
    document.run_info = first.run_info.clone().map(|info| RunInfo { trial: Some(0), ..info });
    document.telemetry_data = first.telemetry_data.clone();
    let parts = || merged.parts.iter().map(|part| &part.document);
    document.was_cancelled = Some(parts().any(|part| part.was_cancelled == Some(true)));
    let reasons = parts().filter_map(|part| part.incomplete_reason.clone());
    let missing = merged.missing().map(|ranks| format!("ranks are missing: {ranks}"));
    document.incomplete_reason = missing.into_iter().chain(reasons).next();
    document.is_complete = Some(document.incomplete_reason.is_none());
    document.tokmeter.extend(own_facts(merged));
    document
}

/// What only tokmeter says, under its own key.
fn own_facts(merged: &Merged) -> Map<String, Value> {
    let first = &merged.parts[0];
    let counts = merged.summary.counts;
    let sum = |path: &str| {
        let values: Option<Vec<f64>> = merged.parts.iter().map(|part| part.fact(path)?.as_f64()).collect();
        values.map(|values| values.iter().sum::<f64>())
    };
    let sent: u64 =
        merged.parts.iter().filter_map(|part| part.fact("requests/sent").and_then(Value::as_u64)).sum();
    let mut facts = Map::new();
    let mut fact = |key: &str, value: Value| facts.insert(key.to_owned(), value);
    fact("version", json!(env!("CARGO_PKG_VERSION")));
    fact("verdict", json!(merged.verdict));
    fact("random_seed", json!(first.facts.random_seed));
    fact(
        "requests",
        json!({
            "sent": sent,
            "succeeded": counts.succeeded,
            "failed": counts.failed - counts.cancelled,
            "cancelled": counts.cancelled,
        }),
    );
    fact(
        "load",
        json!({
            "asked": {"rate": sum("load/asked/rate"), "scheduled_rate": sum("load/asked/scheduled_rate"),
                      "concurrency": sum("load/asked/concurrency")},
            "delivered": {"requests": sent, "rate": sum("load/delivered/rate")},
        }),
    );
    if let Some((start, end)) = merged.window.warmup {
        fact("warmup_window", json!({"start_ns": start, "end_ns": end}));
    }
    // Side by side with one rank's requests alone it would mislead.
    if let Some(Value::Object(mut collected)) = first.fact("server_metrics").cloned() {
        collected.remove("side_by_side");
        fact("server_metrics", Value::Object(collected));
    }
    fact(
        "merged",
        json!({
            "run_id": first.facts.run_id,
            "ranks": first.facts.ranks,
            "missing": merged.missing,
            "parts": merged.ranks,
        }),
    );
    facts
}
