//! From a shard to the decode threads: bounded, and never a wait while there is room.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::sync::Arc;

use crossbeam_channel::{Sender, TrySendError};

use crate::decode::Finished;
use crate::live::Live;

/// Bytes a shard keeps for decoders that are behind, before its own requests have to wait.
const OVERFLOW_BYTES: usize = 64 << 20;

/// Sends finished exchanges to the decode threads.
#[derive(Clone)]
pub(crate) struct ExchangeQueue {
    sender: Sender<Finished>,
    live: Arc<Live>,
}

/// The shard's own part: what did not fit into the channel yet.
pub(crate) struct Overflow {
    queue: ExchangeQueue,
    waiting: RefCell<VecDeque<Finished>>,
    bytes: Cell<usize>,
}

impl ExchangeQueue {
    pub(crate) fn new(sender: Sender<Finished>, live: Arc<Live>) -> Self {
        ExchangeQueue { sender, live }
    }

    pub(crate) fn overflow(self) -> Overflow {
        Overflow { queue: self, waiting: RefCell::default(), bytes: Cell::new(0) }
    }
}

impl Overflow {
    /// Hands an exchange on. False: something is left over, [`Overflow::flush`] must be called again.
    pub(crate) fn push(&self, finished: Finished) -> bool {
        self.bytes.set(self.bytes.get() + finished.weight());
        self.waiting.borrow_mut().push_back(finished);
        let flushed = self.flush();
        self.queue.live.decode_backlog(self.queue.sender.len() + self.waiting.borrow().len());
        flushed
    }

    /// Moves what fits into the channel; true when nothing is left.
    pub(crate) fn flush(&self) -> bool {
        let mut waiting = self.waiting.borrow_mut();
        while let Some(finished) = waiting.pop_front() {
            let weight = finished.weight();
            match self.queue.sender.try_send(finished) {
                Ok(()) => self.bytes.set(self.bytes.get() - weight),
                Err(TrySendError::Full(back)) => {
                    waiting.push_front(back);
                    return false;
                }
                // The decoders are gone: the run has failed elsewhere and says so there.
                Err(TrySendError::Disconnected(_)) => return true,
            }
        }
        true
    }

    /// Whether the decoders are so far behind that requests should wait.
    pub(crate) fn is_full(&self) -> bool {
        self.bytes.get() >= OVERFLOW_BYTES
    }
}
