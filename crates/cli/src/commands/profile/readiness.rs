//! `--wait-for-model-…`: the run begins when the servers answer.

use std::io::Write;

use tokmeter_engine::RunControl;
use tokmeter_engine::readiness::{NotReady, Readiness};
use tokmeter_engine::request::RequestBuilder;

use crate::args::profile::ProfileArgs;
use crate::exit::{Exit, Failure};
use crate::settings::profile::ProfileSettings;
use crate::settings::transport::seconds;

const DEFAULT_INTERVAL: f64 = 5.0;

/// Waits, when that was asked for.
pub fn wait(args: &ProfileArgs, settings: &ProfileSettings, control: &RunControl) -> Result<(), Failure> {
    let Some(readiness) = readiness(args)? else { return Ok(()) };
    let builder = RequestBuilder::new(settings.request.clone());
    let mut told = String::new();
    let waiting = |reason: &str| {
        if told != reason {
            // Nobody may be listening; the wait goes on.
            let _ = writeln!(std::io::stderr(), "waiting for the server: {reason}");
            reason.clone_into(&mut told);
        }
    };
    readiness.wait(&builder, &settings.transport, control, waiting).map_err(|error| Failure {
        exit: match error {
            NotReady::TimedOut { .. } => Exit::Unreachable,
            NotReady::Interrupted => Exit::Interrupted,
            NotReady::Transport(_) | NotReady::Body(_) => Exit::Usage,
        },
        fix: matches!(error, NotReady::TimedOut { .. })
            .then(|| "check --url and --model, or give a longer --wait-for-model-timeout".to_owned()),
        message: error.to_string(),
    })
}

fn readiness(args: &ProfileArgs) -> Result<Option<Readiness>, Failure> {
    let given = &args.readiness;
    let timeout = seconds("--wait-for-model-timeout", given.wait_for_model_timeout)?;
    if timeout.is_zero() {
        return match (given.wait_for_model_mode, given.wait_for_model_interval) {
            (None, None) => Ok(None),
            _ => Err(Failure::usage(
                "--wait-for-model-mode and --wait-for-model-interval need --wait-for-model-timeout",
            )
            .fix("add, for example, --wait-for-model-timeout 300")),
        };
    }
    let interval = given.wait_for_model_interval.unwrap_or(DEFAULT_INTERVAL);
    if interval <= 0.0 {
        return Err(Failure::usage("--wait-for-model-interval: give a number of seconds greater than 0"));
    }
    let interval = seconds("--wait-for-model-interval", interval)?;
    Ok(Some(Readiness { mode: given.wait_for_model_mode.unwrap_or_default(), timeout, interval }))
}
