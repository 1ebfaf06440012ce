//! `schema`: JSON Schemas of what we write.

use std::io::{self, Write};

use tokmeter_record::format::schema::{SCHEMAS, find};

use crate::args::schema::SchemaArgs;
use crate::exit::{Exit, Failure};

/// Runs `schema`.
///
/// # Errors
/// A name that no schema has; a closed standard output.
pub fn run(args: &SchemaArgs) -> anyhow::Result<Exit> {
    let mut out = io::stdout().lock();
    let Some(name) = &args.name else {
        for schema in &SCHEMAS {
            let each = if schema.by_line { "each line of " } else { "" };
            writeln!(out, "{:<22}{each}{}", schema.name, schema.file)?;
        }
        return Ok(Exit::Ok);
    };
    let schema = find(name).ok_or_else(|| {
        let names: Vec<&str> = SCHEMAS.iter().map(|schema| schema.name).collect();
        Failure::usage(format!("no schema is named {name:?}"))
            .fix(format!("take one of {}", names.join(", ")))
    })?;
    out.write_all(schema.text.as_bytes())?;
    Ok(Exit::Ok)
}
