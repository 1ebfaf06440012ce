//! What inference servers call the things we measure too: for client and server side by side.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::estimate::{self, Learned};
use super::histogram::finite_bounds;
use super::reading::MetricKind;
use super::statistics::{MetricStatistics, Metrics, SeriesStatistics};

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Engine {
    /// vLLM.
    Vllm,
    /// SGLang.
    Sglang,
    /// TensorRT-LLM.
    Trtllm,
    /// The frontend of NVIDIA Dynamo.
    Dynamo,
    /// llama.cpp.
    Llamacpp,
}

impl Engine {
    /// The name people know.
    pub fn display(self) -> &'static str {
        match self {
            Engine::Vllm => "vLLM",
            Engine::Sglang => "SGLang",
            Engine::Trtllm => "TensorRT-LLM",
            Engine::Dynamo => "Dynamo",
            Engine::Llamacpp => "llama.cpp",
        }
    }
}

/// What a metric of a server means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Time to first token, s.
    TimeToFirstToken,
    /// Time between output tokens, s.
    InterTokenLatency,
    /// Whole request, s.
    RequestLatency,
    /// Waiting for execution, s.
    QueueTime,
    /// Prefill of a request, s.
    PrefillTime,
    /// Decode of a request, s.
    DecodeTime,
    /// Requests in execution.
    Running,
    /// Requests that wait.
    Waiting,
    /// Prompt tokens processed.
    PromptTokens,
    /// Tokens generated.
    GenerationTokens,
    /// Requests finished.
    Requests,
    /// Prompt tokens (or blocks) found in the prefix cache.
    CacheHits,
    /// Prompt tokens (or blocks) looked up in it.
    CacheQueries,
    /// Share of the KV cache in use, 0 to 1.
    KvCacheUsage,
    /// Requests put back for want of memory.
    Preemptions,
}

