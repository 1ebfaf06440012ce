//! Any bytes as a dataset file of any format: refused with a place, or every session of it can be made.
//!
//! The first byte chooses the format; of the others the last chooses how the file is packed.

#![no_main]

use std::io::Write;
use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tokmeter_engine::dataset::config::DatasetConfig;
use tokmeter_engine::dataset::{Dataset, DatasetFormat};
use tokmeter_engine::seed::Seed;
use tokmeter_engine::tokenizer::Tokenizer;

const FORMATS: [Option<DatasetFormat>; 11] = [
    None,
    Some(DatasetFormat::SingleTurn),
    Some(DatasetFormat::MultiTurn),
    Some(DatasetFormat::RandomPool),
    Some(DatasetFormat::Sharegpt),
    Some(DatasetFormat::MooncakeTrace),
    Some(DatasetFormat::BailianTrace),
    Some(DatasetFormat::BurstGptTrace),
    Some(DatasetFormat::AzureTrace),
    Some(DatasetFormat::InputsJson),
    Some(DatasetFormat::RawPayload),
];

/// Sessions made of each dataset.
const SESSIONS: u64 = 3;

static FILE: LazyLock<PathBuf> =
    LazyLock::new(|| std::env::temp_dir().join(format!("tokmeter-fuzz-{}.jsonl", std::process::id())));

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, content)) = bytes.split_first() else { return };
    let Ok(()) = std::fs::File::create(&*FILE).and_then(|mut file| file.write_all(content)) else { return };
    let config = DatasetConfig {
        input_file: Some(FILE.clone()),
        custom_dataset_type: FORMATS[usize::from(*choice) % FORMATS.len()],
        ..DatasetConfig::default()
    };
    match Dataset::open(&config, Seed(7), &Tokenizer::Builtin) {
        Err(error) => assert!(!error.to_string().is_empty()),
        Ok(dataset) => {
            for number in 0..SESSIONS.min(dataset.entries().unwrap_or(SESSIONS)) {
                // A session may honestly ask for a prompt of a billion tokens; making it proves nothing.
                if dataset.turns_of(number) <= 16 && content.len() < 4096 && !content.windows(7).any(all_digits) {
                    assert!(!dataset.session(number).turns.is_empty());
                }
            }
        }
    }
});

fn all_digits(window: &[u8]) -> bool {
    window.iter().all(u8::is_ascii_digit)
}
