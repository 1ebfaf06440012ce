//! `profile`: load a server and write the results.

mod asked;
pub mod files;
mod memory;
mod network;
mod phases;
pub mod ranks;
mod readiness;
mod repeat;
mod report;
mod server_metrics;
mod slo;
mod sweep;
pub mod verdict;

pub use files::replace as replace_file;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use tokmeter_engine::run::{PhaseConfig, PhaseEvent};
use tokmeter_engine::server_metrics::{LatestGauges, ServerMetrics};
use tokmeter_engine::sink::{RunSink, SinkFiles};
use tokmeter_engine::{Live, RunConfig, RunControl, RunOutcome};
use tokmeter_record::BenchmarkPhase;
use tokmeter_record::analysis::run_sample::RunSample;
use tokmeter_record::analysis::verdict::Check;
use tokmeter_record::format::summary_json::RunInfo;
use tokmeter_record::server::PhaseMark;
use tokmeter_record::statistics::{RunFacts, RunStatistics, RunSummary, Window};
use tokmeter_record::verdict::Assessment;

use self::memory::MemoryWatch;
use super::calibrate::{Calibration, CalibrationLoad, calibrate};
use super::gate;
use crate::args::profile::{ExportLevel, ProfileArgs, RecordFormat, UiType};
use crate::console::harmless_cut;
use crate::console::progress::{Expected, Progress};
use crate::dashboard::{self, Dashboard, Feed, Watched};
use crate::exit::{Exit, Failure};
use crate::settings::profile::{self as settings, ProfileSettings};
use crate::{log, signal};

/// Characters of a server's message that go into ours.
const REASON_WIDTH: usize = 300;

/// A finished run with its statistics.
pub struct Finished {
    /// Its place among other runs of the same command.
    pub identity: RunInfo,
    /// What was asked.
    pub settings: ProfileSettings,
    /// What the run did.
    pub outcome: RunOutcome<()>,
    /// What it measured.
    pub summary: RunSummary,
    /// What its numbers are worth.
    pub verdict: Assessment,
    /// This machine's own error at this load, when it was measured.
    pub calibration: Option<Calibration>,
    /// What its servers told of themselves.
    pub server_metrics: Option<server_metrics::Collected>,
    /// Why it was ended early, if `--max-memory` was reached.
    pub memory_reached: Option<String>,
    /// What became of its SLOs.
    pub checks: Vec<Check>,
}

/// Runs the command.
pub fn run(args: &ProfileArgs, command_line: &str) -> Result<Exit> {
    log::start(&args.service.log_level, args.service.verbose);
    let control = RunControl::default();
    signal::drain_on_interrupt(control.clone()).context("cannot listen for signals")?;
    if let Some(plan) = sweep::plan(args)? {
        ranks::check_single(args)?;
        return repeat::run(args, command_line, &control, &plan);
    }
    let finished = once(args, command_line, &control, RunInfo { trial: Some(0), ..RunInfo::default() })?;
    report::print(args, &finished)?;
    exit(args, &finished)
}

