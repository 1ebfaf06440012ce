//! What an analysis found: every section of seed 001 as typed figures. Serialised, it is the `--json` output.
//!
//! Durations are in ms and sizes in bytes (`unit` says so in each summary); a figure that has no value in this data
//! is absent.

use serde::Serialize;
use serde_json::Value;

use crate::analysis::distribution::Summary;
use crate::analysis::insights::Insight;
use crate::analysis::tail::TailReport;
use crate::analysis::text::Section;

/// A line that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct BadLine {
    /// The file, as it was named.
    pub source: String,
    /// Line number, from 1.
    pub line: u64,
    /// Why, with the column.
    pub reason: String,
}

/// What became of the lines of all inputs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LineCounts {
    /// Lines that were read as records, whether or not they entered the figures.
    pub records: u64,
    /// Empty lines, skipped.
    pub blank: u64,
    /// Lines that could not be read.
    pub bad: u64,
    /// The first of the bad ones.
    pub bad_lines: Vec<BadLine>,
}

/// OVERVIEW.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Overview {
    /// Records that entered the analysis.
    pub total_records: u64,
    /// Warmup records, which are left out unless asked for.
    pub warmup_left_out: u64,
    /// Records that the filter left out.
    pub filtered_out: u64,
    /// Records with `trace_data`.
    pub traced_records: u64,
    /// Records without `trace_data` whose phases come from their `http_req_*` metrics.
    pub phase_metric_records: u64,
    /// Records with more than one response chunk.
    pub streaming: u64,
    /// Records with exactly one response chunk.
    pub non_streaming: u64,
    /// Failed records among those with phases.
    pub failed: u64,
}

impl Overview {
    /// Records that enter the sections below the overview.
    pub fn phased_records(&self) -> u64 {
        self.traced_records + self.phase_metric_records
    }
}

/// The HTTP phases, as k6 and HAR name them.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Phases {
    /// Sending plus waiting plus receiving.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<Summary>,
    /// Waiting for a connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocked: Option<Summary>,
    /// Resolving the name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns_lookup: Option<Summary>,
    /// TCP plus TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connecting: Option<Summary>,
    /// The three above together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_overhead: Option<Summary>,
    /// Writing the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sending: Option<Summary>,
    /// Send end to first body byte.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting: Option<Summary>,
    /// First to last body byte.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receiving: Option<Summary>,
    /// All phases together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<Summary>,
}

/// CONNECTION STATISTICS.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Connections {
    /// Records that dialled a connection.
    pub created: u64,
    /// Records that took a kept-alive one.
    pub reused: u64,
    /// `100 * reused / (created + reused)`, %.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reuse_rate_pct: Option<f64>,
    /// Connect durations and pool waits in one list, as the original tool has them; zeros left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub establishment: Option<Summary>,
    /// TCP plus TLS of new connections alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connecting: Option<Summary>,
    /// Pool waits alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_wait: Option<Summary>,
}

/// DNS STATISTICS.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Dns {
    /// Records that looked a name up.
    pub resolutions: u64,
    /// Records whose name was in the cache.
    pub cache_hits: u64,
    /// `100 * hits / (hits + resolutions)`, %.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hit_rate_pct: Option<f64>,
    /// Duration of the lookups.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolution_time: Option<Summary>,
}

/// Where the gaps between chunks come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GapSource {
    /// Instants of the reads in `response_chunks`.
    ResponseChunks,
    /// The metric `inter_chunk_latency` (content events), because the chunk arrays are empty.
    InterChunkLatencyMetric,
    /// Both kinds occur among the records.
    Mixed,
}

/// STREAMING STATISTICS.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Streaming {
    /// Response chunks of each streaming record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chunks_per_request: Option<Summary>,
    /// Gaps between consecutive chunks of one record, zeros left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inter_chunk_latency: Option<Summary>,
    /// Where those gaps come from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gap_source: Option<GapSource>,
    /// Gaps of zero: chunks or events that one read delivered together.
    pub coalesced: u64,
    /// Size of every chunk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chunk_size: Option<Summary>,
    /// Mean chunk size of each response, when single chunks are not recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub average_chunk_size: Option<Summary>,
}

