//! What happens to one request: stages, upstream attempts, stream, tokens, outcome.

mod guards;
mod series;
mod trace_id;

use std::fmt::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub use guards::{BackendGuard, DurationGuard, RequestStages, StageGuard, StreamGuard};
pub use guards::{track_duration, track_request_stages};
pub(crate) use series::{BackendSeries, EndpointSeries};
pub use trace_id::TraceId;

use crate::catalogue::{FRONTEND_STAGES, Metric, STAGES};
use crate::metrics::{Histogram, Metrics};
use crate::outcome::Outcome;

/// Place of `backend_fetch` in [`STAGES`].
const BACKEND_FETCH: usize = 3;
/// Place of `stream_processing`.
const STREAM_PROCESSING: usize = 4;

/// What is known of a request when it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finished {
    /// How it ended.
    pub outcome: Outcome,
    /// The status it was answered with; 0 when there was none.
    pub status: u16,
    /// From its arrival to the last byte of its response.
    pub duration: Duration,
    /// Tokens as the upstream counted them.
    pub usage: Usage,
    /// Events of the stream that carried tokens.
    pub token_events: u64,
}

/// What is called when a request is over.
struct OnEnd(Box<dyn FnOnce(&Finished) + Send>);

impl std::fmt::Debug for OnEnd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OnEnd")
    }
}

/// Tokens of a request as the upstream counted them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens of the prompt.
    pub input: Option<u64>,
    /// Tokens of the answer, reasoning included.
    pub output: Option<u64>,
    /// Input tokens that came from the prefix cache.
    pub cached_input: Option<u64>,
    /// Output tokens that were reasoning.
    pub reasoning: Option<u64>,
}

/// Follows one request. Clones are the same request; when the last of them and of their guards is dropped, the
/// request is over and everything that was not recorded before is. A request whose outcome nobody set was
/// dropped by its server: `cancelled_by_client`.
///
/// ```
/// use std::sync::Arc;
/// use tokmeter_gateway::{Bounds, Format, Metrics, Outcome, PerformanceTracker};
///
/// let metrics = Arc::new(Metrics::new(Bounds::default()));
/// let tracker = PerformanceTracker::new(&metrics, "/v1/chat/completions");
/// {
///     let _stage = tracker.stage("request_parsing");
///     // parse
/// }
/// let upstream = tracker.backend_request("openrouter", "some-model");
/// // send the request, wait for the first byte of the body
/// upstream.first_byte();
/// {
///     let stream = tracker.streaming();
///     stream.tokens(1); // for each event that carries some
/// }
/// drop(upstream);
/// tracker.record_percentages();
/// tracker.finish(Outcome::Ok, 200);
/// drop(tracker);
/// assert!(metrics.render(Format::Prometheus).contains("backend_ttfb_seconds_count"));
/// ```
#[derive(Clone, Debug)]
pub struct PerformanceTracker(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    metrics: Arc<Metrics>,
    endpoint: Arc<EndpointSeries>,
    started: Instant,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    trace_id: Option<TraceId>,
    backend: Option<Arc<BackendSeries>>,
    /// Time in each of [`STAGES`], in ns.
    stages: [u64; STAGES.len()],
    /// Upstream attempts under way.
    attempts: u32,
    /// Start of the latest attempt: what its TTFB counts from.
    attempt_at: Option<Instant>,
    /// Since when there has been an attempt under way without a pause.
    upstream_since: Option<Instant>,
    /// The union of the upstream intervals so far, in ns.
    upstream_ns: u64,
    first_byte_at: Option<Instant>,
    first_token_at: Option<Instant>,
    last_token_at: Option<Instant>,
    token_events: u64,
    client_wait_ns: Option<u64>,
    usage: Usage,
    told: Option<Outcome>,
    on_end: Vec<OnEnd>,
    ended: Option<(Outcome, u16)>,
    ended_at: Option<Instant>,
}

impl PerformanceTracker {
    /// A request has just arrived at an endpoint (a route template, not a path).
    pub fn new(metrics: &Arc<Metrics>, endpoint: &str) -> Self {
        let endpoint = metrics.endpoint_series(endpoint);
        endpoint.in_flight.add(1.0);
        PerformanceTracker(Arc::new(Inner {
            metrics: Arc::clone(metrics),
            endpoint,
            started: Instant::now(),
            state: Mutex::default(),
        }))
    }

    /// The trace that the exemplars of this request name.
    pub fn set_trace(&self, trace_id: TraceId) {
        self.state().trace_id = Some(trace_id);
    }

    /// Times a stage until the guard is dropped. A name beyond the seed's is bounded like any label.
    pub fn stage(&self, name: &str) -> StageGuard {
        let (place, histogram) = self.find_stage(name);
        StageGuard { tracker: self.clone(), place, histogram, begun: Instant::now() }
    }

