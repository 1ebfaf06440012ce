//! Server metrics: reading Prometheus pages, keeping what they said, and computing statistics by type.
//!
//! ```text
//! bytes -> exposition::Page -> readings -> series::Store -> Summary -> server_metrics_export.{json,csv}
//!                                      \-> server_metrics_export.jsonl        \-> ...parquet
//! ```
//! Everything here takes bytes and time stamps; who fetches pages, and when, is not known here.

pub mod comparison;
mod counter;
pub mod estimate;
pub mod exposition;
mod gauge;
mod histogram;
pub mod known;
mod percentile;
pub mod phase;
pub mod reading;
pub mod series;
pub mod slice;
pub mod statistics;
pub mod telemetry;
pub mod unit;

pub use exposition::{Media, NotExposition, Page};
pub use percentile::PERCENTILES;
pub use phase::{PhaseMark, Window};
pub use reading::{MetricKind, Readings};
pub use series::{EndpointId, FetchInstants, Store, StoreLimits, without_credentials};
pub use statistics::{MetricStatistics, SeriesStatistics, Stats};
