//! What can be typed. One file for each command.

pub mod config;
pub mod demo;
pub mod profile;
pub mod sim;

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
    Sim(Box<sim::SimArgs>),
    Config(config::ConfigArgs),
    Completions(CompletionsArgs),
}

/// Print shell completions.
#[derive(clap::Args, Debug)]
pub struct CompletionsArgs {
    /// Shell
    pub shell: clap_complete::Shell,
}

/// A word of a fixed list, in any case, with `-` or `_`, as the engine's own names have it.
pub fn word<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, String> {
    use serde::de::IntoDeserializer;
    use serde::de::value::{Error, StrDeserializer};

    let word = text.to_ascii_lowercase().replace('-', "_");
    let deserializer: StrDeserializer<'_, Error> = word.as_str().into_deserializer();
    T::deserialize(deserializer).map_err(|error| error.to_string().replace('_', "-"))
}
