//! The proxy from outside: raw clients on one side, the simulated server or a scripted one on the other.

mod limits;
mod outcomes;
mod passing;
mod record;
mod running;
