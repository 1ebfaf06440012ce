//! A streaming reverse proxy for OpenAI-style APIs that measures what passes. Bytes pass unchanged, frame by frame;
//! only what is needed to find a request's model is held back.

mod answer;
mod config;
mod keys;
mod patient_io;
mod peek;
mod recorder;
mod request_body;
mod response_body;
mod routes;
mod serve;
mod service;
mod upstream;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

pub use config::{ConfigError, GatewayConfig, Limits, RouteConfig, Timeouts, UpstreamConfig};
pub use routes::ENDPOINTS;

use self::keys::Keys;
use self::recorder::Recorder;
use self::routes::Routes;
use self::service::seconds;
use crate::metrics::{Bounds, Metrics};

/// Models beside those of the routes that get a label value of their own: the first that come.
const LEARNED_MODELS: usize = 64;

/// A measuring reverse proxy. Clones are the same gateway: one may serve on each of several runtimes.
#[derive(Clone, Debug)]
pub struct Gateway {
    shared: Arc<Shared>,
    tls: bool,
    connect: Duration,
}

/// What all connections see.
#[derive(Debug)]
pub(crate) struct Shared {
    metrics: Arc<Metrics>,
    routes: Routes,
    keys: Option<Keys>,
    limits: Limits,
    client_head: Duration,
    client_idle: Duration,
    response_timeout: Duration,
    upstream_idle: Duration,
    drain: Duration,
    server_timing: bool,
    connections: Arc<Semaphore>,
    draining: AtomicBool,
    recorder: Option<Recorder>,
}

impl Gateway {
    /// A gateway that is ready to serve. Keys are read and the trace file is created here.
    ///
    /// # Errors
    /// The configuration contradicts itself, or a file or variable it names cannot be used.
    pub fn new(config: &GatewayConfig) -> Result<Self, ConfigError> {
        config.check()?;
        let routes = Routes::new(config)?;
        let names = |names: &mut dyn Iterator<Item = &String>| names.cloned().collect();
        let bounds = Bounds {
            providers: names(&mut config.upstreams.iter().map(|upstream| &upstream.name)),
            models: names(&mut config.routes.iter().map(|route| &route.model).filter(|model| *model != "*")),
            endpoints: ENDPOINTS.map(str::to_owned).into(),
            learned: LEARNED_MODELS,
        };
        let timeouts = &config.timeouts;
        let tls = routes.any_tls();
        let shared = Shared {
            metrics: Arc::new(Metrics::new(bounds)),
            keys: Keys::load(config)?,
            routes,
            limits: config.limits.clone(),
            client_head: seconds(timeouts.client_head),
            client_idle: seconds(timeouts.client_idle),
            response_timeout: seconds(timeouts.response),
            upstream_idle: seconds(timeouts.idle),
            drain: seconds(timeouts.drain),
            server_timing: config.server_timing,
            connections: Arc::new(Semaphore::new(config.limits.max_connections.min(Semaphore::MAX_PERMITS))),
            draining: AtomicBool::new(false),
            recorder: config.record.as_deref().map(Recorder::create).transpose()?,
        };
        let gateway = Gateway { shared: Arc::new(shared), tls, connect: seconds(timeouts.connect) };
        // What TLS lacks is told now and not by the first request.
        upstream::Client::new(gateway.connect, tls)?;
        Ok(gateway)
    }

    /// Its metrics.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.shared.metrics
    }

    /// Serves connections of a listener until `stop` turns true; then streams under way are drained, for as long
    /// as the configuration allows. Keeps its own connections to the upstreams. Needs a tokio runtime with I/O and time.
    ///
    /// # Errors
    /// TLS cannot be set up.
    pub async fn serve(&self, listener: TcpListener, stop: watch::Receiver<bool>) -> Result<(), ConfigError> {
        let client = upstream::Client::new(self.connect, self.tls)?;
        serve::serve(&self.shared, client, listener, stop).await;
        Ok(())
    }

    /// Completes the trace file, where there is one: waits until all that was recorded is written. Call it when
    /// nothing is served any more.
    ///
    /// # Errors
    /// The file could not be written.
    pub fn finish_record(&self) -> std::io::Result<RecordCounts> {
        self.shared.recorder.as_ref().map_or(Ok(RecordCounts::default()), Recorder::finish)
    }
}

/// What became of the recorded requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordCounts {
    /// Lines written.
    pub written: u64,
    /// Requests left out because the writer could not keep up.
    pub lost: u64,
}

/// Binds an address so that several listeners of this process can share it, one for each worker.
///
/// # Errors
/// The system's reason.
pub fn listen(address: SocketAddr) -> std::io::Result<std::net::TcpListener> {
    use socket2::{Domain, Protocol, Socket, Type};
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
    socket.listen(4096)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}
