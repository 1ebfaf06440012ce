//! Progress of a run: a bar on a terminal, a plain line every few seconds elsewhere.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokmeter_engine::{Live, LiveCounts};

use super::number::integer;

const BAR_EVERY: Duration = Duration::from_millis(200);
const LINE_EVERY: Duration = Duration::from_secs(5);

/// What a phase is expected to do.
#[derive(Clone, Debug)]
pub struct Expected {
    /// Name of the phase.
    pub phase: String,
    /// Requests, where the phase counts them.
    pub requests: Option<u64>,
    /// Length, where the phase has one.
    pub duration: Option<Duration>,
}

/// A running display. Dropping it clears the bar.
pub struct Progress {
    phases: Option<Sender<Expected>>,
    thread: Option<JoinHandle<()>>,
}

impl Progress {
    /// Starts the display on stderr.
    pub fn start(live: Arc<Live>) -> std::io::Result<Progress> {
        let (phases, told) = channel();
        let thread =
            std::thread::Builder::new().name("progress".into()).spawn(move || {
                match std::io::stderr().is_terminal() {
                    true => bars(&live, &told),
                    false => lines(&live, &told),
                }
            })?;
        Ok(Progress { phases: Some(phases), thread: Some(thread) })
    }

    /// A display that shows nothing.
    pub fn none() -> Progress {
        Progress { phases: None, thread: None }
    }

    /// The next phase begins.
    pub fn phase(&self, expected: Expected) {
        if let Some(phases) = &self.phases {
            // The display may have died; the run goes on.
            let _ = phases.send(expected);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.phases.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Shown {
    expected: Expected,
    before: LiveCounts,
    since: Instant,
}

impl Shown {
    fn records(&self, counts: &LiveCounts) -> u64 {
        counts.records() - self.before.records()
    }

    fn text(&self, counts: &LiveCounts) -> String {
        let failed = counts.failed - self.before.failed;
        let elapsed = self.since.elapsed().as_secs_f64().max(1e-3);
        let tokens = (counts.output_tokens - self.before.output_tokens) as f64 / elapsed;
        format!(
            "{} in flight, {:.1} req/s, {} tok/s, {} failed",
            integer(counts.in_flight()),
            self.records(counts) as f64 / elapsed,
            integer(tokens as u64),
            integer(failed),
        )
    }
}

fn begin(expected: Expected, live: &Live) -> Shown {
    Shown { expected, before: live.counts(), since: Instant::now() }
}

fn bars(live: &Live, told: &Receiver<Expected>) {
    let style = |template: &str| {
        ProgressStyle::with_template(template)
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .progress_chars("━╸ ")
    };
    let mut shown: Option<(Shown, ProgressBar)> = None;
    loop {
        match told.recv_timeout(BAR_EVERY) {
            Ok(expected) => {
                let bar = ProgressBar::with_draw_target(
                    expected.requests.or(expected.duration.map(|d| d.as_millis() as u64)),
                    ProgressDrawTarget::stderr(),
                );
                bar.set_style(match expected.requests {
                    Some(_) => style("{prefix:>9} {bar:28.cyan} {pos}/{len} {msg}"),
                    None => style("{prefix:>9} {bar:28.cyan} {elapsed} {msg}"),
                });
                bar.set_prefix(expected.phase.clone());
                if let Some((_, old)) = shown.replace((begin(expected, live), bar)) {
                    old.finish_and_clear();
                }
            }
            Err(RecvTimeoutError::Timeout) => {
                let Some((shown, bar)) = &shown else { continue };
                let counts = live.counts();
                let position = match shown.expected.requests {
                    Some(_) => shown.records(&counts),
                    None => shown.since.elapsed().as_millis() as u64,
                };
                bar.set_position(position);
                bar.set_message(shown.text(&counts));
            }
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    if let Some((_, bar)) = shown {
        bar.finish_and_clear();
    }
}

fn lines(live: &Live, told: &Receiver<Expected>) {
    let mut shown: Option<Shown> = None;
    loop {
        match told.recv_timeout(LINE_EVERY) {
            Ok(expected) => shown = Some(begin(expected, live)),
            Err(RecvTimeoutError::Timeout) => {
                let Some(shown) = &shown else { continue };
                let counts = live.counts();
                let done = integer(shown.records(&counts));
                let of = shown.expected.requests.map_or_else(String::new, |n| format!("/{}", integer(n)));
                let text = shown.text(&counts);
                let _ = writeln!(std::io::stderr(), "{}: {done}{of} done, {text}", shown.expected.phase);
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}
