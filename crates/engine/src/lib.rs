//! A run: dataset, schedule, shards, records; and the server-metrics collector.
//!
//! The engine never prints. It emits records and counters; writers, console and screens read them.

mod choice;
pub mod collect;
pub mod dataset;
mod decode;
pub mod delivery;
pub mod endpoint;
pub mod feed;
mod handover;
pub mod health;
pub mod live;
pub mod notes;
pub mod plan;
pub mod readiness;
pub mod request;
pub mod run;
pub mod schedule;
pub mod secret;
pub mod seed;
pub mod server_metrics;
mod shard;
pub mod sink;
pub mod slots;
pub mod tax;
pub mod tokenizer;
pub mod truth;

pub use collect::{CollectorError, RecordSink};
pub use decode::TokenSource;
pub use live::{Live, LiveCounts};
pub use run::{RunConfig, RunControl, RunError, RunOutcome, run};
