//! Whole datasets: exact lengths, equal bytes for equal seeds, every format, every mistake with its place.

mod files;
mod synthetic;
mod traces;

use std::path::{Path, PathBuf};

use super::*;

/// The small byte-level BPE of tests/fixtures.
fn tiny_tokenizer() -> Tokenizer {
    Tokenizer::open(&format!("{}/../../tests/fixtures/tokenizer", env!("CARGO_MANIFEST_DIR")))
        .expect("fixture")
}

fn open(config: &DatasetConfig) -> Dataset {
    Dataset::open(config, Seed(7), &Tokenizer::Builtin).expect("a good dataset")
}

fn texts(turn: &Turn) -> Vec<&str> {
    match &turn.prompt {
        Prompt::Texts { texts, .. } => texts.iter().map(|text| &**text).collect(),
        other => panic!("no texts: {other:?}"),
    }
}

/// Everything of a session that goes over the wire.
fn wire(session: &Session) -> String {
    format!("{session:?}")
}

/// A directory with one file in it.
struct Input {
    dir: tempfile::TempDir,
    path: PathBuf,
}

impl Input {
    fn new(name: &str, bytes: impl AsRef<[u8]>) -> Self {
        let dir = tempfile::tempdir().expect("temp dir");
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).expect("write");
        Self { dir, path }
    }

    fn config(&self) -> DatasetConfig {
        config_for(&self.path)
    }

    fn open(&self) -> Dataset {
        open(&self.config())
    }

    /// The message with which the file is refused.
    fn refused(&self) -> String {
        refused(&self.config())
    }
}

fn config_for(path: &Path) -> DatasetConfig {
    DatasetConfig { input_file: Some(path.to_owned()), ..DatasetConfig::default() }
}

fn refused(config: &DatasetConfig) -> String {
    Dataset::open(config, Seed(7), &Tokenizer::Builtin).expect_err("a bad dataset").to_string()
}
