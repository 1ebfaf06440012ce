//! Every metric of the gateway, in one table: what registers, what `/metrics` shows and what dashboards, rules and
//! documents are made from.
//!
//! Sources: "seed" is the Performance Monitoring page of the gateway this crate continues, "OTel" the GenAI semantic
//! conventions with their names in Prometheus spelling (dots become underscores, the unit becomes a suffix).

/// What kind of metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Only grows. Its name ends in `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts of observations by upper bound, with their sum.
    Histogram,
}

impl Kind {
    /// The word of the exposition formats.
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        }
    }
}

/// What one unit of a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unit {
    /// Seconds.
    Seconds,
    /// Tokens.
    Tokens,
    /// Percent, 0 to 100.
    Percent,
    /// A number of things.
    Count,
}

/// Where the definition comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// The seed's page: names, labels and buckets are its own.
    Seed,
    /// The code of the seed's gateway, where its page is silent.
    SeedCode,
    /// OpenTelemetry GenAI semantic conventions.
    OpenTelemetry,
    /// This gateway.
    Tokmeter,
}

/// One metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MetricSpec {
    /// Name of the family as a query writes it, without `_bucket`, `_sum` and `_count`.
    pub name: &'static str,
    /// Kind.
    pub kind: Kind,
    /// Unit.
    pub unit: Unit,
    /// One sentence for `# HELP`.
    pub help: &'static str,
    /// Label names, in order.
    pub labels: &'static [&'static str],
    /// Upper bounds of a histogram in its unit, ascending, without `+Inf`; empty for other kinds.
    pub buckets: &'static [f64],
    /// Where it is defined.
    pub source: Source,
}

/// A metric of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "each is documented by its row of the table")]
pub enum Metric {
    BackendTtfb,
    StreamingDuration,
    FrontendProcessing,
    RequestStageDuration,
    StagePercentage,
    TimeToFirstChunk,
    GenAiRequestDuration,
    GenAiTimeToFirstToken,
    GenAiTimePerOutputToken,
    GenAiTokenUsage,
    Overhead,
    ClientWait,
    OperationDuration,
    Requests,
    Tokens,
    InFlight,
    Connections,
    ConnectionsRefused,
    LabelOverflow,
}

impl Metric {
    /// Its row.
    pub fn spec(self) -> &'static MetricSpec {
        &CATALOGUE[self as usize].1
    }
}

/// All metrics, in the order of `/metrics`.
pub fn catalogue() -> impl ExactSizeIterator<Item = &'static MetricSpec> {
    CATALOGUE.iter().map(|(_, spec)| spec)
}

/// The metric of a name.
pub fn find(name: &str) -> Option<&'static MetricSpec> {
    catalogue().find(|spec| spec.name == name)
}

/// Values of the label `stage` of `request_stage_duration_seconds`: the five of the seed, and the wait for the
/// client's request body, which the seed cannot see. They do not overlap.
pub const STAGES: [&str; 6] = [
    "request_parsing",
    "auth_validation",
    "request_preparation",
    "backend_fetch",
    "stream_processing",
    "request_body_receive",
];

/// The stages that make up `frontend_processing` (seed).
pub const FRONTEND_STAGES: [&str; 3] = ["request_parsing", "auth_validation", "request_preparation"];

/// Values of the label `stage` of `stage_percentage` (seed).
pub const SHARES: [&str; 3] = ["frontend_processing", "backend_response", "stream_processing"];

/// Label value for whatever is not known.
pub const OTHER: &str = "other";

const TTFB: &[f64] = &[0.1, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 5.0, 10.0];
const FRONTEND: &[f64] = &[0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5];
const STAGE: &[f64] = &[0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0];
const FIRST_CHUNK: &[f64] = &[0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 8.0, 10.0, 15.0];
/// OTel's bounds for durations, and three more for answers of minutes.
const OTEL_DURATION: &[f64] = &[
    0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92, 163.84, 327.68,
    655.36,
];
/// OTel's bounds for the first token, and three more up to a minute.
const OTEL_FIRST_TOKEN: &[f64] = &[
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0,
    60.0,
];
const OTEL_PER_TOKEN: &[f64] = &[0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5];
const OTEL_TOKENS: &[f64] = &[
    1.0, 4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0, 16384.0, 65536.0, 262144.0, 1048576.0, 4194304.0,
    16777216.0, 67108864.0,
];
/// Fine where a gateway lives, with the seed's norm of 3 ms as a bound.
const OVERHEAD: &[f64] = &[
    0.000025, 0.00005, 0.0001, 0.0002, 0.0003, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.025, 0.05, 0.1,
    0.25, 1.0, 5.0,
];
const WAIT: &[f64] = &[0.001, 0.01, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0];

