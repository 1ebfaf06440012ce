//! Getting a page, blocking: metrics pages, model lists. Own thread-bound runtime and own connections, never
//! those of the load.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method};
use tokio::runtime::{Builder, Runtime};
use tokio::task::LocalSet;
use tokmeter_record::{ErrorClass, Phase, Side, WallNs};

use crate::client::Client;
use crate::clock;
use crate::config::{ClientConfig, ConfigError, Limits};
use crate::exchange::{Exchange, Origin, Request, ResponseHead, TransportError};

/// Gets pages, one at a time, over connections it keeps.
pub struct Fetcher {
    // Dropped in this order: connections, the tasks that drive them, then the runtime.
    client: Client,
    tasks: LocalSet,
    /// Taken by `drop` only.
    runtime: Option<Runtime>,
    limits: Limits,
    headers: HeaderMap,
}

/// Why there is no fetcher.
#[derive(Debug, thiserror::Error)]
pub enum FetcherError {
    /// The settings cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The system gives no event queue or timer.
    #[error("no runtime for fetching: {0}")]
    Runtime(#[from] std::io::Error),
}

/// What came of a fetch.
#[derive(Debug)]
pub struct FetchResult {
    /// Head of the response, if one came.
    pub head: Option<ResponseHead>,
    /// Body as far as it came; empty when it was not wanted.
    pub body: Vec<u8>,
    /// When the request went out (when it began, if it never went out).
    pub sent_ns: WallNs,
    /// The first body byte; the first byte of the head when there was no body.
    pub first_byte_ns: Option<WallNs>,
    /// From the request's beginning, connecting included, to its end, ns.
    pub latency_ns: u64,
    /// Why it failed below HTTP; a status is no failure.
    pub error: Option<TransportError>,
}

impl Fetcher {
    /// A fetcher with these settings. Requests carry no headers but `Accept`, `User-Agent` and those of
    /// [`Fetcher::with_headers`].
    ///
    /// # Errors
    /// Settings that cannot be used, or a system without event queue.
    pub fn new(config: &ClientConfig) -> Result<Self, FetcherError> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let client = Client::new(Arc::new(config.clone()), u32::MAX)?;
        Ok(Fetcher {
            client,
            tasks: LocalSet::new(),
            runtime: Some(runtime),
            limits: config.limits,
            headers: HeaderMap::new(),
        })
    }

    /// Sends these headers with each request, too.
    #[must_use]
    pub fn with_headers(mut self, headers: HeaderMap) -> Self {
        self.headers = headers;
        self
    }

    /// Gets a page. `want_body` sees the head first; if it says no, the body is not read and the connection is
    /// closed. A body of more than `max_bytes` is a failure ([`ErrorClass::LimitExceeded`]).
    pub fn get(
        &self,
        url: &str,
        accept: &str,
        timeout: Duration,
        max_bytes: usize,
        want_body: impl FnOnce(&ResponseHead) -> bool,
    ) -> FetchResult {
        let request = match self.request(url, accept, timeout) {
            Ok(request) => request,
            Err(message) => return FetchResult::unsent(message),
        };
        let limits = Limits { max_body_bytes: max_bytes.min(u32::MAX as usize - 1), ..self.limits };
        let mut decide = Some(want_body);
        let mut want = |head: &ResponseHead| decide.take().is_none_or(|decide| decide(head));
        FetchResult::from(self.block_on(self.client.perform(request, limits, Some(&mut want), None)))
    }

    /// Sends any request and waits for its exchange.
    pub fn send(&self, request: Request) -> Exchange {
        self.block_on(self.client.send(request))
    }

    fn block_on(&self, sending: impl Future<Output = Exchange>) -> Exchange {
        match &self.runtime {
            Some(runtime) => self.tasks.block_on(runtime, sending),
            // Only while dropping, when nobody can call.
            None => Exchange::default(),
        }
    }

    fn request(&self, url: &str, accept: &str, timeout: Duration) -> Result<Request, String> {
        let target = Origin::parse(url).map_err(|error| error.to_string())?;
        let accept = HeaderValue::try_from(accept).map_err(|_| format!("cannot ask for {accept:?}"))?;
        let mut headers = self.headers.clone();
        headers.entry(ACCEPT).or_insert(accept);
        headers.entry(USER_AGENT).or_insert(HeaderValue::from_static("tokmeter"));
        if let Some(authorization) = &target.authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        Ok(Request {
            path: target.request_path().into(),
            origin: target.origin,
            method: Method::GET,
            headers,
            body: Bytes::new(),
            sticky: None,
            last_of_sticky: false,
            timeout: Some(timeout),
            cancel_after: None,
        })
    }
}

impl Drop for Fetcher {
    /// A lookup that hangs in getaddrinfo must not hold up the end of the program.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl FetchResult {
    fn unsent(message: String) -> Self {
        let now = clock::now();
        FetchResult {
            head: None,
            body: Vec::new(),
            sent_ns: clock::wall_now(),
            first_byte_ns: None,
            latency_ns: 0,
            error: Some(TransportError {
                class: ErrorClass::Other,
                phase: Phase::Blocked,
                side: Side::Client,
                message,
                causes: Vec::new(),
                at: now,
            }),
        }
    }
}

impl From<Exchange> for FetchResult {
    fn from(exchange: Exchange) -> Self {
        let (anchor, now) = (clock::anchor(), clock::now());
        let trace = &exchange.trace;
        let start = trace.start_ns.unwrap_or(now);
        let end = match &exchange.error {
            Some(error) => error.at,
            None => trace.response_receive_end_ns.unwrap_or(now),
        };
        FetchResult {
            sent_ns: anchor.wall(trace.request_send_start_ns.unwrap_or(start)),
            first_byte_ns: trace
                .response_receive_start_ns
                .or(trace.response_first_byte_ns)
                .map(|at| anchor.wall(at)),
            latency_ns: end.0.saturating_sub(start.0),
            head: exchange.head,
            body: exchange.body.bytes,
            error: exchange.error,
        }
    }
}
