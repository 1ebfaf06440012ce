//! Inside an LLM gateway: a stage tracker, Prometheus metrics with bounded labels, a tower layer and a measuring
//! reverse proxy.

pub mod catalogue;
pub mod metrics;
mod outcome;
mod tracker;

pub use catalogue::{Kind, Metric, MetricSpec, Source, Unit, catalogue};
pub use metrics::{Bounds, Format, Metrics};
pub use outcome::Outcome;
pub use tracker::{
    BackendGuard, DurationGuard, PerformanceTracker, RequestStages, StageGuard, StreamGuard, TraceId, Usage,
    track_duration, track_request_stages,
};
