//! `--ui dashboard`: a run in progress on the whole terminal.
//!
//! A thread of its own reads counters, the records that ended since the last look, the servers' newest gauges and the
//! log lines, five times a second. Nothing it does can hold up the load: counters are atomic, and what it shares with
//! others it takes in one short swap.

mod feed;
mod keys;
mod state;
mod view;

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ratatui::DefaultTerminal;
use ratatui::crossterm::event;
use rustix::process::Signal;
use tokmeter_engine::Live;
use tokmeter_engine::server_metrics::LatestGauges;

pub use feed::{Feed, Watched};

use crate::console::progress::Expected;
use crate::log::{self, Diverted};
use keys::Action;
use state::{Gauge, State, Update};

/// From one redraw to the next.
const REDRAW: Duration = Duration::from_millis(200);

/// Whether the terminal is ours at the moment.
static ACTIVE: AtomicBool = AtomicBool::new(false);

/// What a dashboard watches.
pub struct Sources {
    /// First line: what is measured.
    pub title: String,
    /// Counters of the run.
    pub live: Arc<Live>,
    /// Records as they end.
    pub feed: Arc<Feed>,
    /// What the servers say of themselves.
    pub gauges: LatestGauges,
}

/// A running dashboard. Dropping it gives the terminal back.
pub struct Dashboard {
    phases: Option<Sender<Expected>>,
    thread: Option<JoinHandle<()>>,
}

/// Whether there is a screen to draw on and a keyboard to read.
pub fn is_possible() -> bool {
    io::stdout().is_terminal() && io::stdin().is_terminal()
}

impl Dashboard {
    /// Takes the terminal. From now on log lines appear in its log pane.
    ///
    /// # Errors
    /// When the terminal cannot be set up; it is as before then.
    pub fn start(sources: Sources) -> io::Result<Dashboard> {
        let terminal = ratatui::try_init().inspect_err(|_| ratatui::restore())?;
        ACTIVE.store(true, Ordering::SeqCst);
        let log = log::divert();
        let (phases, told) = channel();
        sources.feed.open();
        let thread = std::thread::Builder::new()
            .name("dashboard".into())
            .spawn(move || {
                // Drawing that fails (a terminal that went away) ends the screen, not the run.
                if let Err(error) = run(terminal, &sources, &told, &log) {
                    restore();
                    tracing::warn!("the dashboard ended: {error}");
                }
                restore();
            })
            .inspect_err(|_| restore())?;
        Ok(Dashboard { phases: Some(phases), thread: Some(thread) })
    }

    /// The next phase begins.
    pub fn phase(&self, expected: Expected) {
        if let Some(phases) = &self.phases {
            let _ = phases.send(expected);
        }
    }
}

impl Drop for Dashboard {
    fn drop(&mut self) {
        self.phases.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        restore();
    }
}

/// Gives the terminal back, if it is ours: before a message, at the end and before a sudden exit.
pub fn restore() {
    if ACTIVE.swap(false, Ordering::SeqCst) {
        ratatui::restore();
    }
}

fn run(
    mut terminal: DefaultTerminal,
    sources: &Sources,
    told: &Receiver<Expected>,
    log: &Diverted,
) -> io::Result<()> {
    let begin = Instant::now();
    let mut state = State::new(sources.title.clone());
    // While the screen is paused this is what it shows; the state goes on.
    let mut paused: Option<State> = None;
    loop {
        let phase = match told.recv_timeout(Duration::ZERO) {
            Ok(expected) => Some(expected),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        };
        let gauges = sources.gauges.read();
        state.update(Update {
            at: begin.elapsed(),
            counts: sources.live.counts(),
            phase,
            samples: sources.feed.take(),
            gauges: gauges.into_iter().map(|(kind, name, value)| Gauge { kind, name, value }).collect(),
            log: log.take(),
        });
        let shown = paused.as_ref().unwrap_or(&state);
        terminal.draw(|frame| view::draw(shown, paused.is_some(), frame))?;
        if !event::poll(REDRAW)? {
            continue;
        }
        match keys::action(&event::read()?) {
            Some(Action::End) => {
                // The same way as Ctrl-C outside: first a graceful end, then what is in flight is cancelled, then out.
                let interrupted = rustix::process::kill_process(rustix::process::getpid(), Signal::INT);
                interrupted.map_err(io::Error::from)?;
                state.ending = true;
                paused = None;
            }
            Some(Action::Pause) => paused = if paused.is_some() { None } else { Some(state.clone()) },
            Some(Action::Help) => {
                state.help = !state.help;
                if let Some(shown) = &mut paused {
                    shown.help = state.help;
                }
            }
            Some(Action::Close) => state.help = false,
            None => {}
        }
    }
}