/// Names after the engine's prefix, without `_total`. Where an engine has several names for one role, over its
/// versions, the first one that a page has counts.
const NAMES: &[(Engine, Role, &str)] = &[
    (Engine::Vllm, Role::TimeToFirstToken, "vllm:time_to_first_token_seconds"),
    (Engine::Vllm, Role::InterTokenLatency, "vllm:inter_token_latency_seconds"),
    (Engine::Vllm, Role::InterTokenLatency, "vllm:time_per_output_token_seconds"),
    (Engine::Vllm, Role::RequestLatency, "vllm:e2e_request_latency_seconds"),
    (Engine::Vllm, Role::QueueTime, "vllm:request_queue_time_seconds"),
    (Engine::Vllm, Role::PrefillTime, "vllm:request_prefill_time_seconds"),
    (Engine::Vllm, Role::DecodeTime, "vllm:request_decode_time_seconds"),
    (Engine::Vllm, Role::Running, "vllm:num_requests_running"),
    (Engine::Vllm, Role::Waiting, "vllm:num_requests_waiting"),
    (Engine::Vllm, Role::PromptTokens, "vllm:prompt_tokens"),
    (Engine::Vllm, Role::GenerationTokens, "vllm:generation_tokens"),
    (Engine::Vllm, Role::Requests, "vllm:request_success"),
    (Engine::Vllm, Role::CacheHits, "vllm:prefix_cache_hits"),
    (Engine::Vllm, Role::CacheHits, "vllm:gpu_prefix_cache_hits"),
    (Engine::Vllm, Role::CacheQueries, "vllm:prefix_cache_queries"),
    (Engine::Vllm, Role::CacheQueries, "vllm:gpu_prefix_cache_queries"),
    (Engine::Vllm, Role::KvCacheUsage, "vllm:kv_cache_usage_perc"),
    (Engine::Vllm, Role::KvCacheUsage, "vllm:gpu_cache_usage_perc"),
    (Engine::Vllm, Role::Preemptions, "vllm:num_preemptions"),
    (Engine::Sglang, Role::TimeToFirstToken, "sglang:time_to_first_token_seconds"),
    (Engine::Sglang, Role::InterTokenLatency, "sglang:inter_token_latency_seconds"),
    (Engine::Sglang, Role::InterTokenLatency, "sglang:time_per_output_token_seconds"),
    (Engine::Sglang, Role::RequestLatency, "sglang:e2e_request_latency_seconds"),
    (Engine::Sglang, Role::QueueTime, "sglang:queue_time_seconds"),
    (Engine::Sglang, Role::Running, "sglang:num_running_reqs"),
    (Engine::Sglang, Role::Waiting, "sglang:num_queue_reqs"),
    (Engine::Sglang, Role::PromptTokens, "sglang:prompt_tokens"),
    (Engine::Sglang, Role::GenerationTokens, "sglang:generation_tokens"),
    (Engine::Sglang, Role::Requests, "sglang:num_requests"),
    (Engine::Sglang, Role::CacheHits, "sglang:cached_tokens"),
    (Engine::Sglang, Role::KvCacheUsage, "sglang:token_usage"),
    (Engine::Trtllm, Role::TimeToFirstToken, "trtllm_time_to_first_token_seconds"),
    (Engine::Trtllm, Role::InterTokenLatency, "trtllm_time_per_output_token_seconds"),
    (Engine::Trtllm, Role::RequestLatency, "trtllm_e2e_request_latency_seconds"),
    (Engine::Trtllm, Role::QueueTime, "trtllm_request_queue_time_seconds"),
    (Engine::Trtllm, Role::PrefillTime, "trtllm_request_prefill_time_seconds"),
    (Engine::Trtllm, Role::DecodeTime, "trtllm_request_decode_time_seconds"),
    (Engine::Trtllm, Role::Running, "trtllm_num_requests_running"),
    (Engine::Trtllm, Role::Waiting, "trtllm_num_requests_waiting"),
    (Engine::Trtllm, Role::PromptTokens, "trtllm_prompt_tokens"),
    (Engine::Trtllm, Role::GenerationTokens, "trtllm_generation_tokens"),
    (Engine::Trtllm, Role::Requests, "trtllm_request_success"),
    (Engine::Trtllm, Role::CacheHits, "trtllm_prompt_cached_tokens"),
    (Engine::Trtllm, Role::KvCacheUsage, "trtllm_kv_cache_utilization"),
    (Engine::Dynamo, Role::TimeToFirstToken, "dynamo_frontend_time_to_first_token_seconds"),
    (Engine::Dynamo, Role::InterTokenLatency, "dynamo_frontend_inter_token_latency_seconds"),
    (Engine::Dynamo, Role::RequestLatency, "dynamo_frontend_request_duration_seconds"),
    (Engine::Dynamo, Role::Running, "dynamo_frontend_inflight_requests"),
    (Engine::Dynamo, Role::Waiting, "dynamo_frontend_queued_requests"),
    (Engine::Dynamo, Role::PromptTokens, "dynamo_frontend_input_sequence_tokens"),
    (Engine::Dynamo, Role::GenerationTokens, "dynamo_frontend_output_tokens"),
    (Engine::Dynamo, Role::GenerationTokens, "dynamo_frontend_output_sequence_tokens"),
    (Engine::Dynamo, Role::Requests, "dynamo_frontend_requests"),
    (Engine::Dynamo, Role::CacheHits, "dynamo_frontend_cached_tokens"),
    (Engine::Llamacpp, Role::Running, "llamacpp:requests_processing"),
    (Engine::Llamacpp, Role::Waiting, "llamacpp:requests_deferred"),
    (Engine::Llamacpp, Role::PromptTokens, "llamacpp:prompt_tokens"),
    (Engine::Llamacpp, Role::GenerationTokens, "llamacpp:tokens_predicted"),
    (Engine::Llamacpp, Role::CacheHits, "llamacpp:prompt_tokens_cached"),
];

/// What a metric name means, if we know it. TensorRT-LLM writes its prefix with `_` or `:`.
pub fn role(name: &str) -> Option<(Engine, Role)> {
    rank(name).map(|at| (NAMES[at].0, NAMES[at].1))
}

fn rank(name: &str) -> Option<usize> {
    let colon = name.strip_prefix("trtllm:");
    NAMES.iter().position(|(_, _, known)| match colon {
        Some(rest) => known.strip_prefix("trtllm_") == Some(rest),
        None => *known == name,
    })
}

/// A metric as its server reported it over a window, over all of its label sets at one endpoint.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RoleReading {
    /// What it means.
    pub role: Role,
    /// Its name there.
    pub metric: Arc<str>,
    /// Histogram, summary: observations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// Counter: increase. Histogram, summary: sum of the observations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<f64>,
    /// Mean of the observations or samples. Counts of requests add up over label sets, shares do not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avg: Option<f64>,
    /// Highest sample of a gauge; over several label sets an upper bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// Median, estimated from buckets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p50: Option<f64>,
    /// 90th percentile, estimated from buckets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p90: Option<f64>,
    /// 99th percentile, estimated from buckets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p99: Option<f64>,
}

