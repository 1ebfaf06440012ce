//! Inside an LLM gateway: a stage tracker, Prometheus metrics with bounded labels, a tower layer and a measuring
//! reverse proxy.

pub mod catalogue;
pub mod metrics;

pub use catalogue::{Kind, Metric, MetricSpec, Source, Unit, catalogue};
pub use metrics::{Bounds, Format, Metrics};
