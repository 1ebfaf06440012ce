//! Ending a run early, from another thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokmeter_http::clock;
use tokmeter_record::WallNs;

use crate::shard::Urgency;

/// How long before a common start a run stops waiting: time to prepare the first sessions.
const PREPARE_NS: u64 = 1_000_000_000;
/// How often a waiting run looks whether it is told to end.
const LOOK: Duration = Duration::from_millis(20);

/// Tells a run to end. Clones control the same run.
#[derive(Clone, Debug)]
pub struct RunControl {
    urgency: Arc<watch::Sender<Urgency>>,
    interrupted: Arc<AtomicBool>,
}

impl Default for RunControl {
    fn default() -> Self {
        RunControl { urgency: Arc::new(watch::Sender::new(Urgency::Run)), interrupted: Arc::default() }
    }
}

impl RunControl {
    /// The user wants out: send nothing new, drain for the grace period.
    pub fn interrupt(&self) {
        self.interrupted.store(true, Ordering::Relaxed);
        self.stop();
    }

    /// Send nothing new, drain for the grace period (a file error, a limit).
    pub fn stop(&self) {
        self.raise(Urgency::Drain);
    }

    /// Cancel what is in flight.
    pub fn abort(&self) {
        self.raise(Urgency::Abort);
    }

    /// Whether the user interrupted the run.
    pub fn was_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    pub(crate) fn is_stopping(&self) -> bool {
        *self.urgency.borrow() >= Urgency::Drain
    }

    /// Waits until shortly before an instant of the wall clock, or until the run is told to end. The clock is read
    /// again and again, so that it may be adjusted meanwhile.
    pub(crate) fn wait_for(&self, at: Option<WallNs>) {
        let Some(at) = at else { return };
        while !self.is_stopping() && clock::wall_now().0.saturating_add(PREPARE_NS) < at.0 {
            std::thread::sleep(LOOK);
        }
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<Urgency> {
        self.urgency.subscribe()
    }

    fn raise(&self, urgency: Urgency) {
        self.urgency.send_if_modified(|level| {
            let raised = *level < urgency;
            *level = (*level).max(urgency);
            raised
        });
    }
}
