//! What can be typed. One file for each command.

pub mod analyze;
pub mod check;
pub mod compare;
pub mod config;
pub mod convert;
pub mod demo;
pub mod gate;
pub mod gateway;
pub mod launch;
mod load;
pub mod memory;
pub mod merge;
mod multi_run;
mod network;
mod output;
pub mod page_limits;
pub mod profile;
pub mod ranks;
mod readiness;
pub mod recover;
pub mod report;
pub mod schema;
pub mod scrape;
mod service;
pub mod sim;
mod slo;
pub mod swept;
pub mod tax;
pub mod verdict;

use clap::{Parser, Subcommand};

/// Measure LLM inference: profile a server, analyze a run, watch a gateway.
#[derive(Debug, Parser)]
#[command(name = "tokmeter", version, propagate_version = true, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    Profile(Box<profile::ProfileArgs>),
    Demo(Box<demo::DemoArgs>),
    Check(Box<check::CheckArgs>),
    Analyze(analyze::AnalyzeArgs),
    Scrape(Box<scrape::ScrapeArgs>),
    Compare(compare::CompareArgs),
    Gate(gate::GateArgs),
    Report(report::ReportArgs),
    Recover(recover::RecoverArgs),
    Merge(merge::MergeArgs),
    Launch(launch::LaunchArgs),
    Convert(convert::ConvertArgs),
    Schema(schema::SchemaArgs),
    Sim(Box<sim::SimArgs>),
    Tax(Box<tax::TaxArgs>),
    Gateway(Box<gateway::GatewayArgs>),
    Config(config::ConfigArgs),
    Completions(CompletionsArgs),
}

/// Print shell completions.
#[derive(clap::Args, Debug)]
pub struct CompletionsArgs {
    /// Shell
    pub shell: clap_complete::Shell,
}
