//! The binary as users run it: against the simulated server, whose log is the judge.

mod asked;
mod conservation;
mod documents;
mod flags;
mod interrupt;
mod readiness;
mod run;
mod secrets;
mod several_runs;
