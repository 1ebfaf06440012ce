//! The files of a run: one module for each format.

pub mod inputs;
mod json_text;
pub mod names;
pub mod outputs;
pub mod raw;
pub mod records;
pub mod server_csv;
pub mod server_json;
pub mod server_jsonl;
pub mod server_parquet;
mod timestamp;

pub use timestamp::{local_time, utc_time};

/// The AIPerf release whose file formats ours follow: `aiperf_version` in files, which its readers expect.
pub const AIPERF_VERSION: &str = "0.13.0";
