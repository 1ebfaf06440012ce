//! `report`: runs as one HTML page.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tokmeter_record::report::{Limits, Run, write_page};

use super::profile::replace_file;
use crate::args::report::ReportArgs;
use crate::exit::{Exit, Failure};

/// Runs `report`.
///
/// # Errors
/// A run that cannot be read, a page that cannot be written.
pub fn run(args: &ReportArgs) -> anyhow::Result<Exit> {
    let limits = Limits { requests: args.max_requests }.shared_by(args.runs.len());
    let read = |path: &PathBuf| Run::read(path, &limits).map_err(|error| Failure::usage(error.to_string()));
    let runs = args.runs.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let page = args.output.clone().unwrap_or_else(|| beside(&args.runs[0]));
    replace_file(&page, |mut file| write_page(&runs, &mut file))?;
    let bytes = std::fs::metadata(&page)?.len();
    writeln!(io::stdout().lock(), "{} ({:.1} MB)", page.display(), bytes as f64 / 1e6)?;
    if args.open {
        open(&page)?;
    }
    Ok(Exit::Ok)
}

/// The page of a run lies in its directory.
fn beside(run: &Path) -> PathBuf {
    let directory = if run.is_dir() { Some(run) } else { run.parent() };
    directory.unwrap_or(Path::new("")).join("report.html")
}

/// Opens a file with the desktop's own program for it.
fn open(page: &Path) -> Result<(), Failure> {
    let page = page.canonicalize().map_err(|error| Failure::usage(format!("{}: {error}", page.display())))?;
    let opener = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let started = Command::new(opener)
        .arg(&page)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match started {
        Ok(status) if status.success() => Ok(()),
        _ => Err(Failure::usage(format!("--open: {opener} cannot open {}", page.display()))
            .fix("open the file in a browser by hand")),
    }
}
