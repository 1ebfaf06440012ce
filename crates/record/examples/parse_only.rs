//! The limit that `analyze` is measured against: what serde_json alone needs to read record lines on one core.
//!
//! ```text
//! cargo run --release -p tokmeter-record --example parse_only -- value profile_export.jsonl
//! ```
//! `skip` only checks the syntax, `record` reads the crate's own record type, `value` a `serde_json::Value`.

use std::error::Error;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::time::Instant;

use serde::de::IgnoredAny;
use tokmeter_record::RequestRecord;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(mode), Some(path)) = (arguments.next(), arguments.next()) else {
        return Err("usage: parse_only skip|record|value FILE".into());
    };
    let mut reader = BufReader::with_capacity(1 << 20, File::open(path)?);
    let mut line = Vec::new();
    let mut lines = 0u64;
    let begin = Instant::now();
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        match mode.as_str() {
            "skip" => drop(serde_json::from_slice::<IgnoredAny>(&line)?),
            "record" => drop(serde_json::from_slice::<RequestRecord>(&line)?),
            "value" => drop(serde_json::from_slice::<serde_json::Value>(&line)?),
            _ => return Err("usage: parse_only skip|record|value FILE".into()),
        }
        lines += 1;
    }
    let seconds = begin.elapsed().as_secs_f64();
    writeln!(io::stdout().lock(), "{mode}: {lines} lines in {seconds:.2} s")?;
    Ok(())
}
