//! Flags of `config`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Write, check or complete a configuration file.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  tokmeter config init > run.yaml
  tokmeter config validate run.yaml
  tokmeter config expand run.yaml
  tokmeter profile --config run.yaml --concurrency 16")]
pub struct ConfigArgs {
    #[command(subcommand)]
    pub action: ConfigAction,
}

/// What to do with a configuration file.
#[derive(Clone, Debug, Subcommand)]
pub enum ConfigAction {
    /// Print a configuration with every flag of `profile` as a comment
    Init,
    /// Check a file and say what is wrong with it
    Validate {
        /// The file
        file: PathBuf,
    },
    /// Print the file with all defaults filled in
    Expand {
        /// The file
        file: PathBuf,
    },
}
