//! The series of an endpoint and of a backend, looked up once and kept together: a request touches a dozen of
//! them and must not pay a dozen lookups.

use std::sync::{Arc, Mutex, PoisonError};

use crate::catalogue::{Metric, SHARES, STAGES};
use crate::metrics::{Counter, Gauge, Histogram, Metrics};
use crate::outcome::Outcome;

/// Series of an endpoint.
#[derive(Debug)]
pub(crate) struct EndpointSeries {
    pub endpoint: Arc<str>,
    pub stages: [Arc<Histogram>; STAGES.len()],
    pub frontend: Arc<Histogram>,
    pub overhead: Arc<Histogram>,
    pub client_wait: Arc<Histogram>,
    pub in_flight: Arc<Gauge>,
    shares: Mutex<MeanShares>,
    share_gauges: [Arc<Gauge>; SHARES.len()],
}

/// Requests after which the mean of shares begins to forget.
const SHARES_MEMORY: f64 = 64.0;

#[derive(Debug, Default)]
struct MeanShares {
    requests: f64,
    percent: [f64; SHARES.len()],
}

impl EndpointSeries {
    pub fn new(metrics: &Metrics, endpoint: Arc<str>) -> Self {
        let of = |metric| metrics.histogram(metric, &[&endpoint]);
        let stage =
            |name: &str| metrics.histogram(Metric::RequestStageDuration, &[&Arc::from(name), &endpoint]);
        let share = |name: &str| metrics.gauge(Metric::StagePercentage, &[&Arc::from(name), &endpoint]);
        EndpointSeries {
            stages: STAGES.map(stage),
            frontend: of(Metric::FrontendProcessing),
            overhead: of(Metric::Overhead),
            client_wait: of(Metric::ClientWait),
            in_flight: metrics.gauge(Metric::InFlight, &[&endpoint]),
            shares: Mutex::default(),
            share_gauges: SHARES.map(share),
            endpoint,
        }
    }

    /// Takes the shares of one request, in percent, into the moving mean. The three are one sample: they are
    /// updated together.
    pub fn share(&self, percent: [f64; SHARES.len()]) {
        let mut mean = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        mean.requests = (mean.requests + 1.0).min(SHARES_MEMORY);
        let weight = 1.0 / mean.requests;
        for ((mean, new), gauge) in mean.percent.iter_mut().zip(percent).zip(&self.share_gauges) {
            *mean += (new - *mean) * weight;
            gauge.set(*mean);
        }
    }
}

/// Series of a provider and model at an endpoint.
#[derive(Debug)]
pub(crate) struct BackendSeries {
    pub provider: Arc<str>,
    pub model: Arc<str>,
    operation: Arc<str>,
    pub ttfb: Arc<Histogram>,
    pub streaming: Arc<Histogram>,
    pub first_chunk: Arc<Histogram>,
    pub first_token: Arc<Histogram>,
    pub per_token: Arc<Histogram>,
    pub input_usage: Arc<Histogram>,
    pub output_usage: Arc<Histogram>,
    pub input_tokens: Arc<Counter>,
    pub output_tokens: Arc<Counter>,
    duration_ok: Arc<Histogram>,
    requests_ok: Arc<Counter>,
}

impl BackendSeries {
    pub fn new(metrics: &Metrics, provider: Arc<str>, model: Arc<str>, endpoint: &Arc<str>) -> Self {
        let operation: Arc<str> = operation_of(endpoint).into();
        let by_backend = |metric| metrics.histogram(metric, &[&provider, &model, endpoint]);
        let gen_ai = |metric| metrics.histogram(metric, &[&operation, &provider, &model]);
        let usage = |of: &str| {
            metrics.histogram(Metric::GenAiTokenUsage, &[&operation, &provider, &model, &Arc::from(of)])
        };
        let tokens = |of: &str| metrics.counter(Metric::Tokens, &[&provider, &model, &Arc::from(of)]);
        BackendSeries {
            ttfb: by_backend(Metric::BackendTtfb),
            streaming: by_backend(Metric::StreamingDuration),
            first_chunk: metrics.histogram(Metric::TimeToFirstChunk, &[&provider, &model]),
            first_token: gen_ai(Metric::GenAiTimeToFirstToken),
            per_token: gen_ai(Metric::GenAiTimePerOutputToken),
            input_usage: usage("input"),
            output_usage: usage("output"),
            input_tokens: tokens("input"),
            output_tokens: tokens("output"),
            duration_ok: metrics
                .histogram(Metric::GenAiRequestDuration, &[&operation, &provider, &model, &Arc::from("")]),
            requests_ok: metrics.counter(
                Metric::Requests,
                &[&provider, &model, endpoint, &Arc::from(Outcome::Ok.as_str()), &Arc::from("2xx")],
            ),
            provider,
            model,
            operation,
        }
    }

    pub fn duration(&self, metrics: &Metrics, outcome: Outcome) -> Arc<Histogram> {
        if outcome == Outcome::Ok {
            return Arc::clone(&self.duration_ok);
        }
        let labels = [&self.operation, &self.provider, &self.model, &Arc::from(outcome.as_str())];
        metrics.histogram(Metric::GenAiRequestDuration, &labels)
    }

    pub fn requests(
        &self,
        metrics: &Metrics,
        endpoint: &Arc<str>,
        outcome: Outcome,
        status: u16,
    ) -> Arc<Counter> {
        if outcome == Outcome::Ok && status / 100 == 2 {
            return Arc::clone(&self.requests_ok);
        }
        let class = match status {
            100..=599 => format!("{}xx", status / 100),
            _ => String::new(),
        };
        let labels = [&self.provider, &self.model, endpoint, &Arc::from(outcome.as_str()), &Arc::from(class)];
        metrics.counter(Metric::Requests, &labels)
    }

    pub fn tokens(&self, metrics: &Metrics, token_type: &str) -> Arc<Counter> {
        metrics.counter(Metric::Tokens, &[&self.provider, &self.model, &Arc::from(token_type)])
    }
}

/// `gen_ai.operation.name` of an endpoint.
fn operation_of(endpoint: &str) -> &'static str {
    match endpoint.trim_end_matches('/').rsplit_once("/v1/").map_or(endpoint, |(_, rest)| rest) {
        "chat/completions" | "responses" | "messages" => "chat",
        "completions" => "text_completion",
        "embeddings" => "embeddings",
        _ => crate::catalogue::OTHER,
    }
}
