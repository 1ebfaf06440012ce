//! Below HTTP: the socket whose every read and write is stamped, with or without TLS on it.

pub(crate) mod kernel;
mod link;
mod realtime;
mod wire;

pub(crate) use link::{Link, Socket};
pub(crate) use realtime::RealtimeLine;
pub(crate) use wire::{ReadTotals, Watch, Wire};