    fn find_stage(&self, name: &str) -> (Option<usize>, Arc<Histogram>) {
        if let Some(place) = STAGES.iter().position(|stage| *stage == name) {
            return (Some(place), Arc::clone(&self.0.endpoint.stages[place]));
        }
        let labels = [&self.0.metrics.stage(name), &self.0.endpoint.endpoint];
        (None, self.0.metrics.histogram(Metric::RequestStageDuration, &labels))
    }

    /// An upstream request begins. Attempts may overlap (hedges) or follow each other (retries); the labels are
    /// those of the latest.
    pub fn backend_request(&self, provider: &str, model: &str) -> BackendGuard {
        let backend = self.0.metrics.backend_series(provider, model, &self.0.endpoint.endpoint);
        let now = Instant::now();
        let mut state = self.state();
        state.backend = Some(backend);
        state.attempts += 1;
        state.attempt_at = Some(now);
        state.upstream_since.get_or_insert(now);
        BackendGuard { tracker: self.clone() }
    }

    /// The first byte of the response body arrived. Only the first call counts.
    pub fn first_byte(&self) {
        let now = Instant::now();
        let mut state = self.state();
        if state.first_byte_at.is_some() {
            return;
        }
        state.first_byte_at = Some(now);
        let Some(since) = state.attempt_at.take() else { return };
        let waited = nanos(now - since);
        state.stages[BACKEND_FETCH] += waited;
        let (trace, backend) = (state.trace_id, state.backend.clone());
        drop(state);
        self.0.endpoint.stages[BACKEND_FETCH].observe_traced(waited, trace.as_ref());
        if let Some(backend) = backend {
            backend.ttfb.observe_traced(waited, trace.as_ref());
        }
    }

    /// The response is a stream, and it begins now.
    pub fn streaming(&self) -> StreamGuard {
        let now = Instant::now();
        let state = self.state();
        let first = nanos(state.first_byte_at.unwrap_or(now) - self.0.started);
        let (trace, backend) = (state.trace_id, state.backend.clone());
        drop(state);
        if let Some(backend) = backend {
            backend.first_chunk.observe_traced(first, trace.as_ref());
        }
        StreamGuard { tracker: self.clone(), begun: now }
    }

    fn tokens(&self, count: u64) {
        if count == 0 {
            return;
        }
        let now = Instant::now();
        let mut state = self.state();
        state.token_events += count;
        state.last_token_at = Some(now);
        if state.first_token_at.is_some() {
            return;
        }
        state.first_token_at = Some(now);
        let (trace, backend) = (state.trace_id, state.backend.clone());
        drop(state);
        if let Some(backend) = backend {
            backend.first_token.observe_traced(nanos(now - self.0.started), trace.as_ref());
        }
    }

    /// What the upstream says about tokens; what it says last counts.
    pub fn set_usage(&self, usage: Usage) {
        self.state().usage = usage;
    }

    /// The response had to wait so long for its client.
    pub fn add_client_wait(&self, wait: Duration) {
        *self.state().client_wait_ns.get_or_insert(0) += nanos(wait);
    }

    /// Records how the request's time is shared between gateway, backend and stream, in percent of its time so
    /// far. Stages that did not occur count 0.
    pub fn record_percentages(&self) {
        let total = nanos(self.0.started.elapsed()).max(1) as f64;
        let stages = self.state().stages;
        let shares = [frontend(&stages), stages[BACKEND_FETCH], stages[STREAM_PROCESSING]];
        self.0.endpoint.share(shares.map(|ns| 100.0 * ns as f64 / total));
    }

    /// Adds to the time of a stage that is made of pieces, and counts them as one.
    pub fn add_stage_time(&self, name: &str, time: Duration) {
        let (place, histogram) = self.find_stage(name);
        histogram.observe_traced(nanos(time), self.trace_id().as_ref());
        if let Some(place) = place {
            self.add_stage(place, nanos(time));
        }
    }

    /// Calls something when the request is over, on whichever thread ends it: it must not block.
    pub fn on_end(&self, call: impl FnOnce(&Finished) + Send + 'static) {
        self.state().on_end.push(OnEnd(Box::new(call)));
    }

    /// How the request ended, for someone who knows better than the status says. Wins over what
    /// [`finish`](Self::finish) is told; the first call counts.
    pub fn set_outcome(&self, outcome: Outcome) {
        self.state().told.get_or_insert(outcome);
    }

    /// How the request ended, and the status it was answered with (0 when there was none). The first call counts.
    pub fn finish(&self, outcome: Outcome, status: u16) {
        let mut state = self.state();
        if state.ended.is_none() {
            state.ended = Some((outcome, status));
            state.ended_at = Some(Instant::now());
        }
    }

    /// Whether an upstream was asked.
    pub fn asked_upstream(&self) -> bool {
        self.state().backend.is_some()
    }

    /// Time since the request arrived.
    pub fn total_duration(&self) -> Duration {
        self.0.started.elapsed()
    }

