//! `convert`: records from one format into another, one at a time.

use std::io::{self, Write};
use std::path::Path;

use tokmeter_record::RequestRecord;
use tokmeter_record::format::records::{RecordReader, TolerantReader, write_line};
use tokmeter_record::format::records_parquet::RecordRows;

use super::profile::files::replace;
use crate::args::convert::ConvertArgs;
use crate::exit::{Exit, Failure};

/// Runs `convert`.
///
/// # Errors
/// An input that cannot be read or holds no record; an output that cannot be written.
pub fn run(args: &ConvertArgs) -> anyhow::Result<Exit> {
    let reader = RecordReader::open(&args.input).map_err(|error| Failure::usage(error.to_string()))?;
    let mut records = reader.tolerant();
    let mut count = 0;
    match args.output.extension().and_then(|ending| ending.to_str()) {
        Some("parquet") => replace(&args.output, |file| {
            let mut rows = RecordRows::create(file)?;
            each(&mut records, &mut count, |record| rows.push(record))?;
            rows.finish()?.flush()
        })?,
        Some("jsonl") => replace(&args.output, |mut file| {
            let mut line = Vec::new();
            each(&mut records, &mut count, |record| {
                line.clear();
                write_line(&mut line, record);
                file.write_all(&line)
            })?;
            file.flush()
        })?,
        _ => return Err(unknown_ending(&args.output).into()),
    }
    let bad = records.bad_lines();
    for line in &bad.named {
        tracing::warn!("left out: {line}");
    }
    let mut out = io::stdout().lock();
    writeln!(out, "{count} records in {}", args.output.display())?;
    if bad.count > 0 {
        writeln!(out, "{} lines were no records", bad.count)?;
    }
    Ok(Exit::Ok)
}

fn each(
    records: &mut TolerantReader,
    count: &mut u64,
    mut write: impl FnMut(&RequestRecord) -> io::Result<()>,
) -> io::Result<()> {
    for record in records {
        write(&record)?;
        *count += 1;
    }
    if *count == 0 {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the input holds no records"));
    }
    Ok(())
}

fn unknown_ending(output: &Path) -> Failure {
    Failure::usage(format!("{}: the ending says no format", output.display()))
        .fix("name a file that ends in .parquet or .jsonl")
}
