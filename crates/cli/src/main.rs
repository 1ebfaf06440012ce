//! The `tokmeter` program: what was typed becomes settings, settings become a command.

mod args;
mod commands;
mod config_file;
mod console;
mod dashboard;
mod exit;
mod log;
mod settings;
mod signal;

use std::process::ExitCode;

fn main() -> ExitCode {
    match commands::run(std::env::args_os()) {
        Ok(exit) => exit.into(),
        Err(error) => exit::report(&error),
    }
}
