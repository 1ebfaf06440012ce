//! The binary as users run it: against the simulated server, whose log is the judge.

mod conservation;
mod documents;
mod faults;
mod flags;
mod gates;
mod injection;
mod interrupt;
mod parquet;
mod run;
mod secrets;
mod tax;
mod trace;
mod verdict;
