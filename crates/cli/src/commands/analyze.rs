//! `analyze`: reads record files with all cores and prints what they tell.

mod reading;

use std::fs::File;
use std::io::{self, BufReader, Write};
use std::path::{Path, PathBuf};

use tokmeter_record::analysis::gauges::GaugeSeries;
use tokmeter_record::analysis::text::Section;
use tokmeter_record::analysis::{Options, Report, source, table, text};

use crate::args::analyze::AnalyzeArgs;
use crate::console::harmless;
use crate::exit::{Exit, Failure};

/// Slow requests that are explained when the section is asked for without a number.
const DEFAULT_SLOWEST: usize = 5;

/// Runs `analyze`.
///
/// # Errors
/// An input that cannot be read or holds no record at all; a closed standard output.
pub fn run(args: &AnalyzeArgs) -> anyhow::Result<Exit> {
    let asked_for_slowest = args.section.contains(&Section::Slowest);
    let options = Options {
        filter: args.filter.clone(),
        include_warmup: args.include_warmup,
        slowest: args.slowest.unwrap_or(if asked_for_slowest { DEFAULT_SLOWEST } else { 0 }),
        ..Options::default()
    };
    let inputs = args.paths.iter().map(|path| input(path)).collect::<Result<Vec<_>, _>>()?;
    let gauges = if options.slowest > 0 { gauges(&inputs) } else { GaugeSeries::default() };
    let report = reading::analyze(&inputs, options)?.finish_with(&gauges);
    if report.lines.records == 0 {
        return Err(no_records(&report).into());
    }
    print(&report, args)?;
    Ok(Exit::Ok)
}

/// Where records come from.
#[derive(Clone, Debug)]
pub(super) enum Input {
    /// `-`
    Stdin,
    /// A record file.
    File(PathBuf),
}

impl Input {
    fn name(&self) -> String {
        match self {
            Input::Stdin => "-".to_owned(),
            Input::File(path) => path.display().to_string(),
        }
    }
}

fn input(path: &Path) -> Result<Input, Failure> {
    if path.as_os_str() == "-" {
        return Ok(Input::Stdin);
    }
    source::record_file(path).map(Input::File).map_err(|error| Failure::usage(error.to_string()))
}

fn no_records(report: &Report) -> Failure {
    let inputs = report.sources.join(", ");
    match report.lines.bad_lines.first() {
        Some(bad) => Failure::usage(format!(
            "{inputs}: no line is a record; the first bad one is line {}: {}",
            bad.line, bad.reason
        ))
        .fix("give a profile_export.jsonl, as `tokmeter profile` or AIPerf writes it"),
        None => Failure::usage(format!("{inputs}: no records")),
    }
}

/// The server's gauges beside the record files. They only add to explanations, so files that are missing or cannot
/// be read are passed over.
fn gauges(inputs: &[Input]) -> GaugeSeries {
    let mut gauges = GaugeSeries::default();
    for input in inputs {
        let Input::File(path) = input else { continue };
        for beside in source::server_metrics_beside(path) {
            let read = match beside.extension().is_some_and(|extension| extension == "parquet") {
                true => {
                    File::open(&beside).map_err(io::Error::other).and_then(|file| gauges.read_parquet(file))
                }
                false => source::open(&beside)
                    .map_err(io::Error::other)
                    .and_then(|reader| gauges.read_jsonl(&mut BufReader::new(reader))),
            };
            match read {
                Ok(()) => break,
                Err(error) => tracing::warn!(path = %beside.display(), %error, "server metrics are left out"),
            }
        }
    }
    gauges
}

fn print(report: &Report, args: &AnalyzeArgs) -> anyhow::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    if args.json {
        serde_json::to_writer_pretty(&mut out, &report.selected(&args.section))?;
        writeln!(out)?;
    } else if args.csv {
        table::write_csv(report, &args.section, &mut out)?;
    } else {
        let mut shown = String::new();
        text::write(report, &args.section, &mut shown)?;
        for line in shown.lines() {
            writeln!(out, "{}", harmless(line))?;
        }
    }
    out.flush()?;
    Ok(())
}
