//! `profile`: load a server and write the results.

mod asked;
mod files;
mod network;
mod phases;
mod readiness;
mod repeat;
mod report;
mod server_metrics;
mod sweep;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use tokmeter_engine::run::{PhaseConfig, PhaseEvent};
use tokmeter_engine::server_metrics::ServerMetrics;
use tokmeter_engine::sink::RunSink;
use tokmeter_engine::{Live, RunConfig, RunControl, RunOutcome};
use tokmeter_record::BenchmarkPhase;
use tokmeter_record::format::summary_json::RunInfo;
use tokmeter_record::server::PhaseMark;
use tokmeter_record::statistics::{RunFacts, RunStatistics, RunSummary, Window};

use crate::args::profile::{ExportLevel, ProfileArgs, UiType};
use crate::console::progress::{Expected, Progress};
use crate::exit::{Exit, Failure};
use crate::settings::profile::{self as settings, ProfileSettings};
use crate::{log, signal};

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
    /// What its servers told of themselves.
    pub server_metrics: Option<server_metrics::Collected>,
}

/// Runs the command.
pub fn run(args: &ProfileArgs, command_line: &str) -> Result<Exit> {
    log::start(&args.service.log_level, args.service.verbose);
    let control = RunControl::default();
    signal::drain_on_interrupt(control.clone()).context("cannot listen for signals")?;
    if let Some(plan) = sweep::plan(args)? {
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
    readiness::wait(args, &settings, control)?;
    prepare_directory(settings.names.directory())?;
    files::write_inputs(&settings)?;

    let live = Arc::new(Live::default());
    let mut statistics = RunStatistics::new(settings.statistics.clone());
    *statistics.facts_mut() =
        RunFacts { concurrency: settings.load.profiling.concurrency, ..RunFacts::default() };
    let outputs = args.output.export_outputs_json.then(|| settings.names.outputs());
    let sink = RunSink::create(statistics, outputs.as_deref())
        .with_context(|| format!("cannot write into {}", settings.names.directory().display()))?;

    let collector = server_metrics::start(args, &settings)?;
    let round_trip = network::start(args, &settings)?;
    let progress = progress(args, &live);
    let outcome = tokmeter_engine::run(
        run_config(args, &settings),
        sink,
        settings.names.outputs(),
        live,
        control,
        |event| {
            tell_collector(collector.as_ref(), event);
            if let PhaseEvent::Begin { phase, .. } = event {
                progress.phase(expected(phase));
            }
        },
    )?;
    drop(progress);

    let (sink, outcome) = split(outcome);
    let mut statistics = sink.finish().context("cannot write outputs.json to its end")?;
    statistics.facts_mut().network_rtt_ms = round_trip.finish()?;
    let window = window(&outcome);
    let finish = |collector| server_metrics::finish(collector, &settings, outcome.was_cancelled);
    let server_metrics = collector.map(finish).transpose()?;
    if let Some(collected) = &server_metrics {
        server_metrics::write(args, &settings, collected)?;
        server_metrics::gpu_energy(statistics.facts_mut(), collected, &window);
    }
    let summary = statistics.finish(&window);
    let finished = Finished { identity, settings, outcome, summary, server_metrics };
    files::write_summary(args, command_line, &finished)?;
    if let Some(error) = &finished.outcome.file_error {
        return Err(Failure::usage(format!("{error}; the run was stopped"))
            .fix("free space or choose another --output-artifact-dir")
            .into());
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

fn split(outcome: RunOutcome<RunSink>) -> (RunSink, RunOutcome<()>) {
    let RunOutcome { sink, phases, was_cancelled, notes, delivery, counts, health, anchors, file_error } =
        outcome;
    let outcome =
        RunOutcome { sink: (), phases, was_cancelled, notes, delivery, counts, health, anchors, file_error };
    (sink, outcome)
}

fn prepare_directory(directory: &Path) -> Result<()> {
    fs::create_dir_all(directory).map_err(|error| {
        Failure::usage(format!("--output-artifact-dir: cannot create {}: {error}", directory.display()))
            .fix("choose a directory you may write to")
    })?;
    Ok(())
}

fn run_config(args: &ProfileArgs, settings: &ProfileSettings) -> RunConfig {
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
        records_file: (level != ExportLevel::Summary).then(|| settings.names.records()),
        raw_file: (level == ExportLevel::Raw).then(|| settings.names.raw()),
        http_trace: args.output.export_http_trace,
        keep_text: args.output.export_outputs_json,
        slos: settings.statistics.slos.clone(),
    }
}

fn progress(args: &ProfileArgs, live: &Arc<Live>) -> Progress {
    match args.service.ui_type {
        Some(UiType::None) => Progress::none(),
        // A display that cannot start is no reason not to measure.
        _ => Progress::start(live.clone()).unwrap_or_else(|_| Progress::none()),
    }
}

fn expected(phase: &PhaseConfig) -> Expected {
    Expected { phase: phase.name.clone(), requests: phase.plan.requests, duration: phase.plan.duration }
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
    if counts.succeeded == 0 && counts.failed > 0 && report::all_unreachable(&finished.summary) {
        return Ok(Exit::Unreachable);
    }
    if let Some(threshold) = args.load.failed_request_threshold
        && (counts.failed - counts.cancelled) as f64
            > threshold * (counts.completed() - counts.cancelled) as f64
    {
        return Ok(Exit::Failed);
    }
    Ok(Exit::Ok)
}
