//! The binary as users run it: against the simulated server, whose log is the judge.

mod conservation;
mod documents;
mod flags;
mod gateway;
mod interrupt;
mod run;
mod secrets;
