//! The binary as users run it: against the simulated server, whose log is the judge.

mod asked;
mod calibrate;
mod check;
mod conservation;
mod documents;
mod faults;
mod flags;
mod gates;
mod gateway;
mod injection;
mod interrupt;
mod launch;
mod memory;
mod parquet;
mod ranks;
mod readiness;
mod run;
mod scrape;
mod secrets;
mod several_runs;
mod side_by_side;
mod tax;
mod trace;
mod verdict;
