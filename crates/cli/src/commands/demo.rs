//! `demo`: the simulated server and a run against it, in one command.

use std::ffi::OsString;
use std::io::Write;

use anyhow::Result;
use clap::Parser;
use tokmeter_sim::{Distribution, Sim, SimConfig};

use super::profile;
use crate::args::demo::DemoArgs;
use crate::args::{Cli, Command};
use crate::exit::{Exit, Failure};

/// Runs the command.
pub fn run(args: &DemoArgs) -> Result<Exit> {
    let mut config = SimConfig::default();
    config.timing.ttft_ms = Distribution::constant(args.ttft);
    config.timing.itl_ms = Distribution::constant(args.itl);
    config.log.keep_requests = 0;
    let sim = Sim::start(config)
        .map_err(|error| Failure::usage(format!("cannot start the simulated server: {error}")))?;
    let flags = flags(args, &sim.url());
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "simulated server on {}: first token after {} ms, then one every {} ms",
        sim.url(),
        args.ttft,
        args.itl
    )?;
    writeln!(out, "$ tokmeter {}\n", flags.join(" "))?;
    drop(out);
    let words = std::iter::once("tokmeter".to_owned()).chain(flags).map(OsString::from);
    let Command::Profile(profile_args) = Cli::try_parse_from(words)?.command else {
        return Err(Failure::usage("internal error: the demo's flags are not those of profile").into());
    };
    let exit = profile::run(&profile_args, "tokmeter demo")?;
    sim.stop().map_err(|error| Failure::usage(format!("the simulated server failed: {error}")))?;
    Ok(exit)
}

fn flags(args: &DemoArgs, url: &str) -> Vec<String> {
    let mut flags: Vec<String> = [
        "profile",
        "--model",
        "sim-model",
        "--url",
        url,
        "--endpoint-type",
        "chat",
        "--streaming",
        "--isl",
        "128",
    ]
    .map(str::to_owned)
    .to_vec();
    let mut flag = |name: &str, value: String| flags.extend([format!("--{name}"), value]);
    flag("osl", args.osl.to_string());
    flag("concurrency", args.concurrency.to_string());
    flag("request-count", args.request_count.to_string());
    flag("artifact-dir", args.output_artifact_dir.display().to_string());
    if let Some(ui) = args.ui_type {
        flag("ui", format!("{ui:?}").to_lowercase());
    }
    flags
}
