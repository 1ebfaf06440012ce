//! Log lines on stderr.

use std::io;

use tracing::Level;
use tracing_subscriber::filter::LevelFilter;

/// Starts logging. AIPerf's level names are taken too.
pub fn start(level: &str, verbose: u8) {
    let level = match (level.to_ascii_lowercase().as_str(), verbose) {
        (_, 2..) | ("trace", _) => Level::TRACE,
        (_, 1) | ("debug", _) => Level::DEBUG,
        ("warning", _) => Level::WARN,
        ("error" | "critical", _) => Level::ERROR,
        _ => Level::INFO,
    };
    // A second start (a sweep inside one process) keeps the first.
    let _ = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::from_level(level))
        .with_writer(io::stderr)
        .with_target(false)
        .without_time()
        .try_init();
}
