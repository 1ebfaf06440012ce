//! The capacity model: how many requests run at a time, the rest wait in order of arrival.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The slots of the simulated engine.
pub struct Admission {
    slots: Option<Arc<Semaphore>>,
    running: AtomicUsize,
}

impl Admission {
    /// `None`: no limit.
    pub fn new(max_running: Option<usize>) -> Self {
        let slots = max_running.map(|count| Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS))));
        Self { slots, running: AtomicUsize::new(0) }
    }

    /// Waits for a slot; first come, first served.
    pub async fn enter(self: Arc<Self>) -> Admitted {
        let permit = match &self.slots {
            None => None,
            // The semaphore is never closed.
            Some(slots) => Arc::clone(slots).acquire_owned().await.ok(),
        };
        let running = self.running.fetch_add(1, Relaxed) + 1;
        Admitted { admission: self, running, _permit: permit }
    }
}

/// A slot, given back on drop.
pub struct Admitted {
    admission: Arc<Admission>,
    /// Requests running right after this one was admitted, itself included.
    pub running: usize,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.admission.running.fetch_sub(1, Relaxed);
    }
}
