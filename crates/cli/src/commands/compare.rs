//! `compare`: runs against a baseline, with intervals and verdicts.

use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;
use tokmeter_record::analysis::compare::config::{Difference, Weight, differences};
use tokmeter_record::analysis::compare::{Comparison, Options, compare, text};
use tokmeter_record::analysis::run_file::{self, RunFile};
use tokmeter_record::metric::MetricId;
use tokmeter_record::metric::catalogue::nearest_tag;

use crate::args::compare::CompareArgs;
use crate::console::harmless;
use crate::exit::{Exit, Failure};

/// One comparison with what differs in the configurations.
#[derive(Serialize)]
struct Compared {
    #[serde(flatten)]
    comparison: Comparison,
    configuration: Vec<Difference>,
}

/// Runs `compare`.
///
/// # Errors
/// Runs that cannot be read or must not be compared; a closed standard output.
pub fn run(args: &CompareArgs) -> anyhow::Result<Exit> {
    let options = options(args)?;
    let mut runs = Vec::new();
    for path in &args.runs {
        runs.extend(read(path)?);
    }
    let Some((baseline, candidates)) = runs.split_first().filter(|(_, candidates)| !candidates.is_empty())
    else {
        return Err(Failure::usage("one run alone cannot be compared")
            .fix("name a baseline and another run")
            .into());
    };
    let mut compared = Vec::new();
    for candidate in candidates {
        let configuration = configuration(baseline, candidate, args.force)?;
        compared
            .push(Compared { comparison: compare(&baseline.run, &candidate.run, &options), configuration });
    }
    print(&compared, args.json)?;
    Ok(Exit::Ok)
}

fn options(args: &CompareArgs) -> Result<Options, Failure> {
    let mut options = Options {
        alpha: args.alpha,
        min_effect: args.min_effect / 100.0,
        seed: args.seed,
        ..Options::default()
    };
    if !args.statistics.is_empty() {
        options.statistics.clone_from(&args.statistics);
    }
    for name in &args.metric {
        let tag = tokmeter_record::analysis::filter::resolve_alias(name);
        let metric = MetricId::from_tag(tag).ok_or_else(|| {
            let failure = Failure::usage(format!("--metric: no metric is named {name:?}"));
            match nearest_tag(tag) {
                Some(near) => failure.fix(format!("did you mean {near}?")),
                None => failure,
            }
        })?;
        options.metrics.push(metric);
    }
    Ok(options)
}

/// The runs of a path.
pub(super) fn read(path: &Path) -> Result<Vec<RunFile>, Failure> {
    let files = run_file::read(path).map_err(|error| Failure::usage(error.to_string()))?;
    for file in files.iter().filter(|file| file.bad_lines > 0) {
        tracing::warn!(run = %file.run.name, lines = file.bad_lines, "lines that are no records were passed over");
    }
    Ok(files)
}

/// What differs in the configurations of two runs.
///
/// # Errors
/// Something that must not differ, unless `force`.
pub(super) fn configuration(
    baseline: &RunFile,
    candidate: &RunFile,
    force: bool,
) -> Result<Vec<Difference>, Failure> {
    let (Some(from), Some(to)) = (&baseline.summary, &candidate.summary) else {
        tracing::warn!(
            baseline = %baseline.run.name, candidate = %candidate.run.name,
            "the configuration of at least one run is not known: whether load and input were the same is not checked"
        );
        return Ok(Vec::new());
    };
    let found = differences(from, to);
    let refused: Vec<String> =
        found.iter().filter(|difference| difference.weight == Weight::Refuse).map(told).collect();
    if refused.is_empty() || force {
        return Ok(found);
    }
    Err(Failure::usage(format!(
        "{} and {} are not comparable, they differ in what was asked of them:\n  {}",
        baseline.run.name,
        candidate.run.name,
        refused.join("\n  ")
    ))
    .fix("repeat the run with the same load and input, or give --force to compare all the same"))
}

fn told(difference: &Difference) -> String {
    let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "not set".to_owned());
    format!("{}: {} / {}", difference.key, shown(&difference.baseline), shown(&difference.candidate))
}

fn print(compared: &[Compared], json: bool) -> anyhow::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    if json {
        serde_json::to_writer_pretty(&mut out, compared)?;
        writeln!(out)?;
    } else {
        let mut shown = String::new();
        for (index, one) in compared.iter().enumerate() {
            if index > 0 {
                shown.push('\n');
            }
            text::write(&one.comparison, &mut shown)?;
            if !one.configuration.is_empty() {
                shown.push_str("\nThe configurations differ (baseline / compared):\n");
                for difference in &one.configuration {
                    shown.push_str(&format!("  {}\n", told(difference)));
                }
            }
        }
        for line in shown.lines() {
            writeln!(out, "{}", harmless(line))?;
        }
    }
    out.flush()?;
    Ok(())
}
