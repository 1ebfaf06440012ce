//! Several runs in one command: repeats of one load, variations of a sweep. Each run leaves its own directory;
//! at the end estimates over the repeats and a comparison of the variations are written and printed.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use std::io::Write;
use tokmeter_engine::RunControl;
use tokmeter_record::format::aggregate::{AggregateDocument, Estimate, FailedRun};
use tokmeter_record::format::sweep::{self as format, SweepDocument};
use tokmeter_record::statistics::MetricSet;

use super::sweep::{Plan, PlannedRun, Variation};
use super::{Finished, exit, files, once, report};
use crate::args::profile::ProfileArgs;
use crate::console::number::grouped;
use crate::console::{WIDTH, table};
use crate::exit::Exit;

/// What one run of the plan gave.
struct Done {
    variation: usize,
    label: String,
    outcome: Result<MetricSet, String>,
}

/// Metrics of the tables: name in the files, heading.
const SHOWN: [(&str, &str); 6] = [
    ("request_throughput_avg", "req/s"),
    ("output_token_throughput_avg", "tokens/s"),
    ("time_to_first_token_p50", "TTFT p50 ms"),
    ("time_to_first_token_p99", "TTFT p99 ms"),
    ("inter_token_latency_avg", "ITL avg ms"),
    ("request_latency_p99", "latency p99 ms"),
];

/// Carries out the plan. The exit code is that of the worst run.
pub fn run(args: &ProfileArgs, command_line: &str, control: &RunControl, plan: &Plan) -> Result<Exit> {
    let runs = plan.runs();
    let mut done: Vec<Done> = Vec::new();
    let mut worst = Exit::Ok;
    let mut failed = None;
    for (index, planned) in runs.iter().enumerate() {
        cool_down(args, index.checked_sub(1).map(|before| &runs[before]), planned, control);
        if control.was_interrupted() {
            worst = Exit::Interrupted;
            break;
        }
        writeln!(std::io::stdout(), "run {} of {}: {}", index + 1, runs.len(), planned.label)?;
        let finished = match once(&planned.args, command_line, control, planned.identity.clone()) {
            Ok(finished) => finished,
            Err(error) => {
                failed = Some(error);
                break;
            }
        };
        report::print_brief(&finished)?;
        done.push(Done {
            variation: planned.variation,
            label: planned.label.clone(),
            outcome: outcome(&finished),
        });
        match exit(&planned.args, &finished) {
            Ok(exit) => worst = worst.max(exit),
            Err(error) => failed = failed.or(Some(error)),
        }
        if finished.memory_reached.is_some() {
            break;
        }
    }
    let aggregates = write(args, plan, &done)?;
    if !done.is_empty() {
        print(args, plan, &aggregates)?;
    }
    match failed {
        Some(error) => Err(error),
        None => Ok(worst),
    }
}

fn outcome(finished: &Finished) -> Result<MetricSet, String> {
    if finished.outcome.was_cancelled {
        return Err("interrupted".to_owned());
    }
    if let Some(reason) = &finished.memory_reached {
        return Err(reason.clone());
    }
    match (finished.summary.counts.succeeded, finished.summary.errors.first()) {
        (0, Some(error)) => Err(error.error_details.message.clone()),
        (0, None) => Err("no request was answered".to_owned()),
        _ => Ok(finished.summary.metrics.clone()),
    }
}

/// The pause before a run, cut short by Ctrl-C.
fn cool_down(args: &ProfileArgs, before: Option<&PlannedRun>, next: &PlannedRun, control: &RunControl) {
    let Some(before) = before else { return };
    let given = &args.multi_run;
    let seconds = match before.variation == next.variation {
        true => given.profile_run_cooldown_seconds,
        false => given.parameter_sweep_cooldown_seconds.max(match before.trial == next.trial {
            true => 0.0,
            false => given.profile_run_cooldown_seconds,
        }),
    };
    let end = Instant::now() + Duration::try_from_secs_f64(seconds).unwrap_or_default();
    while Instant::now() < end && !control.was_interrupted() {
        std::thread::sleep(end.saturating_duration_since(Instant::now()).min(Duration::from_millis(20)));
    }
}