    /// Time in the stages before the upstream request so far.
    pub fn frontend_time(&self) -> Duration {
        Duration::from_nanos(frontend(&self.state().stages))
    }

    /// Value of a `Server-Timing` header (W3C): the stages so far and the gateway's own time so far, in ms.
    pub fn server_timing(&self) -> String {
        let now = Instant::now();
        let state = self.state();
        let mut value = String::with_capacity(160);
        for (name, ns) in STAGES.iter().zip(state.stages).filter(|(_, ns)| *ns > 0) {
            let _ = write!(value, "{name};dur={:.3}, ", ns as f64 / 1e6);
        }
        if let Some(since) = state.attempt_at {
            let _ = write!(value, "backend_headers;dur={:.3}, ", nanos(now - since) as f64 / 1e6);
        }
        let overhead = nanos(now - self.0.started).saturating_sub(state.upstream_until(now));
        let _ = write!(value, "gateway_overhead;dur={:.3}", overhead as f64 / 1e6);
        value
    }

    fn trace_id(&self) -> Option<TraceId> {
        self.state().trace_id
    }

    fn add_stage(&self, place: usize, ns: u64) {
        self.state().stages[place] += ns;
    }

    fn end_backend(&self) {
        let now = Instant::now();
        let mut state = self.state();
        state.attempts -= 1;
        if state.attempts > 0 {
            return;
        }
        state.upstream_ns = state.upstream_until(now);
        state.upstream_since = None;
        // No byte came: the stage ends with the attempt, and there is no TTFB.
        if let Some(since) = state.attempt_at.take() {
            let waited = nanos(now - since);
            state.stages[BACKEND_FETCH] += waited;
            let trace = state.trace_id;
            drop(state);
            self.0.endpoint.stages[BACKEND_FETCH].observe_traced(waited, trace.as_ref());
        }
    }

    fn end_stream(&self, ns: u64) {
        let mut state = self.state();
        state.stages[STREAM_PROCESSING] += ns;
        let (trace, backend) = (state.trace_id, state.backend.clone());
        drop(state);
        self.0.endpoint.stages[STREAM_PROCESSING].observe_traced(ns, trace.as_ref());
        if let Some(backend) = backend {
            backend.streaming.observe_traced(ns, trace.as_ref());
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The union of the upstream intervals until `now`, in ns.
    fn upstream_until(&self, now: Instant) -> u64 {
        self.upstream_ns + self.upstream_since.map_or(0, |since| nanos(now - since))
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        let (endpoint, metrics) = (&self.endpoint, &*self.metrics);
        let (ended, status) = state.ended.unwrap_or((Outcome::CancelledByClient, 0));
        let outcome = state.told.unwrap_or(ended);
        let trace = state.trace_id.as_ref();
        let end = state.ended_at.unwrap_or_else(Instant::now);
        let total = nanos(end - self.started);
        let backend =
            state.backend.take().unwrap_or_else(|| metrics.backend_series("", "", &endpoint.endpoint));
        endpoint.in_flight.add(-1.0);
        let frontend = frontend(&state.stages);
        if frontend > 0 {
            endpoint.frontend.observe_traced(frontend, trace);
        }
        endpoint.overhead.observe_traced(total.saturating_sub(state.upstream_ns), trace);
        if let Some(wait) = state.client_wait_ns {
            endpoint.client_wait.observe_traced(wait, trace);
        }
        backend.requests(metrics, &endpoint.endpoint, outcome, status).add(1);
        backend.duration(metrics, outcome).observe_traced(total, trace);
        let Usage { input, output, cached_input, reasoning } = state.usage;
        if let Some(input) = input {
            backend.input_usage.observe_traced(input, trace);
            backend.input_tokens.add(input);
        }
        if let Some(output) = output {
            backend.output_usage.observe_traced(output, trace);
            backend.output_tokens.add(output);
        }
        for (name, count) in [("cached_input", cached_input), ("reasoning", reasoning)] {
            if let Some(count) = count {
                backend.tokens(metrics, name).add(count);
            }
        }
        let tokens = output.unwrap_or(state.token_events);
        if let (Outcome::Ok, Some(first), Some(last), 2..) =
            (outcome, state.first_token_at, state.last_token_at, tokens)
        {
            backend.per_token.observe_traced(nanos(last - first) / (tokens - 1), trace);
        }
        let finished = Finished {
            outcome,
            status,
            duration: Duration::from_nanos(total),
            usage: state.usage,
            token_events: state.token_events,
        };
        for OnEnd(call) in std::mem::take(&mut state.on_end) {
            call(&finished);
        }
    }
}

fn frontend(stages: &[u64; STAGES.len()]) -> u64 {
    STAGES.iter().zip(stages).filter(|(name, _)| FRONTEND_STAGES.contains(name)).map(|(_, ns)| ns).sum()
}

fn nanos(duration: Duration) -> u64 {
    duration.as_nanos().try_into().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
