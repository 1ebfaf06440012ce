//! Log lines on stderr, or in the log pane of a dashboard.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tracing::Level;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

/// Lines that wait for a display; older ones are dropped.
const WAITING: usize = 500;

type Lines = Mutex<Vec<String>>;

/// Who takes the lines instead of stderr, while it lives.
static TAKER: Mutex<Weak<Lines>> = Mutex::new(Weak::new());

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
        .with_writer(Destination)
        .with_ansi(io::IsTerminal::is_terminal(&io::stderr()))
        .with_target(false)
        .without_time()
        .try_init();
}

/// From now on lines are kept for a display, until the result is dropped; what nobody took then goes to stderr.
pub fn divert() -> Diverted {
    let lines = Arc::new(Lines::default());
    *TAKER.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(&lines);
    Diverted(lines)
}

/// Lines for a display.
pub struct Diverted(Arc<Lines>);

impl Diverted {
    /// The lines since the last call, without colours.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Diverted {
    fn drop(&mut self) {
        *TAKER.lock().unwrap_or_else(PoisonError::into_inner) = Weak::new();
        for line in self.take() {
            let _ = writeln!(io::stderr(), "{line}");
        }
    }
}

#[derive(Clone, Copy)]
struct Destination;

impl<'a> MakeWriter<'a> for Destination {
    type Writer = Destination;
    fn make_writer(&'a self) -> Destination {
        Destination
    }
}

impl Write for Destination {
    /// One call for each line.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taker = TAKER.lock().unwrap_or_else(PoisonError::into_inner).upgrade();
        let Some(lines) = taker else { return io::stderr().write(bytes) };
        let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == WAITING {
            lines.remove(0);
        }
        lines.push(plain(&String::from_utf8_lossy(bytes)));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// Text without colour sequences (`ESC [ ... m`) and line ends.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut parts = text.trim_end().split("\x1b[");
    plain.extend(parts.next());
    for part in parts {
        plain.push_str(part.split_once('m').map_or(part, |(_, rest)| rest));
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_go_to_the_display_while_there_is_one() {
        let diverted = divert();
        Destination.write_all(b"\x1b[33m WARN\x1b[0m slow\n").unwrap();
        assert_eq!(diverted.take(), [" WARN slow"]);
        for number in 0..WAITING + 5 {
            writeln!(Destination, "{number}").unwrap();
        }
        assert_eq!(diverted.take().len(), WAITING);
        drop(diverted);
        assert!(TAKER.lock().unwrap().upgrade().is_none());
    }
}
