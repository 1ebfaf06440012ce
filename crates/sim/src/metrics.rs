//! Counters and histograms of what was served, with vLLM's meaning.
//!
//! Each worker thread writes its own set; a read of the page adds them up.

mod page;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

use crate::plan::Finish;

pub use page::{huge_page, render, trtllm_iteration_json};

/// Bucket bounds in seconds of vLLM's request-level histograms.
const REQUEST_SECONDS: &[f64] = &[
    0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 120.0, 240.0, 480.0,
    960.0, 1920.0, 7680.0,
];
const TTFT_SECONDS: &[f64] = &[
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0,
    80.0, 160.0, 640.0, 2560.0,
];
const ITL_SECONDS: &[f64] = &[
    0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0,
];
const TOKENS: &[f64] = &[
    1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0, 10000.0, 20000.0, 50000.0,
    100000.0,
];

/// Labels of `request_success_total`.
pub const FINISHED_REASONS: [&str; 4] = ["stop", "length", "abort", "error"];

/// A cumulative histogram. Values are integers in units of `1/scale`.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [f64],
    scale: f64,
    /// Not cumulative; one more than bounds.
    counts: Vec<AtomicU64>,
    sum: AtomicU64,
}

impl Histogram {
    fn seconds(bounds: &'static [f64]) -> Self {
        Self::new(bounds, 1e9)
    }

    fn new(bounds: &'static [f64], scale: f64) -> Self {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self { bounds, scale, counts, sum: AtomicU64::new(0) }
    }

    fn observe(&self, value: u64) {
        self.observe_many(value, 1);
    }

    fn observe_many(&self, value: u64, times: u64) {
        let natural = value as f64 / self.scale;
        let bucket = self.bounds.partition_point(|&bound| bound < natural);
        self.counts[bucket].fetch_add(times, Relaxed);
        self.sum.fetch_add(value * times, Relaxed);
    }
}

/// One worker's share of the page.
#[derive(Debug)]
pub struct WorkerMetrics {
    running: AtomicI64,
    waiting: AtomicI64,
    kv_tokens: AtomicI64,
    prompt_tokens: AtomicU64,
    generation_tokens: AtomicU64,
    prefix_queries: AtomicU64,
    prefix_hits: AtomicU64,
    finished: [AtomicU64; FINISHED_REASONS.len()],
    ttft: Histogram,
    itl: Histogram,
    e2e: Histogram,
    queue: Histogram,
    prefill: Histogram,
    decode: Histogram,
    request_prompt_tokens: Histogram,
    request_generation_tokens: Histogram,
}

impl Default for WorkerMetrics {
    fn default() -> Self {
        Self {
            running: AtomicI64::new(0),
            waiting: AtomicI64::new(0),
            kv_tokens: AtomicI64::new(0),
            prompt_tokens: AtomicU64::new(0),
            generation_tokens: AtomicU64::new(0),
            prefix_queries: AtomicU64::new(0),
            prefix_hits: AtomicU64::new(0),
            finished: Default::default(),
            ttft: Histogram::seconds(TTFT_SECONDS),
            itl: Histogram::seconds(ITL_SECONDS),
            e2e: Histogram::seconds(REQUEST_SECONDS),
            queue: Histogram::seconds(REQUEST_SECONDS),
            prefill: Histogram::seconds(REQUEST_SECONDS),
            decode: Histogram::seconds(REQUEST_SECONDS),
            request_prompt_tokens: Histogram::new(TOKENS, 1.0),
            request_generation_tokens: Histogram::new(TOKENS, 1.0),
        }
    }
}

/// Follows one request through the gauges and into the histograms. Dropped without
/// [`Meter::finish`], it counts as aborted.
pub struct Meter {
    metrics: Arc<WorkerMetrics>,
    arrived_ns: u64,
    admitted_ns: u64,
    first_ns: u64,
    last_ns: u64,
    prompt_tokens: u32,
    tokens: u64,
    kv_tokens: i64,
    finished: bool,
}

impl Meter {
    /// A request was read and waits.
    pub fn arrive(metrics: &Arc<WorkerMetrics>, arrived_ns: u64, prompt_tokens: u32) -> Self {
        metrics.waiting.fetch_add(1, Relaxed);
        Self {
            metrics: Arc::clone(metrics),
            arrived_ns,
            admitted_ns: 0,
            first_ns: 0,
            last_ns: 0,
            prompt_tokens,
            tokens: 0,
            kv_tokens: 0,
            finished: false,
        }
    }

    /// It runs.
    pub fn admit(&mut self, now_ns: u64, cached_tokens: u32) {
        let m = &self.metrics;
        m.waiting.fetch_sub(1, Relaxed);
        m.running.fetch_add(1, Relaxed);
        m.prefix_queries.fetch_add(u64::from(self.prompt_tokens), Relaxed);
        m.prefix_hits.fetch_add(u64::from(cached_tokens), Relaxed);
        m.queue.observe(now_ns.saturating_sub(self.arrived_ns));
        self.admitted_ns = now_ns;
        self.hold(i64::from(self.prompt_tokens));
    }

    /// Tokens left the server.
    pub fn wrote(&mut self, now_ns: u64, tokens: u32) {
        if tokens == 0 {
            return;
        }
        let m = &self.metrics;
        m.generation_tokens.fetch_add(u64::from(tokens), Relaxed);
        let mut rest = u64::from(tokens);
        if self.tokens == 0 {
            self.first_ns = now_ns;
            m.prompt_tokens.fetch_add(u64::from(self.prompt_tokens), Relaxed);
            m.ttft.observe(now_ns.saturating_sub(self.arrived_ns));
            rest -= 1;
        } else {
            m.itl.observe(now_ns.saturating_sub(self.last_ns));
            rest -= 1;
        }
        if rest > 0 {
            m.itl.observe_many(0, rest);
        }
        self.last_ns = now_ns;
        self.tokens += u64::from(tokens);
        self.hold(i64::from(tokens));
    }

    /// It ended by itself.
    pub fn finish(mut self, finish: Finish) {
        let reason = match finish {
            Finish::Stop | Finish::ToolCalls => 0,
            Finish::Length => 1,
            Finish::Abort => 2,
        };
        self.end(reason);
    }

    /// It ended by an error of the engine.
    pub fn fail(mut self) {
        self.end(3);
    }

    fn hold(&mut self, tokens: i64) {
        self.kv_tokens += tokens;
        self.metrics.kv_tokens.fetch_add(tokens, Relaxed);
    }

    fn end(&mut self, reason: usize) {
        if std::mem::replace(&mut self.finished, true) {
            return;
        }
        let m = &self.metrics;
        m.kv_tokens.fetch_sub(self.kv_tokens, Relaxed);
        m.finished[reason].fetch_add(1, Relaxed);
        if self.admitted_ns == 0 {
            m.waiting.fetch_sub(1, Relaxed);
            return;
        }
        m.running.fetch_sub(1, Relaxed);
        if self.tokens > 0 {
            m.e2e.observe(self.last_ns.saturating_sub(self.arrived_ns));
            m.prefill.observe(self.first_ns.saturating_sub(self.admitted_ns));
            m.decode.observe(self.last_ns.saturating_sub(self.first_ns));
            m.request_prompt_tokens.observe(u64::from(self.prompt_tokens));
            m.request_generation_tokens.observe(self.tokens);
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.end(2);
    }
}
