//! The simulator seen through raw sockets: what is on the wire, when, and whether log and metrics
//! tell the truth about it.

mod capacity;
mod client;
mod conservation;
mod faults;
mod framing;
mod http1;
mod http2;
mod metrics;
mod shapes;
mod timing;
