//! Traced HTTP transport: DNS, TCP, TLS, pool, HTTP/1.1 and 2, server-sent events; every byte stamped.
//!
//! One [`Request`] goes in, one [`Exchange`] comes out, whatever happened: the raw instants, the raw bytes
//! with the stamp of the read that held them, and the failure as data.

mod bound;
mod client;
pub mod clock;
mod config;
mod dial;
mod dns;
mod draft;
pub mod exchange;
mod failure;
mod fetch;
mod h1;
mod h2;
mod io;
mod origin;
pub mod os;
mod payload;
mod pool;
pub mod sse;
mod stats;
mod tls;

pub use client::Client;
pub use config::{
    ClientConfig, ConfigError, ConnectTo, HttpVersion, Limits, Proxy, ResolveOverride, ReuseStrategy,
    TimestampSource, TlsOptions,
};
pub use exchange::{Exchange, Origin, Request, ResponseHead, StampedBody, TransportError};
pub use fetch::{FetchResult, Fetcher, FetcherError};
pub use origin::{Target, UrlError};
pub use stats::{ClientStats, ReceiveLag};
