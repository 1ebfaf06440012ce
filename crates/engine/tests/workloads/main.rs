//! What was asked for is what arrives: whole runs against the simulated server, judged by its log.
//!
//! Nothing here assumes a fast machine. Intended instants are compared exactly, arrivals may be late but
//! never early, and distributions are compared with wide margins against alternatives that are far away.

mod datasets;
mod harness;
mod machines;
mod prefill;
mod shapes;
