//! What a simulated server does: every setting, its unit and its default.

mod wire;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::distribution::Distribution;
use crate::fault::FaultRule;
pub use wire::{Connections, Flush, LineEnd, RoleChunk, Wire};

/// Everything a simulated server can be told. Deserializes from any subset of its keys.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SimConfig {
    /// Address to listen on. Port 0 takes a free one. Default `127.0.0.1:0`.
    pub bind: SocketAddr,
    /// Worker threads; connections are dealt to them in turn. Default 1.
    pub workers: usize,
    /// Served models, as `/v1/models` lists them. The first one labels the metrics.
    pub models: Vec<String>,
    /// Answer 404 to a model that is not served; otherwise any model name is taken. Default off.
    pub strict_models: bool,
    /// When set, inference requests without `Authorization: Bearer KEY` (or `x-api-key: KEY`) get
    /// 401. Never written anywhere. Default none.
    #[serde(skip_serializing)]
    pub api_key: Option<String>,
    /// Largest request body in bytes; above it the answer is 413. Default 64 MiB.
    pub max_body_bytes: usize,
    /// Seed of everything random; a request's draws depend on it and on the request's
    /// `X-Request-ID` (or its ordinal), not on timing. Default 0.
    pub seed: u64,
    /// When things are sent.
    pub timing: Timing,
    /// What is answered.
    pub output: Output,
    /// How it is put on the wire.
    pub wire: Wire,
    /// When connections end.
    pub connections: Connections,
    /// Scripted and random faults; the first rule that applies to a request wins.
    pub faults: Vec<FaultRule>,
    /// The metrics page.
    pub metrics: MetricsPage,
    /// The log of served requests.
    pub log: LogConfig,
}

impl Default for SimConfig {
    fn default() -> Self {
        Self {
            bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            workers: 1,
            models: vec!["sim-model".to_owned()],
            strict_models: false,
            api_key: None,
            max_body_bytes: 64 << 20,
            seed: 0,
            timing: Timing::default(),
            output: Output::default(),
            wire: Wire::default(),
            connections: Connections::default(),
            faults: Vec::new(),
            metrics: MetricsPage::default(),
            log: LogConfig::default(),
        }
    }
}

/// The schedule. With `t0` the instant at which the last byte of a request was read (or, with
/// `max_running`, at which the request was admitted), token `k` (from 0) is due at
/// `t0 + ttft + prefill + sum of k intervals`. Deadlines are absolute: a late token does not
/// delay the ones after it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Timing {
    /// Milliseconds from receipt to the first token. Default 0.
    pub ttft_ms: Distribution,
    /// Milliseconds from one token to the next, drawn per interval. Default 0.
    pub itl_ms: Distribution,
    /// Microseconds added to the first token for each prompt token that is not cached. Default 0.
    pub prefill_us_per_token: f64,
    /// Requests served at the same time; more wait in arrival order before their `t0`. Default
    /// no limit.
    pub max_running: Option<usize>,
    /// How much a full server slows down: intervals are multiplied by
    /// `1 + slowdown_per_running * (requests running at admission - 1)`. Default 0.
    pub slowdown_per_running: f64,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            ttft_ms: Distribution::constant(0.0),
            itl_ms: Distribution::constant(0.0),
            prefill_us_per_token: 0.0,
            max_running: None,
            slowdown_per_running: 0.0,
        }
    }
}

/// The answer's content. One token is one word ([`crate::vocabulary`]).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Output {
    /// Output tokens of a request. Default: what the request asks for.
    pub tokens: OutputTokens,
    /// Output tokens when they should follow the request and it names no maximum. Default 16.
    pub default_tokens: u32,
    /// No answer is longer than so many tokens, whatever is asked. Default 1,000,000.
    pub most_tokens: u32,
    /// Never send more than the request's `max_completion_tokens`, `max_tokens` or
    /// `max_output_tokens`. Off imitates servers that ignore one of these names. Default on.
    pub honour_max_tokens: bool,
    /// The first so many tokens are reasoning. Default 0.
    pub reasoning_tokens: u32,
    /// Name of the chat delta that carries reasoning. Default `reasoning_content`.
    pub reasoning_field: String,
    /// The last so many tokens are the arguments of one tool call. Default 0.
    pub tool_call_tokens: u32,
    /// Tokens carried by one event. Default 1.
    pub tokens_per_event: u32,
    /// When a stream reports usage. Default: when the request asks.
    pub usage: UsageReport,
    /// The finish reason comes with the last token (vLLM) instead of in an event of its own.
    /// Chat and completions only. Default off.
    pub finish_with_last_token: bool,
    /// Remembered 64-character blocks of past prompts; a request that starts with remembered
    /// blocks reports them as `cached_tokens` and does not pay their prefill. 0 turns the prefix
    /// cache and the report off. Default 0.
    pub prefix_cache_blocks: usize,
    /// Dimensions of embedding vectors. Default 8.
    pub embedding_dimensions: u32,
}

