//! One finished request, any outcome: a line of `profile_export.jsonl`.

use serde::{Deserialize, Serialize};

use crate::error::RequestError;
use crate::metric::Metrics;
use crate::time::WallNs;
use crate::trace::TraceData;

/// The part of a run a request belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BenchmarkPhase {
    /// Before the measurement; never mixed into results.
    Warmup,
    /// The measurement.
    #[default]
    Profiling,
}

impl BenchmarkPhase {
    /// The name used in files.
    pub fn as_str(self) -> &'static str {
        match self {
            BenchmarkPhase::Warmup => "warmup",
            BenchmarkPhase::Profiling => "profiling",
        }
    }
}

/// Who, when and where: the `metadata` object of a record line (FORMATS 2.1).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Metadata {
    /// Number of the request within its phase, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_num: Option<u64>,
    /// Sent as `X-Request-ID`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub x_request_id: Option<String>,
    /// Sent as `X-Correlation-ID`: the same for all turns of one session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub x_correlation_id: Option<String>,
    /// The dataset entry: `session_id` of `inputs.json`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation_id: Option<String>,
    /// Turn within the session, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn_index: Option<u32>,
    /// When the schedule wanted the request sent (`intended`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credit_issued_ns: Option<WallNs>,
    /// When the request began (`start`), before it asked for a connection.
    pub request_start_ns: WallNs,
    /// When the headers of a 2xx answer were complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_ack_ns: Option<WallNs>,
    /// Arrival of the last response message; the moment of failure otherwise.
    pub request_end_ns: WallNs,
    /// The shard that sent it.
    pub worker_id: String,
    /// The decode thread that read it.
    pub record_processor_id: String,
    /// Warmup or profiling.
    pub benchmark_phase: BenchmarkPhase,
    /// Position of the phase in the run, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase_index: Option<u32>,
    /// Position among the profiling phases; absent for warmup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profiling_index: Option<u32>,
    /// Name of the phase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase_name: Option<String>,
    /// Kind of the phase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase_kind: Option<String>,
    /// Whether the request was cancelled on purpose.
    #[serde(default)]
    pub was_cancelled: bool,
    /// When it was cancelled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancellation_time_ns: Option<WallNs>,
    /// Always false here; AIPerf's agentic replay uses it.
    #[serde(default)]
    pub context_overflow_skip: bool,
    /// Always 0 here; AIPerf's agentic replay uses it.
    #[serde(default)]
    pub agent_depth: u32,
    /// Equals `x_correlation_id` in plain runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root_correlation_id: Option<String>,
}

/// One finished request: success, failure or cancellation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RequestRecord {
    /// Who, when and where.
    pub metadata: Metadata,
    /// What was measured. A failed request has `error_isl` only.
    #[serde(default)]
    pub metrics: Metrics,
    /// Instants, headers and connection, with `--export-http-trace`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_data: Option<TraceData>,
    /// Why it failed; absent for a success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<RequestError>,
}

impl RequestRecord {
    /// Whether the request succeeded.
    pub fn is_success(&self) -> bool {
        self.error.is_none()
    }
}
