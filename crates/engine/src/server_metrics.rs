//! The server-metrics collector: reads Prometheus pages of the servers (and of GPU exporters) beside the load.
//!
//! It has a thread and connections of its own, so that it can neither delay a request nor be delayed by one.
//! Life of a collector: [`ServerMetrics::start`] tests every endpoint and takes a baseline; pages are then read
//! at the interval, and at once when a phase begins or ends; [`ServerMetrics::finish`] waits for the flush period,
//! reads every page a last time and hands over what was collected.
//!
//! A scrape costs the server something, too. When it takes longer than a tenth of the interval, the endpoint is
//! read less often, so that it costs at most that share; this is said once.

mod config;
mod endpoint;
mod fetch;
mod http;
mod latest;
mod recording;
mod supervisor;

use std::sync::mpsc as std_mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::mpsc;
use tokmeter_record::WallNs;
use tokmeter_record::server::telemetry::Telemetry;
use tokmeter_record::server::{PhaseMark, Store};

pub use config::{MetricsPage, PageOrigin, ServerMetricsConfig, Timing, TimingError, metrics_url};
pub use fetch::{ACCEPT, Fetch, FetchError, Fetched, MAX_PAGE_BYTES, Method};
pub use http::{HttpFetch, HttpFetchError, Trusted};
pub use latest::LatestGauges;
pub use recording::RecordingError;

use recording::Recording;
use supervisor::Command;

/// Why the collector could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A file for the raw scrapes could not be made.
    #[error(transparent)]
    File(#[from] RecordingError),
    /// The thread or its runtime could not be made.
    #[error("cannot start the server-metrics thread: {0}")]
    Thread(#[from] std::io::Error),
    /// The HTTP client could not be made.
    #[error("cannot set up the server-metrics client: {0}")]
    Client(String),
}

/// How it stands with one page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageReport {
    /// URL as configured, without user and password.
    pub configured_url: String,
    /// URL that is read, without user and password; another one when the page was found at `/prometheus/metrics`.
    pub url: String,
    /// Whether it is a page of GPUs.
    pub gpu: bool,
    /// Why it is not read; none while it is.
    pub disabled: Option<String>,
    /// Scrapes that delivered a page.
    pub scrapes: u64,
    /// Scrapes that failed.
    pub failures: u64,
}

/// What was collected.
#[derive(Debug)]
pub struct ServerMetricsOutcome {
    /// All scrapes.
    pub store: Store,
    /// All GPU samples.
    pub telemetry: Telemetry,
    /// Every page that was configured.
    pub pages: Vec<PageReport>,
    /// What a reader of the results should know.
    pub notices: Vec<String>,
    /// A file of raw scrapes that could not be written to its end.
    pub file_error: Option<RecordingError>,
}

impl ServerMetricsOutcome {
    /// Which of these metrics no page had; names with or without `_total`.
    pub fn missing<'n>(&self, required: &'n [String]) -> Vec<&'n str> {
        let offered = |name: &str| {
            let plain = name.strip_suffix("_total").unwrap_or(name);
            self.store.metrics().iter().any(|metric| *metric.name == *name || *metric.name == *plain)
        };
        required.iter().map(String::as_str).filter(|name| !offered(name)).collect()
    }
}

/// A collector at work. Dropping it ends the thread without a last scrape.
#[derive(Debug)]
pub struct ServerMetrics {
    commands: mpsc::UnboundedSender<Command>,
    thread: JoinHandle<ServerMetricsOutcome>,
    timing: Timing,
    baseline: Vec<PageReport>,
}

impl ServerMetrics {
    /// Starts the thread, tests every page and takes the baseline. Returns when that is done, at the latest after
    /// four times the reachability timeout.
    ///
    /// `fetcher` makes the HTTP client, on the new thread.
    ///
    /// # Errors
    /// When a file, the thread or the client cannot be made. A page that cannot be read is no error.
    pub fn start<F: Fetch>(
        config: ServerMetricsConfig,
        fetcher: impl FnOnce() -> Result<F, String> + Send + 'static,
    ) -> Result<ServerMetrics, StartError> {
        let recording = Recording::create(&config)?;
        let (commands, inbox) = mpsc::unbounded_channel();
        let (ready, is_ready) = std_mpsc::sync_channel(1);
        let timing = config.timing;
        let thread = std::thread::Builder::new()
            .name("server-metrics".to_owned())
            .spawn(move || supervisor::run(config, recording, fetcher, inbox, ready))?;
        match is_ready.recv() {
            Ok(Ok(baseline)) => Ok(ServerMetrics { commands, thread, timing, baseline }),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(StartError::Client("its thread ended at once".to_owned())),
        }
    }

    /// How it stood with every page after the baseline.
    pub fn baseline(&self) -> &[PageReport] {
        &self.baseline
    }

    /// Whether any page is read.
    pub fn is_active(&self) -> bool {
        self.baseline.iter().any(|page| page.disabled.is_none())
    }

    /// Reads every page now and waits for it, at most `limit`: a fresh reference before a phase begins.
    pub fn scrape_now(&self, limit: Duration) {
        let (done, is_done) = std_mpsc::sync_channel(1);
        if self.commands.send(Command::ScrapeNow(done)).is_ok() {
            let _ = is_done.recv_timeout(limit);
        }
    }

    /// A phase begins: scrapes from its start on belong to it. Triggers a scrape; does not wait.
    pub fn begin_phase(&self, phase: PhaseMark) {
        let _ = self.commands.send(Command::BeginPhase(phase));
    }

    /// The load of the phase ended. Triggers a scrape; does not wait.
    pub fn end_phase(&self, end: WallNs) {
        let _ = self.commands.send(Command::EndPhase(end));
    }

    /// Goes on for the flush period, scrapes a last time and hands over.
    ///
    /// # Errors
    /// The panic of the thread, which would be a bug.
    pub fn finish(self) -> std::thread::Result<ServerMetricsOutcome> {
        let flush = self.timing.flush;
        self.end(flush)
    }

    /// Scrapes a last time and hands over, without the flush period: for interrupted runs.
    ///
    /// # Errors
    /// The panic of the thread, which would be a bug.
    pub fn finish_now(self) -> std::thread::Result<ServerMetricsOutcome> {
        self.end(Duration::ZERO)
    }

    fn end(self, flush: Duration) -> std::thread::Result<ServerMetricsOutcome> {
        let _ = self.commands.send(Command::Finish(flush));
        self.thread.join()
    }
}

/// Used by the thread to say that the baseline is taken.
type Ready = std_mpsc::SyncSender<Result<Vec<PageReport>, StartError>>;

#[cfg(test)]
mod tests;
