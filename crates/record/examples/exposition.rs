//! Reads a metrics page from standard input and prints what the parser found, as JSON. `--openmetrics` reads
//! OpenMetrics.
#![allow(clippy::print_stdout, reason = "an example that prints")]

use std::io::Read;

use tokmeter_record::server::exposition::Limits;
use tokmeter_record::server::{Media, Page};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let media = match std::env::args().nth(1).as_deref() {
        Some("--openmetrics") => Media::OpenMetrics,
        _ => Media::Text,
    };
    let mut body = Vec::new();
    std::io::stdin().read_to_end(&mut body)?;
    println!("{}", Page::parse(&body, media, &Limits::default())?.to_json());
    Ok(())
}