/// BANDWIDTH.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Bandwidth {
    /// Body bytes sent for each record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_size: Option<Summary>,
    /// Body bytes received for each record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_size: Option<Summary>,
}

/// TOKEN ANALYTICS.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Tokens {
    /// Input tokens of each record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<Summary>,
    /// Output tokens of each record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<Summary>,
    /// Output tokens per second of TTLB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub throughput: Option<Summary>,
    /// TTLB per output token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_per_token: Option<Summary>,
    /// Response bytes per output token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_per_token: Option<Summary>,
    /// Response chunks per output token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chunks_per_token: Option<Summary>,
}

/// TOKEN-TO-RESPONSE CORRELATION.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Correlation {
    /// Mean of the records' own rates.
    pub avg_tokens_per_second: f64,
    /// Mean time per token, ms.
    pub avg_time_per_token_ms: f64,
    /// Mean output tokens.
    pub avg_output_tokens: f64,
    /// Mean gap, ms.
    pub avg_inter_chunk_latency_ms: f64,
    /// Mean chunks per token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avg_chunks_per_token: Option<f64>,
    /// Its reciprocal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avg_tokens_per_chunk: Option<f64>,
    /// Mean bytes per token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avg_bytes_per_token: Option<f64>,
    /// Bytes of all responses.
    pub total_response_bytes: f64,
    /// Output tokens of all records.
    pub total_output_tokens: f64,
    /// The one over the other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overall_bytes_per_token: Option<f64>,
}

/// NETWORK EFFICIENCY INSIGHTS.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NetworkEfficiency {
    /// Mean TTFB, ms.
    pub server_processing_ms: f64,
    /// Mean of TTLB minus TTFB, ms.
    pub network_transfer_ms: f64,
    /// Transfer over processing.
    pub transfer_ratio: f64,
}

/// METRIC VALIDATION: do metrics and trace tell the same story?
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Validation {
    /// Mean relative difference of `request_latency` and the trace, %.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_difference_pct: Option<f64>,
    /// Mean relative difference of `time_to_first_token` and the trace's first body byte, both from the start, %.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttft_difference_pct: Option<f64>,
}

/// Everything an analysis found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The inputs, as they were named.
    pub sources: Vec<String>,
    /// What became of their lines.
    pub lines: LineCounts,
    /// OVERVIEW.
    pub overview: Overview,
    /// HTTP REQUEST PHASES.
    pub phases: Phases,
    /// CONNECTION STATISTICS.
    pub connections: Connections,
    /// DNS STATISTICS.
    pub dns: Dns,
    /// REQUEST SEND TIME.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_send: Option<Summary>,
    /// RESPONSE TIMING - TTFB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttfb: Option<Summary>,
    /// RESPONSE TIMING - TTLB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttlb: Option<Summary>,
    /// STREAMING STATISTICS.
    pub streaming: Streaming,
    /// BANDWIDTH.
    pub bandwidth: Bandwidth,
    /// TOKEN ANALYTICS.
    pub tokens: Tokens,
    /// TOKEN-TO-RESPONSE CORRELATION; only when there are output tokens, TTFB and gaps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correlation: Option<Correlation>,
    /// NETWORK EFFICIENCY INSIGHTS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_efficiency: Option<NetworkEfficiency>,
    /// METRIC VALIDATION.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation: Option<Validation>,
    /// KEY INSIGHTS.
    pub insights: Vec<Insight>,
    /// SLOWEST REQUESTS, when asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slowest: Option<TailReport>,
    /// What a reader has to know about these figures.
    pub notes: Vec<String>,
}

impl Report {
    /// The report as JSON with the given sections only; all when `only` is empty. Sources, lines and notes stay.
    pub fn selected(&self, only: &[Section]) -> Value {
        let mut value = serde_json::to_value(self).unwrap_or(Value::Null);
        if let (Value::Object(parts), false) = (&mut value, only.is_empty()) {
            parts.retain(|key, _| match Section::ALL.iter().find(|section| section.key() == key) {
                Some(section) => only.contains(section),
                None => true,
            });
        }
        value
    }
}
