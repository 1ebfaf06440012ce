//! Data inside the page: JSON in which nothing can end its element.

use std::io::{self, Write};

use serde::Serialize;

use super::gather::Run;
use super::rows::Requests;
use super::server::Line;
use super::summary::Facts;

/// What the scripts of the page read.
#[derive(Serialize)]
pub(super) struct Embedded<'a> {
    generator: String,
    runs: Vec<EmbeddedRun<'a>>,
}

#[derive(Serialize)]
struct EmbeddedRun<'a> {
    name: String,
    path: String,
    facts: &'a Facts,
    requests: Option<&'a Requests>,
    server: &'a [Line],
}

impl<'a> Embedded<'a> {
    pub(super) fn of(runs: &'a [Run]) -> Self {
        let mut named: Vec<String> = Vec::new();
        for run in runs {
            let mut name = run.name.clone();
            for number in 2.. {
                if !named.contains(&name) {
                    break;
                }
                name = format!("{} ({number})", run.name);
            }
            named.push(name);
        }
        let runs = runs.iter().zip(named).map(|(run, name)| EmbeddedRun {
            name,
            path: run.path.display().to_string(),
            facts: &run.facts,
            requests: run.requests.as_ref(),
            server: &run.server,
        });
        Embedded { generator: format!("tokmeter {}", env!("CARGO_PKG_VERSION")), runs: runs.collect() }
    }
}

/// Writes JSON so that an HTML parser sees no markup in it: `<`, `>` and `&` occur in strings only, where an escape
/// means the same.
pub(super) fn write_json(value: &impl Serialize, out: &mut dyn Write) -> io::Result<()> {
    let mut escaping = Escaping(out);
    serde_json::to_writer(&mut escaping, value)?;
    Ok(())
}

struct Escaping<'w>(&'w mut dyn Write);

impl Write for Escaping<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut rest = bytes;
        while let Some(at) = rest.iter().position(|byte| matches!(byte, b'<' | b'>' | b'&')) {
            self.0.write_all(&rest[..at])?;
            write!(self.0, "\\u{:04x}", rest[at])?;
            rest = &rest[at + 1..];
        }
        self.0.write_all(rest)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_can_end_the_element_and_all_of_it_is_read_back() {
        let hostile = "</script><script>alert(1)</script><!-- &lt; \u{2028} \" \\";
        let mut out = Vec::new();
        write_json(&[hostile], &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(!text.contains(['<', '>', '&']), "{text}");
        assert_eq!(serde_json::from_str::<Vec<String>>(&text).unwrap(), [hostile]);
    }
}
