//! The transport against real sockets: raw listeners that do exactly what a test says, and the simulator.

mod faults;
mod instants;
mod raw;
mod reuse;
mod route;
mod tls;
mod two;
