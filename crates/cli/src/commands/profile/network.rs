//! The network's round trip beside a run (`--network-latency-…`): given, or measured by connections that the
//! kernel of the server answers and no program there has to wake up for (FORMATS 9).

use std::fs::File;
use std::io::{BufWriter, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;
use tokmeter_http::{Origin, clock};

use crate::args::profile::ProfileArgs;
use crate::exit::Failure;
use crate::settings::profile::ProfileSettings;
use crate::settings::transport::seconds;

const DEFAULT_INTERVAL: f64 = 1.0;
/// A connection that takes longer says nothing about the network.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is known of the round trip.
pub enum RoundTrip {
    /// Nothing; it was not asked for.
    Unknown,
    /// The user's figure, ms.
    Given(f64),
    /// Measured while the run goes on.
    Measured(Probe),
}

/// A running measurement.
pub struct Probe {
    stop: Sender<()>,
    thread: JoinHandle<std::io::Result<Vec<f64>>>,
}

/// Starts the measurement, when it was asked for.
pub fn start(args: &ProfileArgs, settings: &ProfileSettings) -> Result<RoundTrip> {
    let given = &args.network;
    if let Some(ms) = given.network_latency_mean {
        if !(ms.is_finite() && ms >= 0.0) {
            return Err(Failure::usage(format!("--network-latency-mean: {ms} is no number of ms")).into());
        }
        return Ok(RoundTrip::Given(ms));
    }
    if !given.network_latency_automatic {
        return Ok(RoundTrip::Unknown);
    }
    let interval = given.network_latency_ping_interval.unwrap_or(DEFAULT_INTERVAL);
    if interval <= 0.0 {
        return Err(Failure::usage("--network-latency-ping-interval: give seconds > 0").into());
    }
    let interval = seconds("--network-latency-ping-interval", interval)?;
    let path = settings.names.network_latency();
    let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    let servers: Vec<_> = settings.request.targets.iter().map(|target| target.origin.clone()).collect();
    let (stop, stopped) = channel();
    let thread = std::thread::Builder::new().name("network-latency".into()).spawn(move || {
        let mut file = BufWriter::new(file);
        let mut round_trips = Vec::new();
        for server in servers.iter().cycle() {
            round_trips.extend(probe(server, &mut file)?);
            if !matches!(stopped.recv_timeout(interval), Err(RecvTimeoutError::Timeout)) {
                break;
            }
        }
        file.flush()?;
        Ok(round_trips)
    })?;
    Ok(RoundTrip::Measured(Probe { stop, thread }))
}

impl RoundTrip {
    /// The mean round trip in ms; ends the measurement.
    pub fn finish(self) -> Result<Option<f64>> {
        match self {
            RoundTrip::Unknown => Ok(None),
            RoundTrip::Given(ms) => Ok(Some(ms)),
            RoundTrip::Measured(Probe { stop, thread }) => {
                // A thread that has ended already has met an error, which joining tells.
                let _ = stop.send(());
                let joined =
                    thread.join().map_err(|_| anyhow::anyhow!("internal error: a thread panicked"))?;
                let round_trips = joined.context("cannot write the network latency file")?;
                let mean = round_trips.iter().sum::<f64>() / round_trips.len() as f64;
                Ok((!round_trips.is_empty()).then_some(mean))
            }
        }
    }
}

/// One connection, its line in the file, and its round trip in ms where it succeeded.
fn probe(server: &Origin, file: &mut impl Write) -> std::io::Result<Option<f64>> {
    let connect = || {
        let address = (server.host.as_str(), server.port).to_socket_addrs()?.next();
        let address = address.ok_or_else(|| std::io::Error::other("the host has no address"))?;
        // The clock starts after the name was resolved.
        let begin = clock::now();
        TcpStream::connect_timeout(&address, PATIENCE)?;
        Ok(clock::now().0.saturating_sub(begin.0))
    };
    let at = clock::wall_now();
    let outcome: std::io::Result<u64> = connect();
    let mut line = json!({
        "timestamp_ns": at.0,
        "target_url": format!("{}://{}", if server.tls { "https" } else { "http" }, server.authority()),
        "target_host": server.host,
        "target_port": server.port,
        "probe_type": "tcp_connect",
        "success": outcome.is_ok(),
    });
    match &outcome {
        Ok(ns) => line["rtt_ns"] = json!(ns),
        Err(error) => line["error"] = json!({"message": error.to_string()}),
    }
    writeln!(file, "{line}")?;
    Ok(outcome.ok().map(|ns| ns as f64 / 1e6))
}
