//! A run: dataset, schedule, shards, records; and the server-metrics collector.
//!
//! The engine never prints. It emits records and events; writers, console and screens subscribe.

mod choice;
pub mod dataset;
pub mod endpoint;
pub mod schedule;
pub mod seed;
pub mod tokenizer;
