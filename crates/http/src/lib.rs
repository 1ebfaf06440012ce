//! Traced HTTP transport: DNS, TCP, TLS, pool, HTTP/1.1 and 2, server-sent events; every byte stamped.
//!
//! One [`exchange::Request`] goes in, one [`exchange::Exchange`] comes out, whatever happened: the raw
//! instants, the raw bytes with the stamp of the read that held them, and the failure as data.

pub mod clock;
pub mod exchange;
pub mod sse;
