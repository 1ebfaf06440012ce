//! `gate`: limits against a baseline and SLOs, for CI.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use tokmeter_record::analysis::run_file::RunFile;
use tokmeter_record::analysis::slo::RunSlo;
use tokmeter_record::analysis::verdict::{Check, Verdict, junit, step_summary};

use super::compare::{configuration, read};
use crate::args::gate::GateArgs;
use crate::console::harmless;
use crate::exit::{Exit, Failure};

/// Runs `gate`.
///
/// # Errors
/// Runs that cannot be read or must not be compared, a bad SLO file, a report that cannot be written.
pub fn run(args: &GateArgs) -> anyhow::Result<Exit> {
    let candidate = one_run(&args.run)?;
    let mut checks = Vec::new();
    if let Some(path) = &args.baseline {
        let baseline = one_run(path)?;
        for difference in configuration(&baseline, &candidate, args.force)? {
            tracing::warn!(key = difference.key, "the configurations of the runs differ");
        }
        let confidence = args.confidence / 100.0;
        let gates = args.max_regress.iter();
        checks.extend(gates.map(|gate| gate.check(&baseline.run, &candidate.run, confidence, args.seed)));
    }
    let slos = slos(&args.slo, args.slo_file.as_deref())?;
    checks.extend(slos.iter().map(|slo| slo.check(&candidate.run)));
    report(&candidate.run.name, &checks, args)?;
    Ok(if checks.iter().all(|check| check.passed(args.allow_unproven)) { Exit::Ok } else { Exit::Failed })
}

fn one_run(path: &Path) -> Result<RunFile, Failure> {
    let mut runs = read(path)?;
    match (runs.pop(), runs.len()) {
        (Some(run), 0) => Ok(run),
        (_, more) => Err(Failure::usage(format!("{}: {} runs in one file", path.display(), more + 1))
            .fix("a gate judges one run: give a file with one")),
    }
}

/// The SLOs given one by one and in a file.
///
/// # Errors
/// A file that cannot be read, or a line of it that is no SLO.
pub fn slos(given: &[RunSlo], file: Option<&Path>) -> Result<Vec<RunSlo>, Failure> {
    let mut slos = given.to_vec();
    if let Some(path) = file {
        let content = fs::read_to_string(path)
            .map_err(|error| Failure::usage(format!("--slo-file: {}: {error}", path.display())))?;
        let read = RunSlo::parse_file(&content).map_err(|(line, error)| {
            Failure::usage(format!("--slo-file: {}, line {line}: {error}", path.display()))
        })?;
        slos.extend(read);
    }
    Ok(slos)
}

fn report(name: &str, checks: &[Check], args: &GateArgs) -> anyhow::Result<()> {
    if let Some(path) = &args.junit {
        let mut xml = String::new();
        junit::write(&format!("tokmeter {name}"), checks, args.allow_unproven, &mut xml)?;
        fs::write(path, xml)
            .map_err(|error| Failure::usage(format!("--junit: {}: {error}", path.display())))?;
    }
    if let Some(path) = &args.step_summary {
        let mut markdown = String::new();
        step_summary::write(&format!("tokmeter: {name}"), checks, args.allow_unproven, &mut markdown)?;
        append(path, &markdown)
            .map_err(|error| Failure::usage(format!("--step-summary: {}: {error}", path.display())))?;
    }
    let mut out = io::BufWriter::new(io::stdout().lock());
    if args.json {
        serde_json::to_writer_pretty(&mut out, checks)?;
        writeln!(out)?;
    } else {
        write_checks(checks, args.allow_unproven, &mut out)?;
    }
    out.flush()?;
    Ok(())
}

fn append(path: &Path, text: &str) -> io::Result<()> {
    OpenOptions::new().append(true).create(true).open(path)?.write_all(text.as_bytes())
}

/// Writes one line for each check: whether it passed, and why.
///
/// # Errors
/// The writer's own.
pub fn write_checks(checks: &[Check], allow_unproven: bool, out: &mut dyn Write) -> io::Result<()> {
    for check in checks {
        let mark = match (check.verdict, check.passed(allow_unproven)) {
            (Verdict::Met, _) => "PASS",
            (_, true) => "WARN",
            (_, false) => "FAIL",
        };
        writeln!(out, "{mark}  {}  {}", harmless(&check.name), check.verdict.as_str())?;
        writeln!(out, "      {}", harmless(&check.message))?;
    }
    let failed = checks.iter().filter(|check| !check.passed(allow_unproven)).count();
    match failed {
        0 => writeln!(out, "all {} checks passed", checks.len()),
        _ => writeln!(out, "{failed} of {} checks failed", checks.len()),
    }
}