const BY_BACKEND: &[&str] = &["provider", "model", "endpoint"];
const GEN_AI: &[&str] = &["gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model"];

static CATALOGUE: [(Metric, MetricSpec); 19] = [
    (
        Metric::BackendTtfb,
        MetricSpec {
            name: "backend_ttfb_seconds",
            kind: Kind::Histogram,
            unit: Unit::Seconds,
            help: "Time from the start of the upstream request to the first byte of its response body",
            labels: BY_BACKEND,
            buckets: TTFB,
            source: Source::Seed,
        },
    ),
    (
        Metric::StreamingDuration,
        MetricSpec {
            name: "streaming_duration_seconds",
            kind: Kind::Histogram,
            unit: Unit::Seconds,
            help: "Time from the first to the last byte of a streamed response body",
            labels: BY_BACKEND,
            buckets: TTFB,
            source: Source::Seed,
        },
    ),
    (
        Metric::FrontendProcessing,
        MetricSpec {
            name: "frontend_processing_seconds",
            kind: Kind::Histogram,
            unit: Unit::Seconds,
            help: "Time in the gateway before the upstream request: parsing, authentication and preparation",
            labels: &["endpoint"],
            buckets: FRONTEND,
            source: Source::Seed,
        },
    ),
    (
        Metric::RequestStageDuration,
        MetricSpec {
            name: "request_stage_duration_seconds",
            kind: Kind::Histogram,
            unit: Unit::Seconds,
            help: "Time in each stage of a request",
            labels: &["stage", "endpoint"],
            buckets: STAGE,
            source: Source::SeedCode,
        },
    ),
    (
        Metric::StagePercentage,
        MetricSpec {
            name: "stage_percentage",
            kind: Kind::Gauge,
            unit: Unit::Percent,
            help: "Share of a request's time by stage, a moving mean over about the last 64 requests",
            labels: &["stage", "endpoint"],
            buckets: &[],
            source: Source::Seed,
        },
    ),
    (
        Metric::TimeToFirstChunk,
        MetricSpec {
            name: "time_to_first_chunk_seconds",
            kind: Kind::Histogram,
            unit: Unit::Seconds,
            help: "Time from the arrival of a streaming request to the first byte of the response body",
            labels: &["provider", "model"],
            buckets: FIRST_CHUNK,
            source: Source::SeedCode,
        },
    ),
    (
        Metric::GenAiRequestDuration,
        MetricSpec {
            name: "gen_ai_server_request_duration_seconds",
            kind: Kind::Histogram,
            unit: Unit::Seconds,
            help: "Time from the arrival of a request to the last byte of its response, whatever its outcome",
            labels: &["gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model", "error_type"],
            buckets: OTEL_DURATION,
            source: Source::OpenTelemetry,
        },
    ),
    (
        Metric::GenAiTimeToFirstToken,
        MetricSpec {
            name: "gen_ai_server_time_to_first_token_seconds",
            kind: Kind::Histogram,
            unit: Unit::Seconds,
            help: "Time from the arrival of a streaming request to its first token: content, reasoning or tool call",
            labels: GEN_AI,
            buckets: OTEL_FIRST_TOKEN,
            source: Source::OpenTelemetry,
        },
    ),
    (
        Metric::GenAiTimePerOutputToken,
        MetricSpec {
            name: "gen_ai_server_time_per_output_token_seconds",
            kind: Kind::Histogram,
            unit: Unit::Seconds,
            help: "Time per output token after the first, for complete streams",
            labels: GEN_AI,
            buckets: OTEL_PER_TOKEN,
            source: Source::OpenTelemetry,
        },
    ),
    (
        Metric::GenAiTokenUsage,
        MetricSpec {
            name: "gen_ai_client_token_usage",
            kind: Kind::Histogram,
            unit: Unit::Tokens,
            help: "Tokens of a request as the upstream's usage counts them",
            labels: &[
                "gen_ai_operation_name",
                "gen_ai_provider_name",
                "gen_ai_request_model",
                "gen_ai_token_type",
            ],
            buckets: OTEL_TOKENS,
            source: Source::OpenTelemetry,
        },
    ),
    (
        Metric::Overhead,
        MetricSpec {
            name: "gateway_overhead_seconds",
            kind: Kind::Histogram,
            unit: Unit::Seconds,
            help: "Time of a request outside the union of its upstream intervals",
            labels: &["endpoint"],
            buckets: OVERHEAD,
            source: Source::Tokmeter,
        },
    ),
    (
        Metric::ClientWait,
        MetricSpec {
            name: "gateway_client_wait_seconds",
            kind: Kind::Histogram,
            unit: Unit::Seconds,
            help: "Time a response waited for its client to take bytes that were ready",
            labels: &["endpoint"],
            buckets: WAIT,
            source: Source::Tokmeter,
        },
    ),
    (
        Metric::OperationDuration,
        MetricSpec {
            name: "operation_duration_seconds",
            kind: Kind::Histogram,
            unit: Unit::Seconds,
            help: "Time of an operation of the embedding program, timed with track_duration",
            labels: &["operation"],
            buckets: STAGE,
            source: Source::Seed,
        },
    ),
    (
        Metric::Requests,
        MetricSpec {
            name: "gateway_requests_total",
            kind: Kind::Counter,
            unit: Unit::Count,
            help: "Finished requests by outcome",
            labels: &["provider", "model", "endpoint", "outcome", "status_class"],
            buckets: &[],
            source: Source::Tokmeter,
        },
    ),
    (
        Metric::Tokens,
        MetricSpec {
            name: "gateway_tokens_total",
            kind: Kind::Counter,
            unit: Unit::Tokens,
            help: "Tokens as the upstreams' usage counts them, of type input, output, cached_input or reasoning",
            labels: &["provider", "model", "token_type"],
            buckets: &[],
            source: Source::Tokmeter,
        },
    ),
    (
        Metric::InFlight,
        MetricSpec {
            name: "gateway_requests_in_flight",
            kind: Kind::Gauge,
            unit: Unit::Count,
            help: "Requests that have arrived and whose response is not complete",
            labels: &["endpoint"],
            buckets: &[],
            source: Source::Tokmeter,
        },
    ),
    (
        Metric::Connections,
        MetricSpec {
            name: "gateway_client_connections",
            kind: Kind::Gauge,
            unit: Unit::Count,
            help: "Open connections of clients",
            labels: &[],
            buckets: &[],
            source: Source::Tokmeter,
        },
    ),
    (
        Metric::ConnectionsRefused,
        MetricSpec {
            name: "gateway_client_connections_refused_total",
            kind: Kind::Counter,
            unit: Unit::Count,
            help: "Connections closed at once because the limit of connections was reached",
            labels: &[],
            buckets: &[],
            source: Source::Tokmeter,
        },
    ),
    (
        Metric::LabelOverflow,
        MetricSpec {
            name: "gateway_label_overflow_total",
            kind: Kind::Counter,
            unit: Unit::Count,
            help: "Values that were counted as other because they are not among the known ones, by label",
            labels: &["label"],
            buckets: &[],
            source: Source::Tokmeter,
        },
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_finds_its_own_row() {
        for (index, (metric, spec)) in CATALOGUE.iter().enumerate() {
            assert_eq!(*metric as usize, index, "{} is out of order", spec.name);
            assert_eq!(find(spec.name), Some(metric.spec()));
        }
    }

    #[test]
    fn names_are_what_the_kind_and_the_unit_ask_for() {
        for spec in catalogue() {
            assert_eq!(spec.kind == Kind::Counter, spec.name.ends_with("_total"), "{}", spec.name);
            assert_eq!(spec.unit == Unit::Seconds, spec.name.ends_with("_seconds"), "{}", spec.name);
            assert_eq!(spec.kind == Kind::Histogram, !spec.buckets.is_empty(), "{}", spec.name);
            assert!(spec.buckets.is_sorted_by(|a, b| a < b), "{}", spec.name);
            assert!(!spec.help.is_empty() && !spec.help.ends_with('.'), "{}", spec.name);
        }
    }

    #[test]
    fn the_seed_is_kept_to_the_letter() {
        let by_backend: &[&str] = &["provider", "model", "endpoint"];
        let wide: &[f64] = &[0.1, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 5.0, 10.0];
        let narrow: &[f64] = &[0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5];
        for (name, labels, buckets) in [
            ("backend_ttfb_seconds", by_backend, Some(wide)),
            ("streaming_duration_seconds", by_backend, Some(wide)),
            ("frontend_processing_seconds", &["endpoint"], Some(narrow)),
            ("request_stage_duration_seconds", &["stage", "endpoint"], None),
            ("stage_percentage", &["stage", "endpoint"], Some(&[])),
        ] {
            let spec = find(name).unwrap();
            assert_eq!(spec.labels, labels, "{name}");
            if let Some(buckets) = buckets {
                assert_eq!(spec.buckets, buckets, "{name}");
            }
        }
    }
}
