//! The binary as users run it: against the simulated server, whose log is the judge.

mod conservation;
mod documents;
mod faults;
mod flags;
mod gateway;
mod injection;
mod interrupt;
mod run;
mod scrape;
mod secrets;
mod side_by_side;
mod tax;
mod trace;
mod verdict;