impl Default for Output {
    fn default() -> Self {
        Self {
            tokens: OutputTokens::Request,
            default_tokens: 16,
            most_tokens: 1_000_000,
            honour_max_tokens: true,
            reasoning_tokens: 0,
            reasoning_field: "reasoning_content".to_owned(),
            tool_call_tokens: 0,
            tokens_per_event: 1,
            usage: UsageReport::OnRequest,
            finish_with_last_token: false,
            prefix_cache_blocks: 0,
            embedding_dimensions: 8,
        }
    }
}

/// Where the number of output tokens comes from.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputTokens {
    /// The request's maximum, or [`Output::default_tokens`].
    Request,
    /// Drawn per request and rounded; finish reason `length` when the request's maximum cuts it.
    Drawn(Distribution),
}

/// When a chat or completions stream carries `usage`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UsageReport {
    /// In an event of its own when `stream_options.include_usage` is set; in every event with
    /// `continuous_usage_stats`.
    OnRequest,
    /// In an event of its own, always.
    Always,
    /// In the event with the finish reason, always (HF `transformers serve`).
    WithFinish,
    /// Never, even when asked (llama-cpp-python).
    Never,
}

impl UsageReport {
    /// Names on the command line.
    pub const ALL: [(&'static str, Self); 4] = [
        ("on-request", Self::OnRequest),
        ("always", Self::Always),
        ("with-finish", Self::WithFinish),
        ("never", Self::Never),
    ];
}

/// What is behind `/metrics`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MetricsPage {
    /// The page from the start. Default: vLLM-like.
    pub mode: MetricsMode,
    /// The page changes once, after a number of reads. Default never.
    pub switch: Option<MetricsSwitch>,
    /// Bytes of the page in mode `huge`. Default 100 MiB.
    pub huge_bytes: u64,
    /// Tokens that fit the simulated KV cache, the base of `kv_cache_usage_perc`. Default
    /// 1,000,000.
    pub kv_cache_tokens: u64,
}

impl Default for MetricsPage {
    fn default() -> Self {
        Self { mode: MetricsMode::Vllm, switch: None, huge_bytes: 100 << 20, kv_cache_tokens: 1_000_000 }
    }
}

/// A change of the metrics page while the server runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricsSwitch {
    /// Reads answered before the change.
    pub after_reads: u64,
    /// The page from then on.
    pub mode: MetricsMode,
}

/// A kind of metrics page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MetricsMode {
    /// Prometheus text with vLLM's names, true to what was served.
    Vllm,
    /// TensorRT-LLM: `/metrics` is a JSON list, the text is at `/prometheus/metrics`.
    PrometheusPath,
    /// A JSON object with content type `application/json`.
    Json,
    /// Bytes that are no exposition, under the exposition's content type.
    Garbage,
    /// [`MetricsPage::huge_bytes`] of valid exposition.
    Huge,
    /// Accepts the request and never answers.
    Hang,
    /// 404.
    Off,
}

impl MetricsMode {
    /// Names on the command line.
    pub const ALL: [(&'static str, Self); 7] = [
        ("vllm", Self::Vllm),
        ("prometheus-path", Self::PrometheusPath),
        ("json", Self::Json),
        ("garbage", Self::Garbage),
        ("huge", Self::Huge),
        ("hang", Self::Hang),
        ("off", Self::Off),
    ];
}

/// What is remembered about served requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// Finished requests kept in memory; older ones are dropped and counted. Default 200,000.
    pub keep_requests: usize,
    /// Keep one row per write; without it a request keeps its scalars only. Default on.
    pub writes: bool,
    /// Keep request bodies. Default off.
    pub bodies: bool,
    /// Also write every finished request to this file, one JSON object per line. Default none.
    pub file: Option<PathBuf>,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { keep_requests: 200_000, writes: true, bodies: false, file: None }
    }
}

impl SimConfig {
    /// Why this configuration cannot be served, if it cannot.
    pub fn problem(&self) -> Option<String> {
        let positive = [
            (self.workers as u64, "workers"),
            (self.models.len() as u64, "models"),
            (u64::from(self.output.tokens_per_event), "output.tokens_per_event"),
            (self.wire.events_per_chunk as u64, "wire.events_per_chunk"),
            (self.wire.chunk_bytes.unwrap_or(1) as u64, "wire.chunk_bytes"),
            (self.wire.write_bytes.unwrap_or(1) as u64, "wire.write_bytes"),
            (self.timing.max_running.unwrap_or(1) as u64, "timing.max_running"),
        ];
        if let Some((_, key)) = positive.iter().find(|(value, _)| *value == 0) {
            return Some(format!("{key} must not be zero or empty"));
        }
        let distributions = [
            Some(self.timing.ttft_ms),
            Some(self.timing.itl_ms),
            match self.output.tokens {
                OutputTokens::Request => None,
                OutputTokens::Drawn(tokens) => Some(tokens),
            },
        ];
        if let Some(problem) = distributions.iter().flatten().find_map(Distribution::problem) {
            return Some(problem);
        }
        let factors = [
            (self.timing.prefill_us_per_token, "timing.prefill_us_per_token"),
            (self.timing.slowdown_per_running, "timing.slowdown_per_running"),
        ];
        if let Some((_, key)) = factors.iter().find(|(value, _)| !value.is_finite() || *value < 0.0) {
            return Some(format!("{key} must be a number of at least zero"));
        }
        self.faults.iter().find_map(FaultRule::problem)
    }
}
