//! A scripted LLM server: OpenAI- and Anthropic-style APIs with an exact schedule, faults on
//! request, a live `/metrics` page, and a log of what was sent and when.
//!
//! It is the server of `tokmeter demo` and the truth in tests and benches: a client's numbers are
//! compared with [`RequestLog`], never with an assumed speed of the machine.
//!
//! One token is one whitespace-separated word, in prompts and in answers ([`vocabulary`]); every
//! answer has one choice, whatever `n` and however many prompts. A request may name its own fault
//! with the header `X-Sim-Script: FAULT` ([`Fault`]; `none` switches configured faults off).
//!
//! ```
//! use tokmeter_sim::{Distribution, Sim, SimConfig};
//!
//! let mut config = SimConfig::default();
//! config.timing.ttft_ms = Distribution::constant(50.0);
//! config.timing.itl_ms = Distribution::constant(10.0);
//! let sim = Sim::start(config)?;
//! let url = sim.url(); // run a client against it
//! assert!(url.starts_with("http://127.0.0.1:"));
//! let served = sim.stop()?;
//! assert!(served.requests.is_empty());
//! # Ok::<(), tokmeter_sim::SimError>(())
//! ```

mod admission;
mod api;
mod clock;
mod config;
mod connection;
mod distribution;
mod error_body;
mod events;
mod fault;
mod intake;
mod log;
mod metrics;
mod pages;
mod payload;
mod plan;
mod prefix_cache;
mod script;
mod server;
mod timer;
pub mod vocabulary;
mod wire;

pub use clock::{mono_ns, wall_ns};
pub use config::{
    Connections, Flush, LineEnd, LogConfig, MetricsMode, MetricsPage, MetricsSwitch, Output, OutputTokens,
    RoleChunk, SimConfig, Timing, UsageReport, Wire,
};
pub use distribution::Distribution;
pub use error_body::Engine;
pub use fault::{Fault, FaultRule};
pub use log::{Outcome, RequestLog, WriteLog, read_log_file};
pub use server::{Counters, RunningSim, Served, Sim, SimError};