/// One run from flags to files.
pub fn once(
    args: &ProfileArgs,
    command_line: &str,
    control: &RunControl,
    identity: RunInfo,
) -> Result<Finished> {
    let settings = settings::resolve(args)?;
    let limits = verdict::limits(&args.verdict.verdict_limit)?;
    let slos = gate::slos(&args.slo.slo, args.slo.slo_file.as_deref())?;
    let calibration = args.verdict.calibrate.then(|| CalibrationLoad::of_run(args, &settings)).transpose()?;
    readiness::wait(args, &settings, control)?;
    prepare_directory(settings.names.directory())?;
    files::write_inputs(&settings)?;
    files::begin(&settings, command_line)?;
    let calibration = calibration.map(|load| calibrate(&load, control)).transpose()?;

    let memory = args.service.max_memory.map(|limit| MemoryWatch::start(limit, control)).transpose()?;
    let live = Arc::new(Live::default());
    let mut statistics = RunStatistics::new(settings.statistics.clone());
    *statistics.facts_mut() = RunFacts { concurrency: settings.slots(), ..RunFacts::default() };
    let sink_files = SinkFiles {
        outputs: args.output.export_outputs_json.then(|| settings.names.outputs()),
        records_parquet: writes(args, RecordFormat::Parquet).then(|| settings.names.records_parquet()),
        har: args.output.export_har.clone(),
        perfetto: args.output.export_perfetto.clone(),
    };
    let mut sink = RunSink::create(statistics, &sink_files)
        .map_err(|error| Failure::usage(error.to_string()).fix("choose a place you may write to"))?;
    let name = settings.names.directory().display();
    sink.sample = (!slos.is_empty()).then(|| RunSample::new(name.to_string()));

    let (feed, gauges) = (Arc::<Feed>::default(), LatestGauges::default());
    let sink = Watched { sink, feed: Arc::clone(&feed) };
    let collector = server_metrics::start(args, &settings, gauges.clone())?;
    let round_trip = network::start(args, &settings)?;
    let title = title(args, &settings);
    let progress = progress(args, dashboard::Sources { title, live: live.clone(), feed, gauges });
    ranks::tell_wait(&settings);
    let outcome = tokmeter_engine::run(run_config(args, &settings), sink, live, control, |event| {
        tell_collector(collector.as_ref(), event);
        if let PhaseEvent::Begin { phase, .. } = event {
            progress.phase(expected(phase, &settings));
        }
    })?;
    drop(progress);
    let memory_reached = memory.and_then(MemoryWatch::finish);

    let (mut sink, outcome) = split(outcome);
    let sample = sink.sample.take();
    let mut statistics = sink.finish()?;
    statistics.facts_mut().network_rtt_ms = round_trip.finish()?;
    let window = window(&outcome);
    let finish = |collector| server_metrics::finish(collector, &settings, outcome.was_cancelled);
    let server_metrics = collector.map(finish).transpose()?;
    let mut written = Ok(());
    if let Some(collected) = &server_metrics {
        written = server_metrics::write(args, &settings, collected);
        server_metrics::gpu_energy(statistics.facts_mut(), collected, &window);
    }
    let summary = statistics.finish(&window);
    let verdict = verdict::of_run(&summary, &outcome, calibration.as_ref(), &limits);
    let checks = Vec::new();
    let mut finished = Finished {
        identity,
        settings,
        outcome,
        summary,
        verdict,
        calibration,
        server_metrics,
        memory_reached,
        checks,
    };
    let written = written.and_then(|()| files::write_summary(args, command_line, &finished));
    // The first file that failed explains the others.
    if let Some(error) = &finished.outcome.file_error {
        return Err(Failure::usage(format!("{error}; the run was stopped"))
            .fix("free space, then `tokmeter recover DIR`; or choose another --output-artifact-dir")
            .into());
    }
    written?;
    if let Some(sample) = sample {
        finished.checks = slo::check(&slos, sample, &finished)?;
    }
    Ok(finished)
}

/// Scrapes belong to the phase they were started in.
fn tell_collector(collector: Option<&ServerMetrics>, event: PhaseEvent) {
    let Some(collector) = collector else { return };
    match event {
        PhaseEvent::Begin { index, phase, at } => collector.begin_phase(PhaseMark {
            kind: phase.phase,
            name: phase.name.clone(),
            index,
            profiling_index: (phase.phase == BenchmarkPhase::Profiling).then_some(0),
            start_ns: at,
            end_ns: None,
        }),
        PhaseEvent::End(report) => collector.end_phase(report.end),
    }
}

fn split(outcome: RunOutcome<Watched>) -> (RunSink, RunOutcome<()>) {
    let RunOutcome { sink, phases, was_cancelled, notes, delivery, counts, health, anchors, file_error } =
        outcome;
    let outcome =
        RunOutcome { sink: (), phases, was_cancelled, notes, delivery, counts, health, anchors, file_error };
    (sink.sink, outcome)
}

fn prepare_directory(directory: &Path) -> Result<()> {
    fs::create_dir_all(directory).map_err(|error| {
        Failure::usage(format!("--output-artifact-dir: cannot create {}: {error}", directory.display()))
            .fix("choose a directory you may write to")
    })?;
    Ok(())
}

/// Whether the records are written in this format.
fn writes(args: &ProfileArgs, format: RecordFormat) -> bool {
    args.output.export_level != ExportLevel::Summary && args.output.record_formats.contains(&format)
}

/// The engine's part of the settings.
pub fn run_config(args: &ProfileArgs, settings: &ProfileSettings) -> RunConfig {
    let level = args.output.export_level;
    let phase = |phase: BenchmarkPhase, plan| PhaseConfig { phase, name: phase.as_str().to_owned(), plan };
    let warmup = settings.load.warmup.clone().map(|plan| phase(BenchmarkPhase::Warmup, plan));
    let profiling = phase(BenchmarkPhase::Profiling, settings.load.profiling.clone());
    RunConfig {
        request: settings.request.clone(),
        transport: settings.transport.clone(),
        dataset: settings.dataset.clone(),
        tokenizer: settings.tokenizer.clone(),
        tokens: settings.tokens,
        phases: warmup.into_iter().chain([profiling]).collect(),
        shards: settings.shards,
        decoders: settings.decoders,
        seed: settings.seed,
        share: settings.share,
        start_at: settings.start_at,
        records_file: writes(args, RecordFormat::Jsonl).then(|| settings.names.records()),
        raw_file: (level == ExportLevel::Raw).then(|| settings.names.raw()),
        http_trace: args.output.export_http_trace,
        keep_text: args.output.export_outputs_json,
        keep_trace: args.output.export_har.is_some() || args.output.export_perfetto.is_some(),
        slos: settings.statistics.slos.clone(),
    }
}

