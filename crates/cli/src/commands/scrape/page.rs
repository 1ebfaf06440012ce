//! One page from a file or from standard input.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use anyhow::Result;
use tokmeter_record::server::{Media, Page};

use crate::args::page_limits::PageLimitArgs;
use crate::args::scrape::PrintFormat;
use crate::console::{self, server_metrics};
use crate::exit::{Exit, Failure};

/// Parses the page and prints what is on it.
pub fn print(path: &Path, format: PrintFormat, limits: &PageLimitArgs) -> Result<Exit> {
    let name = path.display();
    let body = read(path, limits.page_bytes())
        .map_err(|error| Failure::usage(format!("--page: cannot read {name}: {error}")))?;
    let page = Page::parse(&body, media(&body), &limits.page()).map_err(|error| {
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

fn read(path: &Path, max_bytes: usize) -> io::Result<Vec<u8>> {
    let source: Box<dyn Read> =
        if path == Path::new("-") { Box::new(io::stdin().lock()) } else { Box::new(File::open(path)?) };
    let mut body = Vec::new();
    source.take(max_bytes as u64 + 1).read_to_end(&mut body)?;
    match body.len() > max_bytes {
        true => Err(io::Error::other(format!("longer than {max_bytes} bytes (--max-page-mib)"))),
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
