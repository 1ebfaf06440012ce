//! Taking from a queue without being woken for every item.
//!
//! Waking a thread costs the one that sends a system call, and the woken one a turn of the processor: at thousands of
//! items a second more than the work itself. A busy receiver therefore sleeps a little and finds many.

use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, SendError, Sender, TryRecvError, TrySendError};

/// How long a busy thread leaves its queue alone. At 100,000 items a second, 50 gather.
const PAUSE: Duration = Duration::from_micros(500);
/// A queue is busy when the item before came this recently.
const BUSY: Duration = Duration::from_millis(2);
/// How long a sender leaves a full queue alone. A queue of 256 lasts that long at 128,000 items a second.
const REFILL: Duration = Duration::from_millis(2);

/// A receiver that is late by at most [`PAUSE`].
pub(crate) struct Unhurried<T> {
    items: Receiver<T>,
    latest: Option<Instant>,
}

impl<T> Unhurried<T> {
    pub(crate) fn new(items: Receiver<T>) -> Self {
        Unhurried { items, latest: None }
    }

    /// The next item; `None` when nobody sends any more.
    pub(crate) fn next(&mut self) -> Option<T> {
        self.next_within(Duration::MAX).ok()
    }

    /// The next item, waiting for it up to about `limit`.
    pub(crate) fn next_within(&mut self, limit: Duration) -> Result<T, RecvTimeoutError> {
        let item = match self.items.try_recv() {
            Ok(item) => item,
            Err(TryRecvError::Disconnected) => return Err(RecvTimeoutError::Disconnected),
            Err(TryRecvError::Empty) => {
                if self.latest.is_some_and(|latest| latest.elapsed() < BUSY) {
                    thread::sleep(PAUSE);
                }
                self.items.recv_timeout(limit)?
            }
        };
        self.latest = Some(Instant::now());
        Ok(item)
    }
}

/// Sends an item, and waits while the queue is full.
///
/// # Errors
/// Nobody receives any more.
pub(crate) fn send_unhurried<T>(items: &Sender<T>, mut item: T) -> Result<(), SendError<T>> {
    loop {
        match items.try_send(item) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Disconnected(item)) => return Err(SendError(item)),
            Err(TrySendError::Full(back)) => item = back,
        }
        thread::sleep(REFILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossbeam_channel::bounded;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn every_item_comes_in_order_through_a_queue_that_is_often_full() {
        let (sender, receiver) = bounded(8);
        let sending = thread::spawn(move || (0..100).try_for_each(|i| send_unhurried(&sender, i)));
        let mut items = Unhurried::new(receiver);
        let mut received = Vec::new();
        while let Ok(item) = items.next_within(LONG) {
            received.push(item);
        }
        assert_eq!(received, (0..100).collect::<Vec<_>>());
        assert_eq!(sending.join().unwrap(), Ok(()));
    }

    #[test]
    fn an_empty_queue_ends_the_wait_at_its_limit() {
        let (sender, receiver) = bounded::<u8>(1);
        assert_eq!(Unhurried::new(receiver).next_within(Duration::ZERO), Err(RecvTimeoutError::Timeout));
        assert_eq!(send_unhurried(&sender, 7), Err(SendError(7)));
    }
}
