//! Starts, watches and stops a simulated server.

mod worker;

use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::watch;

use crate::admission::Admission;
use crate::clock::wall_ns;
use crate::config::SimConfig;
use crate::log::{LogStore, Outcome, RequestLog};
use crate::metrics::WorkerMetrics;
use crate::prefix_cache::PrefixCache;
pub(crate) use worker::Worker;

/// Why a simulated server did not start or stop.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SimError {
    /// The configuration contradicts itself.
    #[error("{0}")]
    Config(String),
    /// The address could not be bound.
    #[error("cannot listen on {addr}: {source}")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The log file could not be created or written.
    #[error("cannot write the log file: {0}")]
    LogFile(std::io::Error),
    /// A thread or its runtime could not be started.
    #[error("cannot start a worker: {0}")]
    Worker(std::io::Error),
}

/// Starts simulated servers.
#[derive(Debug)]
pub struct Sim;

impl Sim {
    /// Binds the address and serves it on threads of its own until stopped or dropped.
    ///
    /// # Errors
    /// The configuration, the address, the log file or a thread, see [`SimError`].
    pub fn start(config: SimConfig) -> Result<RunningSim, SimError> {
        if let Some(problem) = config.problem() {
            return Err(SimError::Config(problem));
        }
        raise_file_limit();
        let bind = config.bind;
        let listener = listen(bind).map_err(|source| SimError::Listen { addr: bind, source })?;
        let addr = listener.local_addr().map_err(|source| SimError::Listen { addr: bind, source })?;
        let log =
            LogStore::new(config.log.keep_requests, config.log.file.as_deref()).map_err(SimError::LogFile)?;
        let workers = config.workers;
        let shared = Arc::new(Shared {
            log,
            tally: Tally::default(),
            metrics: (0..workers).map(|_| Arc::default()).collect(),
            prefix_cache: Mutex::new(PrefixCache::new(config.output.prefix_cache_blocks)),
            admission: Arc::new(Admission::new(config.timing.max_running)),
            next_ordinal: AtomicU64::new(1),
            started_wall_ns: wall_ns(),
            stopping: AtomicBool::new(false),
            config,
        });
        let (stop, _) = watch::channel(false);
        let mut running = RunningSim { addr, shared, stop, threads: Vec::with_capacity(workers) };
        running.threads =
            worker::spawn(&running.shared, listener, &running.stop).map_err(SimError::Worker)?;
        Ok(running)
    }
}

/// What all workers see.
pub(crate) struct Shared {
    pub config: SimConfig,
    pub log: LogStore,
    pub tally: Tally,
    pub metrics: Vec<Arc<WorkerMetrics>>,
    pub prefix_cache: Mutex<PrefixCache>,
    pub admission: Arc<Admission>,
    pub next_ordinal: AtomicU64,
    pub started_wall_ns: u64,
    /// Set before the workers drop what they are doing.
    pub stopping: AtomicBool,
}

/// Running totals behind [`Counters`].
#[derive(Default)]
pub(crate) struct Tally {
    pub connections: AtomicU64,
    pub metrics_reads: AtomicU64,
    received: AtomicU64,
    outcomes: [AtomicU64; 5],
    tokens: AtomicU64,
}

impl Tally {
    pub fn receive(&self) {
        self.received.fetch_add(1, Relaxed);
    }

    pub fn finish(&self, request: &RequestLog) {
        self.outcomes[request.outcome as usize].fetch_add(1, Relaxed);
        self.tokens.fetch_add(u64::from(request.sent_tokens), Relaxed);
    }
}

/// Totals since the start. `received` is the sum of the outcomes plus requests still running.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Accepted connections.
    pub connections: u64,
    /// Inference requests whose head was read.
    pub received: u64,
    /// [`Outcome::Completed`].
    pub completed: u64,
    /// [`Outcome::Rejected`].
    pub rejected: u64,
    /// [`Outcome::ClientDisconnected`].
    pub client_disconnected: u64,
    /// [`Outcome::Fault`].
    pub faults: u64,
    /// [`Outcome::ServerStopped`].
    pub server_stopped: u64,
    /// Output tokens of finished requests.
    pub tokens: u64,
    /// Reads of the metrics page.
    pub metrics_reads: u64,
    /// Finished requests no longer in memory, see [`crate::LogConfig::keep_requests`].
    pub forgotten: u64,
    /// Finished requests missing in the log file because the disk was too slow or failed.
    pub log_lines_lost: u64,
}

/// What a stopped server has done.
#[derive(Debug, Clone)]
pub struct Served {
    /// Finished requests that are still kept, in order of finishing.
    pub requests: Vec<Arc<RequestLog>>,
    /// Totals; `received` is the sum of the outcomes.
    pub counters: Counters,
}

/// A server that runs until [`RunningSim::stop`] or until this is dropped.
pub struct RunningSim {
    addr: SocketAddr,
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    threads: Vec<JoinHandle<()>>,
}

impl RunningSim {
    /// The bound address.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// `http://ADDRESS`, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The configuration it runs with.
    pub fn config(&self) -> &SimConfig {
        &self.shared.config
    }

    /// Finished inference requests in order of finishing.
    pub fn log(&self) -> Vec<Arc<RequestLog>> {
        self.shared.log.snapshot()
    }

    /// Waits until `count` requests have finished on the server's side, which may be a little
    /// later than on the client's; then the log. None when the time is over first.
    pub fn wait_for_log(&self, count: u64, timeout: Duration) -> Option<Vec<Arc<RequestLog>>> {
        self.shared.log.wait_for(count, timeout).then(|| self.log())
    }

    /// Totals since the start.
    pub fn counters(&self) -> Counters {
        let tally = &self.shared.tally;
        let outcome = |which: Outcome| tally.outcomes[which as usize].load(Relaxed);
        let (_, forgotten, log_lines_lost) = self.shared.log.totals();
        Counters {
            connections: tally.connections.load(Relaxed),
            received: tally.received.load(Relaxed),
            completed: outcome(Outcome::Completed),
            rejected: outcome(Outcome::Rejected),
            client_disconnected: outcome(Outcome::ClientDisconnected),
            faults: outcome(Outcome::Fault),
            server_stopped: outcome(Outcome::ServerStopped),
            tokens: tally.tokens.load(Relaxed),
            metrics_reads: tally.metrics_reads.load(Relaxed),
            forgotten,
            log_lines_lost,
        }
    }

    /// Closes the listener and all connections, waits for the threads and completes the log file.
    /// Requests that were running are in the log as [`Outcome::ServerStopped`].
    ///
    /// # Errors
    /// The log file could not be written.
    pub fn stop(mut self) -> Result<Served, SimError> {
        self.halt().map_err(SimError::LogFile)?;
        Ok(Served { requests: self.log(), counters: self.counters() })
    }

    fn halt(&mut self) -> std::io::Result<()> {
        self.shared.stopping.store(true, Relaxed);
        self.stop.send_replace(true);
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a simulator worker panicked");
            }
        }
        self.shared.log.close_file()
    }
}

impl Drop for RunningSim {
    fn drop(&mut self) {
        if let Err(error) = self.halt() {
            tracing::error!(%error, "the simulator's log file is not complete");
        }
    }
}

fn listen(addr: SocketAddr) -> std::io::Result<TcpListener> {
    use socket2::{Domain, Protocol, Socket, Type};
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.bind(&addr.into())?;
    socket.listen(4096)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Thousands of streams need thousands of descriptors; a refusal shows up when they run out.
fn raise_file_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        limit.current = limit.maximum;
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            tracing::debug!(%error, "cannot raise the limit of open files");
        }
    }
}
