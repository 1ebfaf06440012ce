//! What a gateway costs: the same requests with and without it, paired, in random order, at the same time.
//!
//! The unit is the pair. A worker sends one request straight to the server and one through the gateway, one after
//! the other, in an order drawn anew for each pair, so that drift of the server, throttling and warm caches meet
//! both alike; other workers do the same meanwhile. What is judged is the difference within pairs, stage by stage,
//! with a confidence interval.

mod body;
mod difference;
mod load;

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use serde::Serialize;
use tokmeter_http::{ClientConfig, ConfigError, Origin, ReuseStrategy, UrlError};

use crate::seed::Seed;
pub use body::BodyTooSmall;
pub use difference::{ArmFigures, Finding, Interval, StageFigures};
pub use load::Stage;

/// One of the two ways to the server.
#[derive(Clone, Debug)]
pub struct Arm {
    /// Scheme, host and port.
    pub origin: Arc<Origin>,
    /// Path of the chat completions.
    pub path: Arc<str>,
    /// `Authorization` made from the URL's user and password.
    authorization: Option<HeaderValue>,
}

impl Arm {
    /// The arm of a URL: a server, a server with `/v1`, or the full path of its chat completions.
    ///
    /// # Errors
    /// The URL cannot be read.
    pub fn parse(url: &str) -> Result<Self, UrlError> {
        let target = Origin::parse(url)?;
        let base = target.base_path();
        let path = match base {
            path if path.ends_with("/chat/completions") => path.to_owned(),
            path if path.ends_with("/v1") => format!("{path}/chat/completions"),
            path => format!("{path}/v1/chat/completions"),
        };
        Ok(Arm {
            origin: Arc::clone(&target.origin),
            path: path.into(),
            authorization: target.authorization.clone(),
        })
    }

    /// The URL without secrets.
    pub fn url(&self) -> String {
        format!("{}{}", self.origin, self.path)
    }
}

/// What is to be measured. Every concurrency is combined with every body size.
#[derive(Clone, Debug)]
pub struct TaxConfig {
    /// The way to the server itself.
    pub direct: Arm,
    /// The way through the gateway.
    pub through: Arm,
    /// Model to name.
    pub model: String,
    /// `Authorization: Bearer`, for both; a URL's own user and password come first.
    pub api_key: Option<HeaderValue>,
    /// Requests in flight at once, both ways together.
    pub concurrencies: Vec<usize>,
    /// Sizes of request bodies, bytes.
    pub body_sizes: Vec<usize>,
    /// Pairs counted for each combination.
    pub pairs: u64,
    /// Pairs sent before those and not counted: at least one of each worker, so that its connections are open.
    pub warmup_pairs: u64,
    /// Ask for streams.
    pub streaming: bool,
    /// Output tokens asked for.
    pub output_tokens: u32,
    /// Open a connection for each request, to see what connecting costs.
    pub new_connections: bool,
    /// Time limit of a request.
    pub timeout: Duration,
    /// Confidence that all intervals of the medians hold together, 0 to 1 exclusive.
    pub confidence: f64,
    /// Seed of the order within pairs and of the resampling.
    pub seed: Seed,
}

