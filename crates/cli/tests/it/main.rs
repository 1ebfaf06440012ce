//! The binary as users run it: against the simulated server, whose log is the judge.

mod asked;
mod conservation;
mod documents;
mod faults;
mod flags;
mod gateway;
mod injection;
mod interrupt;
mod readiness;
mod gates;
mod parquet;
mod run;
mod scrape;
mod secrets;
mod several_runs;
mod side_by_side;
mod tax;
mod trace;
mod verdict;
