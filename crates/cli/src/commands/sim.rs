//! `tokmeter sim`: the simulated server alone, until interrupted.

use std::io::{self, Write};

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tokmeter_sim::Sim;

use crate::args::sim::SimArgs;
use crate::exit::Exit;

/// Serves until Ctrl-C or SIGTERM, then completes the log file. The first line on stdout ends
/// with the URL, for scripts that let the system choose the port.
///
/// # Errors
/// The settings, the address or the log file, in words.
pub fn run(args: &SimArgs) -> anyhow::Result<Exit> {
    let config = args.to_config()?;
    let mut stdout = io::stdout().lock();
    if args.print_config {
        stdout.write_all(yaml_serde::to_string(&config)?.as_bytes())?;
        return Ok(Exit::Ok);
    }
    let models = config.models.join(", ");
    let log_file = config.log.file.clone();
    let sim = Sim::start(config)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        // Before the line that scripts wait for: from then on a signal must not lose the log.
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for signals")?;
        let mut terminate = signal(SignalKind::terminate()).context("cannot wait for signals")?;
        writeln!(stdout, "simulated server for {models} on {}", sim.url())?;
        stdout.flush()?;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        anyhow::Ok(())
    })?;
    let counters = sim.stop()?.counters;
    writeln!(
        stdout,
        "{} requests on {} connections: {} completed, {} faults, {} rejected, {} left by the client, {} cut by the stop, \
         {} tokens",
        counters.received,
        counters.connections,
        counters.completed,
        counters.faults,
        counters.rejected,
        counters.client_disconnected,
        counters.server_stopped,
        counters.tokens
    )?;
    if let Some(path) = log_file {
        writeln!(stdout, "log: {} ({} lines lost)", path.display(), counters.log_lines_lost)?;
    }
    Ok(Exit::Ok)
}
