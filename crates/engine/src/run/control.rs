//! Ending a run early, from another thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

use crate::shard::Urgency;

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
