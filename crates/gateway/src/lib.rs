//! Inside an LLM gateway: a stage tracker, Prometheus metrics with bounded labels, a tower layer and a measuring
//! reverse proxy.

pub mod catalogue;
mod layer;
pub mod metrics;
mod outcome;
pub mod proxy;
mod reading;
mod tracker;

pub use catalogue::{Kind, Metric, MetricSpec, Source, Unit, catalogue};
pub use layer::{Measure, MeasureFuture, MeasureLayer, MeasuredBody};
pub use metrics::{Bounds, Format, Metrics};
pub use outcome::Outcome;
pub use proxy::{Gateway, GatewayConfig};
pub use tracker::{
    BackendGuard, DurationGuard, Finished, PerformanceTracker, RequestStages, StageGuard, StreamGuard,
    TraceId, Usage, track_duration, track_request_stages,
};