/// Why nothing could be measured.
#[derive(Debug, thiserror::Error)]
pub enum TaxError {
    /// A setting out of its range.
    #[error("{0}")]
    Setting(&'static str),
    /// A body size that cannot hold a request.
    #[error(transparent)]
    Body(#[from] BodyTooSmall),
    /// The transport refused its settings.
    #[error(transparent)]
    Transport(#[from] ConfigError),
    /// No runtime.
    #[error("cannot start the runtime: {0}")]
    Runtime(#[from] std::io::Error),
}

/// What was measured. Serialized as the JSON of `tokmeter tax --json`.
#[derive(Clone, Debug, Serialize)]
pub struct TaxReport {
    /// URL of the direct way.
    pub direct: String,
    /// URL of the way through the gateway.
    pub through: String,
    /// Model named.
    pub model: String,
    /// Whether streams were asked for.
    pub streaming: bool,
    /// Whether each request opened a connection.
    pub new_connections: bool,
    /// Output tokens asked for.
    pub output_tokens: u32,
    /// Confidence that all intervals of `added_p50` hold together.
    pub confidence: f64,
    /// Confidence of each single interval that follows (Bonferroni).
    pub interval_confidence: f64,
    /// Seed.
    pub seed: u64,
    /// One for each combination of concurrency and body size.
    pub cells: Vec<Cell>,
}

/// One combination of concurrency and body size.
#[derive(Clone, Debug, Serialize)]
pub struct Cell {
    /// Requests in flight at once, both ways together.
    pub concurrency: usize,
    /// Size of each request body, bytes.
    pub body_bytes: usize,
    /// Pairs of which both requests succeeded; only these count.
    pub pairs: u64,
    /// Pairs of them whose direct request went first.
    pub direct_first: u64,
    /// Failed requests of the direct way.
    pub direct_failures: u64,
    /// Failed requests through the gateway.
    pub through_failures: u64,
    /// The first failure in words.
    pub first_failure: Option<String>,
    /// Differences by stage.
    pub stages: Vec<StageFigures>,
}

impl TaxReport {
    /// Whether any pair succeeded.
    pub fn has_pairs(&self) -> bool {
        self.cells.iter().any(|cell| cell.pairs > 0)
    }

    /// The first failure of all cells in words.
    pub fn first_failure(&self) -> Option<&str> {
        self.cells.iter().find_map(|cell| cell.first_failure.as_deref())
    }
}

/// Sends all pairs and judges their differences. Blocks until all is done.
///
/// # Errors
/// A setting that cannot be used. Requests that fail are counted in the report instead.
pub fn measure(config: &TaxConfig) -> Result<TaxReport, TaxError> {
    check(config)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let load = load::Load::new(config)?;
    let mut measured = Vec::new();
    for (index, (concurrency, body_bytes)) in combinations(config).into_iter().enumerate() {
        let mold = body::Mold::new(&config.model, config.streaming, config.output_tokens, body_bytes)?;
        let pairs = load.run(&runtime, concurrency, mold, index as u64);
        measured.push((concurrency, body_bytes, pairs));
    }
    // Only stages that occur have an interval, and only those share the confidence.
    let intervals: usize = measured.iter().map(|(.., pairs)| difference::stages_seen(&pairs.complete)).sum();
    let interval_confidence = 1.0 - (1.0 - config.confidence) / intervals.max(1) as f64;
    let mut random = config.seed.stream("tax resampling");
    let cells = measured.into_iter().map(|(concurrency, body_bytes, pairs)| Cell {
        concurrency,
        body_bytes,
        pairs: pairs.complete.len() as u64,
        direct_first: pairs.complete.iter().filter(|pair| pair.direct_first).count() as u64,
        direct_failures: pairs.direct_failures,
        through_failures: pairs.through_failures,
        stages: difference::stages(&pairs.complete, interval_confidence, &mut random),
        first_failure: pairs.first_failure,
    });
    Ok(TaxReport {
        cells: cells.collect(),
        direct: config.direct.url(),
        through: config.through.url(),
        model: config.model.clone(),
        streaming: config.streaming,
        new_connections: config.new_connections,
        output_tokens: config.output_tokens,
        confidence: config.confidence,
        interval_confidence,
        seed: config.seed.0,
    })
}

fn combinations(config: &TaxConfig) -> Vec<(usize, usize)> {
    let sizes = &config.body_sizes;
    config.concurrencies.iter().flat_map(|c| sizes.iter().map(move |size| (*c, *size))).collect()
}

fn check(config: &TaxConfig) -> Result<(), TaxError> {
    if config.concurrencies.is_empty() || config.concurrencies.contains(&0) {
        return Err(TaxError::Setting("a concurrency must be at least 1"));
    }
    if config.body_sizes.is_empty() {
        return Err(TaxError::Setting("a body size is needed"));
    }
    if config.pairs == 0 {
        return Err(TaxError::Setting("at least one pair of requests must be sent"));
    }
    if !(config.confidence > 0.0 && config.confidence < 1.0) {
        return Err(TaxError::Setting("the confidence must lie between 0 and 1, for example 0.95"));
    }
    Ok(())
}

fn headers(arm: &Arm, config: &TaxConfig) -> HeaderMap {
    let accept = if config.streaming { "text/event-stream" } else { "application/json" };
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(ACCEPT, HeaderValue::from_static(accept));
    if let Some(value) = arm.authorization.as_ref().or(config.api_key.as_ref()) {
        headers.insert(AUTHORIZATION, value.clone());
    }
    headers
}

fn transport(config: &TaxConfig) -> ClientConfig {
    let reuse = if config.new_connections { ReuseStrategy::Never } else { ReuseStrategy::Pooled };
    ClientConfig { reuse, ..ClientConfig::default() }
}

#[cfg(test)]
mod tests;
