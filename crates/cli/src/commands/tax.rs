//! `tax`: what a gateway costs, as a table, JSON and a page.

mod page;
mod rows;

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use http::HeaderValue;
use tokmeter_engine::seed::Seed;
use tokmeter_engine::tax::{Arm, TaxConfig, TaxReport, measure};

use crate::args::tax::TaxArgs;
use crate::console::{harmless, table};
use crate::exit::{Exit, Failure};

/// Wide enough for every figure with its interval.
const WIDTH: u16 = 140;

/// Runs `tax`.
///
/// # Errors
/// Settings that cannot be used, files that cannot be written, or not a single pair that succeeded.
pub fn run(args: &TaxArgs) -> anyhow::Result<Exit> {
    let config = config(args)?;
    let report = measure(&config).map_err(|error| Failure::usage(error.to_string()))?;
    if let Some(path) = &args.json {
        let text = serde_json::to_string_pretty(&report)? + "\n";
        write(path, &text)?;
    }
    if let Some(path) = &args.html {
        write(path, &page::render(&report))?;
    }
    if !report.has_pairs() {
        let reason = report.first_failure().unwrap_or("no request was sent");
        return Err(Failure {
            exit: Exit::Unreachable,
            message: format!("no pair of requests succeeded; {}", harmless(reason)),
            fix: Some("try both URLs and the model with `tokmeter profile --request-count 1`".to_owned()),
        }
        .into());
    }
    print(&report)?;
    Ok(Exit::Ok)
}

fn config(args: &TaxArgs) -> Result<TaxConfig, Failure> {
    let arm =
        |flag: &str, url: &str| Arm::parse(url).map_err(|error| Failure::usage(format!("--{flag}: {error}")));
    let timeout = Duration::try_from_secs_f64(args.timeout).ok().filter(|timeout| !timeout.is_zero());
    let widest = args.concurrency.iter().copied().max().unwrap_or(1) as u64;
    Ok(TaxConfig {
        direct: arm("direct", &args.direct)?,
        through: arm("through", &args.through)?,
        model: args.model.clone(),
        api_key: args.api_key.as_deref().map(bearer).transpose()?,
        concurrencies: args.concurrency.clone(),
        body_sizes: args.body_size.clone(),
        pairs: args.requests,
        warmup_pairs: args.warmup.unwrap_or(widest),
        streaming: !args.no_streaming,
        output_tokens: args.osl,
        new_connections: args.new_connections,
        timeout: timeout.ok_or_else(|| Failure::usage("--timeout: seconds above 0 are expected"))?,
        confidence: args.confidence,
        seed: args.random_seed.map_or_else(Seed::from_entropy, Seed),
    })
}

fn bearer(key: &str) -> Result<HeaderValue, Failure> {
    let mut value = HeaderValue::from_str(&format!("Bearer {key}")).map_err(|_| {
        Failure::usage("--api-key: the key has characters a header cannot hold (a line end?)")
    })?;
    value.set_sensitive(true);
    Ok(value)
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
    }
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn print(report: &TaxReport) -> anyhow::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    for cell in &report.cells {
        let rows: Vec<Vec<String>> =
            rows::rows(cell).into_iter().map(|row| row.cells.into_iter().collect()).collect();
        writeln!(out, "{}", table::render(&rows::title(cell), &rows::HEADER, &rows, WIDTH))?;
        if let Some(failures) = rows::failures(cell) {
            writeln!(out, "{}\n", harmless(&failures))?;
        }
    }
    writeln!(out, "{}", rows::legend(report))?;
    out.flush()?;
    Ok(())
}
