//! One page from a file or from standard input.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use anyhow::Result;
use tokmeter_engine::server_metrics::MAX_PAGE_BYTES;
use tokmeter_record::server::exposition::Limits;
use tokmeter_record::server::{Media, Page};

use crate::args::scrape::PrintFormat;
use crate::console::{self, server_metrics};
use crate::exit::{Exit, Failure};

/// Parses the page and prints what is on it.
pub fn print(path: &Path, format: PrintFormat) -> Result<Exit> {
    let name = path.display();
    let body = read(path).map_err(|error| Failure::usage(format!("--page: cannot read {name}: {error}")))?;
    let page = Page::parse(&body, media(&body), &Limits::default()).map_err(|error| {
        Failure::usage(format!("--page: {name}: {error}"))
            .fix("give a page in Prometheus' text format or OpenMetrics")
    })?;
    let mut out = io::stdout().lock();
    match format {
        PrintFormat::Json => {
            serde_json::to_writer_pretty(&mut out, &page.to_json())?;
            out.write_all(b"\n")?;
        }
        PrintFormat::Table => out.write_all(server_metrics::page(&page, console::width()).as_bytes())?,
    }
    Ok(Exit::Ok)
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let source: Box<dyn Read> =
        if path == Path::new("-") { Box::new(io::stdin().lock()) } else { Box::new(File::open(path)?) };
    let mut body = Vec::new();
    source.take(MAX_PAGE_BYTES as u64 + 1).read_to_end(&mut body)?;
    match body.len() > MAX_PAGE_BYTES {
        true => Err(io::Error::other(format!("longer than {MAX_PAGE_BYTES} bytes"))),
        false => Ok(body),
    }
}

/// A file has no `Content-Type`; an OpenMetrics page ends with its mark.
fn media(body: &[u8]) -> Media {
    match body.trim_ascii_end().ends_with(b"\n# EOF") {
        true => Media::OpenMetrics,
        false => Media::Text,
    }
}
