//! `check`: what an endpoint is, by a handful of small requests. One file for each thing that is looked at.

mod cache;
mod connection;
mod dns;
mod keep_alive;
mod machine;
mod metrics;
mod models;
mod next;
mod probe;
mod protocols;
mod stream;
mod text;

use std::io::{self, Write};

use anyhow::Result;
use serde::Serialize;
use tokmeter_engine::RunControl;
use tokmeter_record::server::without_credentials;

use super::calibrate::{Calibration, CalibrationLoad, calibrate};
use crate::args::check::CheckArgs;
use crate::exit::{Exit, Failure};
use probe::Probe;

/// All that was found. What was not asked, because something before it failed, is absent.
#[derive(Debug, Serialize)]
struct Findings {
    url: String,
    dns: dns::Dns,
    #[serde(skip_serializing_if = "Option::is_none")]
    connection: Option<connection::Connection>,
    #[serde(skip_serializing_if = "Option::is_none")]
    http: Option<protocols::Protocols>,
    #[serde(skip_serializing_if = "Option::is_none")]
    models: Option<models::Models>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<stream::Stream>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keep_alive: Option<keep_alive::KeepAlive>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prefix_cache: Option<cache::PrefixCache>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics: Option<metrics::MetricsPages>,
    machine: machine::Machine,
    #[serde(skip_serializing_if = "Option::is_none")]
    calibration: Option<Calibration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// Runs `check`.
///
/// # Errors
/// Flags that cannot be used; a server that cannot be reached (exit 3); one whose answer to a small request
/// failed (exit 1). What was found is printed all the same.
pub fn run(args: &CheckArgs) -> Result<Exit> {
    let mut probe = Probe::new(args)?;
    let mut found = Findings {
        url: without_credentials(&args.url),
        dns: dns::look_up(&probe),
        connection: None,
        http: None,
        models: None,
        stream: None,
        keep_alive: None,
        prefix_cache: None,
        metrics: None,
        machine: machine::look(),
        calibration: None,
        next: None,
    };
    let failure = explore(args, &mut probe, &mut found);
    let calibration = args
        .calibrate
        .then(|| calibrate(&CalibrationLoad::of_check(args), &RunControl::default()))
        .transpose()
        .map(|calibration| found.calibration = calibration);
    print(args, &probe, &found)?;
    calibration?;
    match failure {
        None => Ok(Exit::Ok),
        Some(mut failure) => {
            probe.scrub(&mut failure.message);
            Err(failure.into())
        }
    }
}

/// Asks the server, as far as it answers.
fn explore(args: &CheckArgs, probe: &mut Probe, found: &mut Findings) -> Option<Failure> {
    let (connection, page) = connection::look(probe);
    let unreachable = connection.problem.clone();
    found.connection = Some(connection);
    if let Some(problem) = unreachable {
        return Some(Failure {
            exit: Exit::Unreachable,
            message: crate::console::harmless(&problem).into_owned(),
            fix: Some("check the URL, and that the server runs and can be reached from here".to_owned()),
        });
    }
    found.http = Some(protocols::look(probe));
    let models = models::read(args, page);
    probe.model.clone_from(&models.used);
    found.models = Some(models);
    let before = keep_alive::after_a_page(probe);
    let problem = if probe.model.is_some() {
        let stream = stream::look(probe);
        found.keep_alive = Some(keep_alive::after_a_stream(probe, before));
        let problem = stream.problem.clone();
        if problem.is_none() {
            found.prefix_cache = Some(cache::look(probe));
            found.next = Some(next::command(args, probe, &stream));
        }
        found.stream = Some(stream);
        problem.map(|problem| (problem, "check the model (-m), the API (--endpoint-type) and the key"))
    } else {
        found.keep_alive = Some(before);
        Some(("the server lists no model".to_owned(), "name one with -m"))
    };
    found.metrics = Some(metrics::look(probe));
    problem.map(|(problem, fix)| Failure {
        exit: Exit::Failed,
        message: format!("a small request failed: {}", crate::console::harmless_cut(&problem, 300)),
        fix: Some(fix.to_owned()),
    })
}

fn print(args: &CheckArgs, probe: &Probe, found: &Findings) -> Result<()> {
    let mut text = match args.json {
        true => serde_json::to_string_pretty(found)? + "\n",
        false => text::render(found),
    };
    probe.scrub(&mut text);
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}