/// Models and servers, without credentials.
fn title(args: &ProfileArgs, settings: &ProfileSettings) -> String {
    let servers: Vec<String> =
        settings.request.targets.iter().map(|target| target.origin.to_string()).collect();
    format!("{} on {}", args.endpoint.model_names.join(", "), servers.join(", "))
}

/// What shows how far the run is.
enum Display {
    Lines(Progress),
    Screen(Dashboard),
}

impl Display {
    fn phase(&self, expected: Expected) {
        match self {
            Display::Lines(progress) => progress.phase(expected),
            Display::Screen(dashboard) => dashboard.phase(expected),
        }
    }
}

/// A display that cannot start is no reason not to measure.
fn progress(args: &ProfileArgs, sources: dashboard::Sources) -> Display {
    let live = Arc::clone(&sources.live);
    let simple = || Display::Lines(Progress::start(live).unwrap_or_else(|_| Progress::none()));
    match args.service.ui_type {
        Some(UiType::None) => Display::Lines(Progress::none()),
        Some(UiType::Dashboard) if dashboard::is_possible() => {
            Dashboard::start(sources).map_or_else(|_| simple(), Display::Screen)
        }
        _ => simple(),
    }
}

fn expected(phase: &PhaseConfig, settings: &ProfileSettings) -> Expected {
    let dataset = settings.dataset.clone();
    let requests = phase.plan.requests_of(settings.share, move |session| dataset.turns_of(session));
    Expected { phase: phase.name.clone(), requests, duration: phase.plan.duration }
}

fn window(outcome: &RunOutcome<()>) -> Window {
    let of = |phase: BenchmarkPhase| outcome.phases.iter().find(|report| report.phase == phase);
    let warmup = of(BenchmarkPhase::Warmup).map(|report| (report.start, report.end));
    match of(BenchmarkPhase::Profiling) {
        Some(report) => Window { warmup, ..Window::new(report.start, report.end) },
        None => Window { warmup, ..Window::default() },
    }
}

/// The exit code of a finished run.
fn exit(args: &ProfileArgs, finished: &Finished) -> Result<Exit> {
    let counts = finished.summary.counts;
    if finished.outcome.was_cancelled {
        return Ok(Exit::Interrupted);
    }
    if let Some(reason) = &finished.memory_reached {
        return Err(Failure {
            exit: Exit::Failed,
            message: format!("{reason}; the run was ended early"),
            fix: Some("allow more, or send less at a time: --concurrency, --osl".to_owned()),
        }
        .into());
    }
    if let Some(collected) = &finished.server_metrics
        && let Some(missing) = collected.outcome.missing(&args.server_metrics.server_metrics_required).first()
    {
        return Err(Failure {
            exit: Exit::NotValid,
            message: format!("--server-metrics-required: no page offered `{missing}`"),
            fix: Some("check the name, and that the server's metrics are switched on".to_owned()),
        }
        .into());
    }
    let feed_error = finished.outcome.phases.iter().find_map(|phase| phase.feeder.error());
    if let Some(error) = feed_error {
        return Err(Failure::usage(format!("a session cannot be sent: {error}")).into());
    }
    let failed = counts.failed - counts.cancelled;
    let most_frequent = finished.summary.errors.first().map_or("", |error| &error.error_details.message);
    let reason = harmless_cut(most_frequent, REASON_WIDTH);
    if counts.succeeded == 0 && failed > 0 && report::all_unreachable(&finished.summary) {
        return Err(Failure {
            exit: Exit::Unreachable,
            message: format!("the target could not be reached: {reason}"),
            fix: Some("check --url, and that the server is up".to_owned()),
        }
        .into());
    }
    if let Some(threshold) = args.load.failed_request_threshold
        && (counts.failed - counts.cancelled) as f64
            > threshold * (counts.completed() - counts.cancelled) as f64
    {
        return Ok(Exit::Failed);
    }
    if counts.succeeded == 0 && failed > 0 {
        return Err(Failure {
            exit: Exit::NotValid,
            message: format!("no request succeeded; {failed} failed, most often: {reason}"),
            fix: Some("see the error table above".to_owned()),
        }
        .into());
    }
    if !finished.checks.iter().all(|check| check.passed(false)) {
        return Ok(Exit::Failed);
    }
    if let Some(failure) = verdict::refused(args.verdict.require_valid, &finished.verdict) {
        return Err(failure.into());
    }
    Ok(Exit::Ok)
}
