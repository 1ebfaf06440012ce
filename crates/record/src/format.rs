//! The files of a run: one module for each format.

pub mod aggregate;
pub mod gpu_telemetry_jsonl;
pub mod har;
pub mod inputs;
mod json_text;
pub mod names;
pub mod outputs;
mod parquet_rows;
pub mod perfetto;
pub mod raw;
pub mod ready;
pub mod records;
pub mod records_parquet;
pub mod schema;
pub mod server_csv;
pub mod server_json;
pub mod server_jsonl;
pub mod server_parquet;
pub mod summary_csv;
pub mod summary_json;
pub mod sweep;
pub mod telemetry;
pub mod timeslices;
mod timestamp;

pub use summary_json::SummaryDocument;
pub use timestamp::{local_time, parse_instant, parse_local_time, utc_time};

/// The AIPerf release whose file formats ours follow: `aiperf_version` in files, which its readers expect.
pub const AIPERF_VERSION: &str = "0.13.0";
