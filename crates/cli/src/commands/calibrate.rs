//! Self-calibration: what this machine's own error is at a load. The simulated server, a process of its own,
//! is loaded for a few seconds as the run will load its server, and its log says when each token was sent.

mod compare;
mod simulator;

use std::ffi::OsString;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use serde::Serialize;
use tokmeter_engine::run::PhaseEvent;
use tokmeter_engine::schedule::LoadShape;
use tokmeter_engine::{Live, RunConfig, RunControl};

use super::profile;
use crate::args::check::CheckArgs;
use crate::args::profile::ProfileArgs;
use crate::args::swept::value;
use crate::args::{Cli, Command};
use crate::exit::{Exit, Failure};
use crate::settings::profile::{self as settings, ProfileSettings};
use compare::Answers;
pub use compare::Errors;
use simulator::Simulator;

/// Length of the calibration: hundreds of tokens a second even at concurrency 1.
const SECONDS: &str = "3";
/// At first all connections are made at once, which a run does once, too, and hardly sees in its p99.
const SETTLING: Duration = Duration::from_millis(500);
/// The simulated server's pace.
const TTFT_MS: &str = "50";
const ITL_MS: &str = "5";
/// A simulated server later than this was held up itself.
const SIMULATOR_LATE_MS: f64 = 2.0;
/// Tokens of a simulated answer: the run's, within these bounds.
const OUTPUT_TOKENS: (f64, f64) = (2.0, 64.0);
const INPUT_TOKENS: (f64, f64) = (1.0, 8192.0);

/// The load to calibrate for. What is absent is as `profile` has it.
#[derive(Clone, Debug, Default)]
pub struct CalibrationLoad {
    /// Requests in flight.
    pub concurrency: Option<u32>,
    /// Requests a second.
    pub request_rate: Option<f64>,
    /// More flags of `profile`.
    more: Vec<String>,
}

/// This machine's own error at a load (`tokmeter.calibration`).
#[derive(Clone, Debug, Serialize)]
pub struct Calibration {
    /// Requests in flight that were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    /// Requests a second that were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_rate: Option<f64>,
    /// What was found.
    #[serde(flatten)]
    pub errors: Errors,
}

impl CalibrationLoad {
    /// The load of a run.
    ///
    /// # Errors
    /// A load that is not known before the run: a trace's timing, a rate series.
    pub fn of_run(args: &ProfileArgs, settings: &ProfileSettings) -> Result<CalibrationLoad, Failure> {
        let replay = matches!(settings.load.profiling.shape, LoadShape::FixedSchedule(_));
        if replay || args.load.request_rate_series.is_some() {
            return Err(Failure::usage(
                "--calibrate: the load of a trace or a rate series changes over time",
            )
            .fix("leave it out, and calibrate with tokmeter check --calibrate --request-rate RATE"));
        }
        let load = &args.load;
        let rate = value(&load.request_rate).or(load.user_centric_rate);
        let request_rate = rate.map(|rate| rate / settings.share.size() as f64);
        let mut more = Vec::new();
        let mut flag = |name: &str, value: String| more.extend([format!("--{name}"), value]);
        if let Some(pattern) = load.arrival_pattern.filter(|_| request_rate.is_some()) {
            flag("arrival-pattern", pattern.to_string());
        }
        if let Some(shape) = load.arrival_smoothness.filter(|_| request_rate.is_some()) {
            flag("arrival-smoothness", shape.to_string());
        }
        let within = |tokens: f64, (least, most): (f64, f64)| tokens.clamp(least, most).round().to_string();
        if let Some(tokens) = value(&args.input.prompt_input_tokens_mean) {
            flag("isl", within(tokens, INPUT_TOKENS));
        }
        if let Some(tokens) = value(&args.input.prompt_output_tokens_mean) {
            flag("osl", within(tokens, OUTPUT_TOKENS));
        }
        flag("connection-reuse-strategy", args.transport.connection_reuse_strategy.clone());
        flag("timestamp-source", args.transport.timestamp_source.clone());
        flag("workers-max", settings.shards.to_string());
        flag("record-processors", settings.decoders.to_string());
        let concurrency = value(&load.concurrency).map(|slots| settings.share.slots_of(slots));
        Ok(CalibrationLoad { concurrency, request_rate, more })
    }

    /// The load that `check` was asked to calibrate for.
    pub fn of_check(args: &CheckArgs) -> CalibrationLoad {
        CalibrationLoad { concurrency: args.concurrency, request_rate: args.request_rate, more: Vec::new() }
    }

