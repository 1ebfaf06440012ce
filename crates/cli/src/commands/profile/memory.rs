//! `--max-memory`: a run that needs more ends early, with a report, instead of being killed without one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use tokmeter_engine::RunControl;

use crate::args::memory::Memory;
use crate::exit::Failure;
use crate::signal::DRAIN;

/// From one look to the next.
const INTERVAL: Duration = Duration::from_millis(50);

/// Watches this process's resident memory until it is dropped or finished.
#[derive(Debug)]
pub struct MemoryWatch {
    limit: Memory,
    reached: Arc<AtomicU64>,
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl MemoryWatch {
    /// Begins to watch; when `limit` is reached nothing new is sent, and what is in flight after [`DRAIN`] is cancelled.
    ///
    /// # Errors
    /// A system that does not tell the memory of a process; a limit this process is beyond already.
    pub fn start(limit: Memory, control: &RunControl) -> Result<MemoryWatch, Failure> {
        let now = resident()
            .ok_or_else(|| Failure::usage("--max-memory: this system does not tell in /proc/self/statm"))?;
        if now >= limit {
            let problem = format!("--max-memory {limit}: {now} are in use before the first request");
            return Err(Failure::usage(problem).fix("allow more"));
        }
        let reached = Arc::new(AtomicU64::new(0));
        let (end, ended) = crossbeam_channel::bounded(0);
        let thread = thread::Builder::new().name("memory".into()).spawn({
            let (reached, control) = (Arc::clone(&reached), control.clone());
            move || watch(limit, &reached, &control, &ended)
        });
        let thread = thread.map_err(|error| Failure::usage(format!("--max-memory: no thread: {error}")))?;
        Ok(MemoryWatch { limit, reached, end: Some(end), thread: Some(thread) })
    }

    /// Ends watching; why the run was ended early, if it was.
    pub fn finish(mut self) -> Option<String> {
        self.leave();
        let reached = Memory(self.reached.load(Ordering::Relaxed));
        (reached.0 > 0).then(|| format!("--max-memory {}: {reached} were in use", self.limit))
    }

    fn leave(&mut self) {
        self.end = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for MemoryWatch {
    fn drop(&mut self) {
        self.leave();
    }
}

fn watch(limit: Memory, reached: &AtomicU64, control: &RunControl, ended: &Receiver<()>) {
    let mut since = None;
    while ended.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
        match (since, resident()) {
            (None, Some(now)) if now >= limit => {
                reached.store(now.0, Ordering::Relaxed);
                since = Some(Instant::now());
                tracing::warn!("--max-memory {limit} is reached: nothing new is sent");
                control.stop();
            }
            (Some(begin), _) if begin.elapsed() > DRAIN => control.abort(),
            _ => {}
        }
    }
}

/// Resident memory of this process.
fn resident() -> Option<Memory> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(Memory(pages * rustix::param::page_size() as u64))
}
