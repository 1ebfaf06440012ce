//! The commands: what is done. One file for each.

pub mod analyze;
mod calibrate;
pub mod check;
pub mod compare;
pub mod config;
pub mod convert;
pub mod demo;
pub mod gate;
pub mod gateway;
pub mod launch;
pub mod merge;
pub mod profile;
pub mod recover;
pub mod report;
pub mod schema;
pub mod scrape;
mod server_files;
pub mod sim;
pub mod tax;

use std::ffi::OsString;

use anyhow::Result;
use clap::{CommandFactory, Parser};

use crate::args::{Cli, Command};
use crate::config_file;
use crate::exit::Exit;

/// Runs what was typed.
pub fn run(typed: impl Iterator<Item = OsString>) -> Result<Exit> {
    let typed: Vec<OsString> = typed.collect();
    let cli = Cli::try_parse_from(with_config_file(&typed)?).unwrap_or_else(|error| error.exit());
    match cli.command {
        Command::Profile(args) => profile::run(&args, &command_line(&typed)),
        Command::Demo(args) => demo::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Analyze(args) => analyze::run(&args),
        Command::Scrape(args) => scrape::run(&args),
        Command::Compare(args) => compare::run(&args),
        Command::Gate(args) => gate::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Recover(args) => recover::run(&args),
        Command::Merge(args) => merge::run(&args),
        Command::Launch(args) => launch::run(&args),
        Command::Convert(args) => convert::run(&args),
        Command::Schema(args) => schema::run(&args),
        Command::Sim(args) => sim::run(&args),
        Command::Tax(args) => tax::run(&args),
        Command::Gateway(args) => gateway::run(&args),
        Command::Config(args) => config::run(&args),
        Command::Completions(args) => {
            clap_complete::generate(
                args.shell,
                &mut Cli::command(),
                "tokmeter",
                &mut std::io::stdout().lock(),
            );
            Ok(Exit::Ok)
        }
    }
}

/// `profile --config FILE` takes the file's flags where the command line has none of its own.
fn with_config_file(typed: &[OsString]) -> Result<Vec<OsString>> {
    let is_profile = typed.get(1).is_some_and(|word| word == "profile");
    let Some(file) = is_profile.then(|| config_path(&typed[2..])).flatten() else {
        return Ok(typed.to_vec());
    };
    let merged = config_file::merge("profile", &typed[2..], file.as_ref())?;
    Ok(typed[..2].iter().cloned().chain(merged).collect())
}

fn config_path(flags: &[OsString]) -> Option<OsString> {
    let mut words = flags.iter();
    while let Some(word) = words.next() {
        let text = word.to_str()?;
        if text == "--config" || text == "-f" {
            return words.next().cloned();
        }
        if let Some(path) = text.strip_prefix("--config=") {
            return Some(path.into());
        }
    }
    None
}

/// The command line for files: values of flags that hold secrets are replaced.
fn command_line(typed: &[OsString]) -> String {
    const SECRET: [&str; 5] = ["--api-key", "--header", "-H", "--proxy", "--extra-inputs"];
    let mut shown = Vec::new();
    let mut hide = false;
    for word in typed {
        let word = word.to_string_lossy();
        if hide && !word.starts_with('-') {
            shown.push(tokmeter_engine::secret::REDACTED.to_owned());
            continue;
        }
        hide = SECRET.contains(&word.as_ref());
        match word.split_once('=') {
            Some((flag, _)) if SECRET.contains(&flag) => {
                shown.push(format!("{flag}={}", tokmeter_engine::secret::REDACTED));
            }
            _ if word.starts_with("-H") && word.len() > 2 => {
                shown.push(format!("-H{}", tokmeter_engine::secret::REDACTED));
            }
            Some((flag, value)) if flag.starts_with('-') => {
                shown.push(format!("{flag}={}", tokmeter_record::server::without_credentials(value)));
            }
            _ if word.contains(['@', '?']) => shown.push(tokmeter_record::server::without_credentials(&word)),
            _ => shown.push(word.into_owned()),
        }
    }
    shown.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(words: &[&str]) -> String {
        command_line(&words.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn secrets_never_show_in_the_command_line() {
        let shown = line(&[
            "tokmeter",
            "profile",
            "--api-key",
            "s3cret",
            "--header=Authorization: s3cret",
            "-H",
            "X: s3cret",
            "-HX-Key:s3cret",
            "--url",
            "http://u:s3cret@host:1",
            "--url=u:s3cret@host:2/v1?key=s3cret",
            "http://host:3/metrics?api_key=s3cret",
            "--extra-inputs",
            "a:s3cret",
            "b:s3cret",
            "-m",
            "m",
        ]);
        assert!(!shown.contains("s3cret"), "{shown}");
        assert!(shown.contains("http://host:1") && shown.ends_with("-m m"), "{shown}");
    }
}
