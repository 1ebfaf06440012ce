//! The binary as users run it: against the simulated server, whose log is the judge.

mod conservation;
mod documents;
mod faults;
mod flags;
mod injection;
mod interrupt;
mod run;
mod secrets;
mod tax;
mod trace;
mod verdict;
