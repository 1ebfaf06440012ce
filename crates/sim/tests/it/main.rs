//! The simulator seen through raw sockets: what is on the wire, when, and whether log and metrics
//! tell the truth about it.

mod client;
mod framing;
