//! `tokmeter gateway`: the measuring reverse proxy, until interrupted.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::thread;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokmeter_gateway::proxy::{ConfigError, listen};
use tokmeter_gateway::{Gateway, Metric};

use crate::args::gateway::GatewayArgs;
use crate::exit::{Exit, Failure};
use crate::log;

/// Serves until Ctrl-C or SIGTERM, then drains. The first line on stdout ends with the URL, for scripts that let
/// the system choose the port.
///
/// # Errors
/// The settings, the address, a file or a variable, in words.
pub fn run(args: &GatewayArgs) -> anyhow::Result<Exit> {
    let config = args.to_config()?;
    let mut stdout = io::stdout().lock();
    if args.print_config {
        stdout.write_all(yaml_serde::to_string(&config)?.as_bytes())?;
        return Ok(Exit::Ok);
    }
    log::start("info", args.verbose);
    tokmeter_http::os::raise_open_files();
    let gateway = Gateway::new(&config).map_err(|error| {
        let failure = Failure::usage(error.to_string());
        match error {
            ConfigError::NoUpstream => failure.fix("give one: --upstream local=http://localhost:8000"),
            ConfigError::NoRoute(_) => {
                failure.fix("give routes: --route MODEL=UPSTREAM, --route '*=UPSTREAM'")
            }
            _ => failure,
        }
    })?;
    let workers = config.workers.unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from));
    let (address, listeners) = listeners(config.listen, workers)
        .map_err(|error| Failure::usage(format!("cannot listen on {}: {error}", config.listen)))?;
    let (stop, stopped) = watch::channel(false);
    let threads: Vec<_> = listeners
        .into_iter()
        .enumerate()
        .map(|(number, listener)| {
            let (gateway, stopped) = (gateway.clone(), stopped.clone());
            let serve = move || serve(&gateway, listener, stopped);
            thread::Builder::new().name(format!("gateway-{number}")).spawn(serve)
        })
        .collect::<io::Result<_>>()?;
    let signals = Builder::new_current_thread().enable_io().build()?;
    signals.block_on(async {
        // Before the line that scripts wait for: from then on a signal drains.
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for signals")?;
        let mut terminate = signal(SignalKind::terminate()).context("cannot wait for signals")?;
        writeln!(stdout, "gateway on http://{address}")?;
        stdout.flush()?;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        anyhow::Ok(())
    })?;
    crate::signal::leave_on_interrupt()?;
    stop.send_replace(true);
    for thread in threads {
        thread.join().map_err(|_| anyhow::anyhow!("a worker panicked"))??;
    }
    let metrics = gateway.metrics();
    writeln!(stdout, "{} requests", metrics.total(Metric::Requests))?;
    let recorded = gateway.finish_record().context("the trace is not complete")?;
    if let Some(path) = &config.record {
        let (written, lost) = (recorded.written, recorded.lost);
        writeln!(stdout, "trace: {} ({written} requests, {lost} lost)", path.display())?;
    }
    Ok(Exit::Ok)
}

/// A listener for each worker on the same address.
fn listeners(address: SocketAddr, workers: usize) -> io::Result<(SocketAddr, Vec<std::net::TcpListener>)> {
    let first = listen(address)?;
    let bound = first.local_addr()?;
    let rest = (1..workers).map(|_| listen(bound));
    let listeners = std::iter::once(Ok(first)).chain(rest).collect::<io::Result<_>>()?;
    Ok((bound, listeners))
}

fn serve(
    gateway: &Gateway,
    listener: std::net::TcpListener,
    stopped: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        gateway.serve(TcpListener::from_std(listener)?, stopped).await?;
        anyhow::Ok(())
    })
}
