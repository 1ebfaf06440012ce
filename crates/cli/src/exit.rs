//! Exit codes, one meaning each, and how an error is told.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// Done.
    Ok,
    /// A threshold, an SLO or a gate failed.
    Failed,
    /// The flags, a file or the configuration are wrong.
    Usage,
    /// The target could not be reached.
    Unreachable,
    /// The run is not valid, and the user asked that it be.
    NotValid,
    /// Interrupted; the report is written.
    Interrupted,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(match exit {
            Exit::Ok => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Unreachable => 3,
            Exit::NotValid => 4,
            Exit::Interrupted => 130,
        })
    }
}

/// An error that ends a command, with its exit code: the message names the cause, `fix` what to do.
#[derive(Debug)]
pub struct Failure {
    /// Exit code.
    pub exit: Exit,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub fix: Option<String>,
}

impl Failure {
    /// Wrong flags, files or configuration.
    pub fn usage(message: impl Into<String>) -> Self {
        Failure { exit: Exit::Usage, message: message.into(), fix: None }
    }

    /// Adds what to do about it.
    pub fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// Tells an error on stderr and gives its exit code. A reader that went away (`| head`) is no error.
pub fn report(error: &anyhow::Error) -> ExitCode {
    let broken_pipe = error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::BrokenPipe);
    if broken_pipe {
        return Exit::Ok.into();
    }
    let mut stderr = io::stderr().lock();
    let _ = writeln!(stderr, "error: {error:#}");
    let failure = error.downcast_ref::<Failure>();
    if let Some(fix) = failure.and_then(|failure| failure.fix.as_ref()) {
        let _ = writeln!(stderr, "  fix: {fix}");
    }
    failure.map_or(Exit::Usage, |failure| failure.exit).into()
}