/// What one engine reported at one endpoint.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ServerView {
    /// Who speaks.
    pub engine: Engine,
    /// Where.
    pub endpoint_url: Arc<str>,
    /// What it said, by role.
    pub readings: BTreeMap<Role, RoleReading>,
}

/// What the known engines among the metrics reported, by endpoint and engine.
pub fn views(metrics: &Metrics) -> Vec<ServerView> {
    let mut best: BTreeMap<(&Arc<str>, Engine, Role), (usize, RoleReading)> = BTreeMap::new();
    for (name, metric) in metrics {
        let Some(rank) = rank(name) else { continue };
        let (engine, role, _) = NAMES[rank];
        let mut by_endpoint: BTreeMap<&Arc<str>, Vec<&SeriesStatistics>> = BTreeMap::new();
        for series in &metric.series {
            by_endpoint.entry(&series.endpoint_url).or_default().push(series);
        }
        for (endpoint, series) in by_endpoint {
            let key = (endpoint, engine, role);
            if best.get(&key).is_none_or(|(known, _)| rank < *known) {
                best.insert(key, (rank, reading(name, role, metric, &series)));
            }
        }
    }
    let mut views: Vec<ServerView> = Vec::new();
    for ((endpoint, engine, role), (_, reading)) in best {
        if views.last().is_none_or(|view| view.endpoint_url != *endpoint || view.engine != engine) {
            let endpoint_url = Arc::clone(endpoint);
            views.push(ServerView { engine, endpoint_url, readings: BTreeMap::new() });
        }
        if let Some(view) = views.last_mut() {
            view.readings.insert(role, reading);
        }
    }
    views
}

fn sum(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    values.flatten().reduce(|a, b| a + b)
}

fn reading(
    name: &Arc<str>,
    role: Role,
    metric: &MetricStatistics,
    series: &[&SeriesStatistics],
) -> RoleReading {
    let mut reading = RoleReading {
        role,
        metric: Arc::clone(name),
        count: None,
        total: None,
        avg: None,
        max: None,
        p50: None,
        p90: None,
        p99: None,
    };
    let stats = || series.iter().map(|series| &series.stats);
    match metric.kind {
        MetricKind::Counter => reading.total = sum(stats().map(|stats| stats.total)),
        MetricKind::Gauge | MetricKind::Unknown if role == Role::KvCacheUsage => {
            let known = stats().filter(|stats| stats.avg.is_some()).count();
            reading.avg = sum(stats().map(|stats| stats.avg)).map(|sum| sum / known as f64);
            reading.max = stats().filter_map(|stats| stats.max).reduce(f64::max);
        }
        MetricKind::Gauge | MetricKind::Unknown => {
            reading.avg = sum(stats().map(|stats| stats.avg));
            reading.max = sum(stats().map(|stats| stats.max));
        }
        MetricKind::Histogram | MetricKind::Summary => {
            let count: u64 = stats().filter_map(|stats| stats.count).sum();
            reading.count = Some(count);
            reading.total = sum(stats().map(|stats| stats.sum));
            reading.avg = reading.total.filter(|_| count > 0).map(|total| total / count as f64);
            [reading.p50, reading.p90, reading.p99] = percentiles(series, reading.total, count);
        }
    }
    reading
}

/// Percentiles of one series, or of the merged buckets of several.
fn percentiles(series: &[&SeriesStatistics], total: Option<f64>, count: u64) -> [Option<f64>; 3] {
    let mut observed = series.iter().filter(|series| series.stats.count.is_some_and(|count| count > 0));
    let (first, second) = (observed.next(), observed.next());
    if let (Some(only), None) = (first, second) {
        return [only.stats.p50_estimate, only.stats.p90_estimate, only.stats.p99_estimate];
    }
    merged(series, total, count).map_or([None; 3], |p| [Some(p[4]), Some(p[6]), Some(p[8])])
}

fn merged(series: &[&SeriesStatistics], total: Option<f64>, count: u64) -> Option<[f64; 9]> {
    let bounds: Vec<Arc<str>> =
        series.first()?.buckets.as_ref()?.0.iter().map(|(le, _)| Arc::clone(le)).collect();
    let mut cumulative = vec![0.0; bounds.len()];
    for series in series {
        let buckets = &series.buckets.as_ref()?.0;
        if !buckets.iter().map(|(le, _)| le).eq(&bounds) {
            return None;
        }
        for (sum, (_, count)) in cumulative.iter_mut().zip(buckets) {
            *sum += *count as f64;
        }
    }
    estimate::percentiles(&finite_bounds(&bounds)?, &cumulative, &Learned::default(), total?, count as f64)
}

#[cfg(test)]
mod tests;
