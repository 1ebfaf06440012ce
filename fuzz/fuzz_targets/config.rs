//! Any bytes as a configuration file of `profile`: refused with a reason, or flags that the parser answers for.

#![no_main]
#![allow(dead_code, reason = "the program's modules, of which this target needs a part")]

#[path = "../../crates/cli/src"]
mod program {
    pub mod args;
    pub mod config_file;
    pub mod exit;
}

use std::path::PathBuf;
use std::sync::LazyLock;

use clap::Parser;
use libfuzzer_sys::fuzz_target;
use program::{args, config_file, exit};

static FILE: LazyLock<PathBuf> =
    LazyLock::new(|| std::env::temp_dir().join(format!("tokmeter-fuzz-{}.yaml", std::process::id())));

fuzz_target!(|bytes: &[u8]| {
    if std::fs::write(&*FILE, bytes).is_err() {
        return;
    }
    let typed = ["--model".into(), "m".into()];
    match config_file::merge("profile", &typed, &FILE) {
        Err(failure) => assert!(!failure.message.is_empty() && failure.exit == exit::Exit::Usage),
        Ok(flags) => {
            let line = ["tokmeter".into(), "profile".into()].into_iter().chain(flags);
            // Refused or taken: both are answers.
            let _ = args::Cli::try_parse_from(line);
        }
    }
});
