//! The binary as users run it: against the simulated server, whose log is the judge.

mod conservation;
mod documents;
mod flags;
mod interrupt;
mod run;
mod secrets;
mod verdict;
mod trace;
mod tax;
