//! `launch`: the job that starts a shared run, for the engine that schedules the machines.

mod kubernetes;
mod slurm;

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::{Command as Process, Stdio};

use anyhow::Result;
use clap::Parser;
use tokmeter_engine::secret;

use crate::args::launch::{Engine, JobArgs, LaunchArgs};
use crate::args::profile::ProfileArgs;
use crate::args::{Cli, Command};
use crate::exit::{Exit, Failure};

/// Runs the command.
///
/// # Errors
/// Flags of `profile` that are wrong or that a shared run cannot have; an engine that refuses the job.
pub fn run(args: &LaunchArgs) -> Result<Exit> {
    let (job, text, submit) = match &args.engine {
        Engine::Slurm(slurm) => {
            (&slurm.job, slurm::script(slurm, &profile_args(&slurm.job)?), &["sbatch"][..])
        }
        Engine::Kubernetes(kubernetes) => (
            &kubernetes.job,
            kubernetes::manifest(kubernetes, &profile_args(&kubernetes.job)?)?,
            &["kubectl", "create", "-f", "-"][..],
        ),
    };
    if job.dry_run {
        io::stdout().lock().write_all(text.as_bytes())?;
        return Ok(Exit::Ok);
    }
    start(submit, &text)
}

/// The flags of `profile`, checked as they will be on the machines.
fn profile_args(job: &JobArgs) -> Result<ProfileArgs> {
    let words = ["tokmeter", "profile"].into_iter().map(OsString::from);
    let parsed = Cli::try_parse_from(words.chain(job.flags.iter().map(OsString::from)))
        .unwrap_or_else(|error| error.exit());
    let Command::Profile(args) = parsed.command else {
        return Err(anyhow::anyhow!("internal error: these are not flags of profile"));
    };
    if args.ranks.shard.is_some() {
        return Err(Failure::usage("--shard: the job says which rank a process is")
            .fix("leave it out")
            .into());
    }
    if args.input.random_seed.is_none() {
        return Err(Failure::usage("--random-seed: the ranks share a schedule only with a seed they share")
            .fix("add --random-seed N after the `--`")
            .into());
    }
    let header_secret = args.endpoint.header.iter().any(|header| {
        header.split_once(':').is_some_and(|(name, _)| secret::is_sensitive(&name.trim().to_lowercase()))
    });
    if job.flags.iter().any(|flag| flag.starts_with("--api-key")) || header_secret {
        return Err(Failure::usage("a secret among the flags would stand in the job for all to read")
            .fix("set TOKMETER_API_KEY where the job runs (Kubernetes: --api-key-secret)")
            .into());
    }
    Ok(*args)
}

/// Gives the job to the engine's own program.
fn start(submit: &[&str], text: &str) -> Result<Exit> {
    let program = submit[0];
    let failed = |error: io::Error| {
        Failure::usage(format!("cannot run {program}: {error}"))
            .fix(format!("start it where {program} is, or print the job with --dry-run"))
    };
    let mut child = Process::new(program).args(&submit[1..]).stdin(Stdio::piped()).spawn().map_err(failed)?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(text.as_bytes()).map_err(failed)?;
    }
    let status = child.wait().map_err(failed)?;
    match status.success() {
        true => Ok(Exit::Ok),
        false => Err(Failure::usage(format!("{program} refused the job ({status})")).into()),
    }
}