/// Estimates of each variation, and the comparison of the variations.
fn write(args: &ProfileArgs, plan: &Plan, done: &[Done]) -> Result<Vec<AggregateDocument>> {
    let aggregates: Vec<AggregateDocument> =
        (0..plan.variations.len()).map(|index| aggregate(args, done, index)).collect();
    for (variation, aggregate) in plan.variations.iter().zip(&aggregates) {
        if aggregate.metadata.num_profile_runs == 0 {
            continue;
        }
        let directory = plan.aggregate_directory(variation);
        create(&directory)?;
        let file = |ending: &str| directory.join(format!("profile_export_aiperf_aggregate.{ending}"));
        files::replace(&file("json"), |file| aggregate.write(file))?;
        files::replace(&file("csv"), |file| aggregate.write_csv(file))?;
    }
    if !plan.parameters.is_empty() && !done.is_empty() {
        let directory = plan.sweep_directory();
        create(&directory)?;
        let ran = plan.variations.iter().zip(&aggregates).filter(|(_, of)| of.metadata.num_profile_runs > 0);
        let variation = |(variation, aggregate): (&Variation, &AggregateDocument)| format::Variation {
            parameters: variation.parameters.clone(),
            aggregate: aggregate.clone(),
        };
        let variations: Vec<format::Variation> = ran.map(variation).collect();
        let document = SweepDocument::new(plan.parameters.clone(), &variations, plan.trials);
        let file = |ending: &str| directory.join(format!("profile_export_aiperf_sweep.{ending}"));
        files::replace(&file("json"), |file| document.write(file))?;
        files::replace(&file("csv"), |file| document.write_csv(file))?;
    }
    Ok(aggregates)
}

fn aggregate(args: &ProfileArgs, done: &[Done], variation: usize) -> AggregateDocument {
    let of_variation = || done.iter().filter(|done| done.variation == variation);
    let runs: Vec<(String, &MetricSet)> =
        of_variation().filter_map(|done| Some((done.label.clone(), done.outcome.as_ref().ok()?))).collect();
    let failed = of_variation().filter_map(|done| {
        Some(FailedRun { label: done.label.clone(), error: done.outcome.as_ref().err()?.clone() })
    });
    let given = &args.multi_run;
    AggregateDocument::new(
        &runs,
        failed.collect(),
        given.confidence_level,
        given.profile_run_cooldown_seconds,
    )
}

fn create(directory: &Path) -> Result<()> {
    fs::create_dir_all(directory).with_context(|| format!("cannot create {}", directory.display()))
}

fn print(args: &ProfileArgs, plan: &Plan, aggregates: &[AggregateDocument]) -> Result<()> {
    let mut out = std::io::stdout().lock();
    let level = args.multi_run.confidence_level * 100.0;
    if plan.parameters.is_empty() {
        out.write_all(repeats(&aggregates[0], level).as_bytes())?;
    } else if !args.multi_run.no_sweep_table {
        out.write_all(variations(plan, aggregates, level).as_bytes())?;
    }
    writeln!(out, "\nfiles in {}", plan.base().display())?;
    Ok(())
}

/// One row for each metric.
fn repeats(aggregate: &AggregateDocument, level: f64) -> String {
    let row = |(name, heading): &(&str, &str)| {
        let of = aggregate.metrics.get(*name)?;
        let cv = of.cv.map_or("N/A".to_owned(), |cv| format!("{:.1} %", cv * 100.0));
        Some(vec![
            (*heading).to_owned(),
            grouped(of.mean),
            grouped(of.ci_low),
            grouped(of.ci_high),
            cv,
            grouped(of.min),
            grouped(of.max),
        ])
    };
    let rows: Vec<Vec<String>> = SHOWN.iter().filter_map(row).collect();
    let title = format!(
        "\n{} of {} runs, {level} % confidence interval of the mean",
        aggregate.metadata.num_successful_runs, aggregate.metadata.num_profile_runs
    );
    table::render(&title, &["Metric", "mean", "low", "high", "CV", "min", "max"], &rows, WIDTH)
}

/// One row for each variation.
fn variations(plan: &Plan, aggregates: &[AggregateDocument], level: f64) -> String {
    let known = |name: &str| aggregates.iter().any(|aggregate| aggregate.metrics.contains_key(name));
    let columns: Vec<_> = SHOWN.iter().filter(|(name, _)| known(name)).collect();
    let cell = |of: &Estimate| match plan.trials {
        1 => grouped(of.mean),
        _ => format!("{} ±{}", grouped(of.mean), grouped(of.ci_high - of.mean)),
    };
    let row = |(variation, aggregate): (&Variation, &AggregateDocument)| {
        let figures =
            columns.iter().map(|(name, _)| aggregate.metrics.get(*name).map_or("N/A".to_owned(), cell));
        [variation.label.clone()].into_iter().chain(figures).collect()
    };
    let rows: Vec<Vec<String>> = plan.variations.iter().zip(aggregates).map(row).collect();
    let header: Vec<&str> = ["Variation"].into_iter().chain(columns.iter().map(|(_, text)| *text)).collect();
    let title = match plan.trials {
        1 => "\nSweep".to_owned(),
        trials => format!("\nSweep, {trials} runs each, ± half of the {level} % confidence interval"),
    };
    table::render(&title, &header, &rows, WIDTH)
}
