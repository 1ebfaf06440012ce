//! Synthetic prompts against the tokenizer: how long the dataset takes for prompts of 1,000 tokens, as a
//! ratio to encoding the same text once, and what memory it holds.
//!
//! `cargo bench -p tokmeter-engine --bench prompts [-- PROMPTS]`. A path in `TOKENIZER` (a `tokenizer.json`)
//! adds a row for it.
#![allow(clippy::print_stdout)]

use std::time::{Duration, Instant};

use tokmeter_engine::dataset::{Dataset, DatasetConfig, Prompt};
use tokmeter_engine::seed::Seed;
use tokmeter_engine::tokenizer::Tokenizer;

const TOKENS: f64 = 1_000.0;
const THREADS: u64 = 2;

fn main() {
    let prompts = std::env::args().skip(1).find_map(|arg| arg.parse().ok()).unwrap_or(100_000u64);
    println!("{prompts} prompts of {TOKENS} tokens, {THREADS} threads");
    println!(
        "{:<14} {:>11} {:>13} {:>7} {:>9} {:>10}",
        "tokenizer", "generate s", "encode once s", "ratio", "exact", "peak MiB"
    );
    row("builtin", &Tokenizer::Builtin, prompts);
    if let Some(path) = std::env::var_os("TOKENIZER") {
        match Tokenizer::open(&path.to_string_lossy()) {
            // A fraction is enough: both columns shrink alike.
            Ok(tokenizer) => row("file", &tokenizer, prompts / 50),
            Err(error) => println!("{error}"),
        }
    }
}

fn row(name: &str, tokenizer: &Tokenizer, prompts: u64) {
    let mut config = DatasetConfig::default();
    config.prompt.isl = Some(TOKENS);
    let dataset = Dataset::open(&config, Seed(1), tokenizer).expect("synthetic flags are valid");
    let generate = timed(prompts, |number| {
        std::hint::black_box(dataset.session(number));
    });
    let peak = peak_mib();
    // Encoding all of it would take minutes; a sample, scaled, is the same time per text.
    let sample = prompts.min(2_000);
    let _ = tokenizer.count("load the table first");
    let texts: Vec<_> = (0..sample).map(|number| dataset.session(number)).collect();
    let exact = std::sync::atomic::AtomicU64::new(0);
    let encode = timed(sample, |number| {
        if let Prompt::Texts { texts, .. } = &texts[number as usize].turns[0].prompt {
            let tokens = tokenizer.count(&texts[0]);
            exact.fetch_add(u64::from(tokens == TOKENS as usize), std::sync::atomic::Ordering::Relaxed);
        }
    });
    let encode = encode.as_secs_f64() * prompts as f64 / sample as f64;
    let generate = generate.as_secs_f64();
    println!(
        "{name:<14} {generate:>11.3} {encode:>13.3} {:>7.3} {:>8.2}% {peak:>10}",
        generate / encode,
        exact.into_inner() as f64 * 100.0 / sample as f64,
    );
}

/// Wall time of `each` for all numbers, dealt to the threads.
fn timed(count: u64, each: impl Fn(u64) + Sync) -> Duration {
    let begin = Instant::now();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let each = &each;
            scope.spawn(move || (thread..count).step_by(THREADS as usize).for_each(each));
        }
    });
    begin.elapsed()
}

/// Peak resident memory of this process; 0 where the system does not say.
fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    peak.and_then(|line| line.trim().trim_end_matches(" kB").trim().parse::<u64>().ok()).unwrap_or(0) / 1024
}