    /// The flags of `profile` for this load on the simulated server.
    fn words(&self, url: &str) -> Vec<OsString> {
        let mut words: Vec<String> =
            ["tokmeter", "profile", "-m", "sim-model", "--streaming", "--no-server-metrics", "--url", url]
                .map(str::to_owned)
                .to_vec();
        words.extend(["--benchmark-duration", SECONDS, "--benchmark-grace-period", "5"].map(str::to_owned));
        let mut flag = |name: &str, value: String| words.extend([format!("--{name}"), value]);
        if let Some(concurrency) = self.concurrency {
            flag("concurrency", concurrency.to_string());
        }
        if let Some(rate) = self.request_rate {
            flag("request-rate", rate.to_string());
        }
        for (name, value) in [("--isl", "128"), ("--osl", "16")] {
            if !self.more.iter().any(|word| word == name) {
                words.extend([name, value].map(str::to_owned));
            }
        }
        words.extend(self.more.iter().cloned());
        words.into_iter().map(OsString::from).collect()
    }
}

/// Loads the simulated server and compares.
///
/// # Errors
/// When the simulated server cannot be started or its log cannot be read, or not one answer could be compared.
pub fn calibrate(load: &CalibrationLoad, control: &RunControl) -> Result<Calibration> {
    // Nobody may be listening; the calibration goes on.
    let _ = writeln!(std::io::stderr(), "calibrating for {SECONDS} s with a simulated server");
    let simulator = Simulator::start(TTFT_MS, ITL_MS)?;
    let Command::Profile(mut args) = Cli::try_parse_from(load.words(simulator.url()))?.command else {
        return Err(Failure::usage("internal error: the calibration's flags are not those of profile").into());
    };
    // The key in the environment is for the server that will be measured.
    args.endpoint.api_key = None;
    let settings = settings::resolve(&args)?;
    let config = RunConfig { records_file: None, raw_file: None, ..profile::run_config(&args, &settings) };
    let live = Arc::new(Live::default());
    let outcome = tokmeter_engine::run(config, Answers::default(), live, control, |_: PhaseEvent| {})
        .context("calibration")?;
    if control.was_interrupted() {
        let message = "interrupted while calibrating; nothing was measured".to_owned();
        return Err(Failure { exit: Exit::Interrupted, message, fix: None }.into());
    }
    let log = simulator.stop()?;
    let errors = outcome.sink.compare(&log, &outcome.anchors.0, SETTLING).ok_or_else(|| Failure {
        exit: Exit::NotValid,
        message: "--calibrate: no answer of the simulated server could be compared with its log".to_owned(),
        fix: Some("see whether `tokmeter demo` works on this machine".to_owned()),
    })?;
    Ok(Calibration { concurrency: load.concurrency, request_rate: load.request_rate, errors })
}

impl Calibration {
    /// What takes the worth from the calibration itself.
    pub fn remark(&self) -> Option<String> {
        let late = self.errors.simulator_lag_ms.p99;
        (late > SIMULATOR_LATE_MS).then(|| {
            format!(
                "the simulated server itself was {late:.1} ms late (p99): this machine is too busy for both, and tokens \
                 of a server elsewhere may be off by more than calibrated"
            )
        })
    }

    /// For the console.
    pub fn line(&self) -> String {
        let load = match (self.concurrency, self.request_rate) {
            (None, Some(rate)) => format!("{rate} requests/s"),
            (Some(concurrency), Some(rate)) => format!("{rate} requests/s, {concurrency} in flight at most"),
            (concurrency, None) => format!("concurrency {}", concurrency.unwrap_or(1)),
        };
        let errors = &self.errors;
        format!(
            "at {load} (p50/p99): time to first token {:.3}/{:.3} ms, inter-chunk latency {:.3}/{:.3} ms, \
             first-token stamp {:.3}/{:.3} ms ({} stamps, {} answers of a simulated server)",
            errors.time_to_first_token_ms.p50,
            errors.time_to_first_token_ms.p99,
            errors.inter_chunk_latency_ms.p50,
            errors.inter_chunk_latency_ms.p99,
            errors.first_token_stamp_ms.p50,
            errors.first_token_stamp_ms.p99,
            errors.stamps,
            errors.compared,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_load_becomes_flags_that_profile_takes() {
        let load = CalibrationLoad {
            concurrency: Some(8),
            request_rate: Some(2.5),
            more: ["--osl", "4", "--workers-max", "1"].map(str::to_owned).to_vec(),
        };
        let words = load.words("http://127.0.0.1:1");
        let Command::Profile(args) = Cli::try_parse_from(&words).unwrap().command else {
            panic!("{words:?}")
        };
        assert_eq!((value(&args.load.concurrency), value(&args.load.request_rate)), (Some(8), Some(2.5)));
        assert_eq!(value(&args.input.prompt_output_tokens_mean), Some(4.0));
        assert_eq!(value(&args.input.prompt_input_tokens_mean), Some(128.0));
    }
}
