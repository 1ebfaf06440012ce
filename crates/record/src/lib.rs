//! What a run leaves behind: record types, metric catalogue, statistics, file formats, trace analysis.
//!
//! This crate knows neither an async runtime nor HTTP nor threads. A program that only wants to read
//! tokmeter's or AIPerf's files needs nothing else.

pub mod analysis;
pub mod error;
pub mod foreign;
pub mod format;
pub mod metric;
pub mod ranks;
pub mod report;
pub mod request;
pub mod server;
pub mod statistics;
pub mod time;
pub mod trace;
pub mod verdict;

pub use error::{ErrorClass, RequestError, Side};
pub use metric::{MetricId, MetricValue, Metrics, Slos};
pub use request::{BenchmarkPhase, Metadata, RequestRecord};
pub use statistics::{MetricSet, MetricSummary, RunStatistics, RunSummary};
pub use time::{ClockAnchor, MonoNs, WallNs};
pub use trace::{Phase, Trace, TraceData};
