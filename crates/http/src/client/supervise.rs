//! Ending requests early: time limits and cancellation.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Poll, Waker};
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};
use tokmeter_record::MonoNs;

/// How the work ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome<T> {
    Finished(T),
    TimedOut,
    /// After the delay that the request asked for.
    CancelledAfterSend,
    /// By [`super::Client::cancel_all`].
    CancelledByCaller,
}

/// The requests of a client that are under way, so that all can be cancelled at once.
#[derive(Default)]
pub(super) struct InFlight {
    wakers: RefCell<Vec<Option<Waker>>>,
    free: RefCell<Vec<usize>>,
    cancellations: Cell<u64>,
}

impl InFlight {
    /// Cancels every request that is under way now.
    pub(super) fn cancel_all(&self) {
        self.cancellations.set(self.cancellations.get() + 1);
        for waker in self.wakers.borrow().iter().flatten() {
            waker.wake_by_ref();
        }
    }

    /// Requests under way.
    pub(super) fn count(&self) -> usize {
        self.wakers.borrow().len() - self.free.borrow().len()
    }

    fn enter(&self) -> Entry<'_> {
        let index = match self.free.borrow_mut().pop() {
            Some(index) => index,
            None => {
                let mut wakers = self.wakers.borrow_mut();
                wakers.push(None);
                wakers.len() - 1
            }
        };
        Entry { all: self, index, entered_at: self.cancellations.get() }
    }
}

struct Entry<'a> {
    all: &'a InFlight,
    index: usize,
    entered_at: u64,
}

impl Entry<'_> {
    fn is_cancelled(&self) -> bool {
        self.all.cancellations.get() != self.entered_at
    }

    /// Remembers the task; true when it is another one than before.
    fn register(&self, waker: &Waker) -> bool {
        let slot = &mut self.all.wakers.borrow_mut()[self.index];
        if slot.as_ref().is_some_and(|known| known.will_wake(waker)) {
            return false;
        }
        *slot = Some(waker.clone());
        true
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        self.all.wakers.borrow_mut()[self.index] = None;
        self.all.free.borrow_mut().push(self.index);
    }
}

/// Runs `work` until it is done, `timeout` has passed since now, `cancel_after` has passed since `sent` was
/// set, or all requests are cancelled.
pub(super) async fn supervise<T>(
    in_flight: &InFlight,
    timeout: Option<Duration>,
    cancel_after: Option<Duration>,
    sent: &Cell<Option<MonoNs>>,
    mut work: Pin<&mut impl Future<Output = T>>,
) -> Outcome<T> {
    let entry = in_flight.enter();
    let mut deadline = pin!(timeout.and_then(|limit| Instant::now().checked_add(limit)).map(sleep_until));
    let mut cancellation = pin!(None);
    poll_fn(|cx| {
        if entry.is_cancelled() {
            return Poll::Ready(Outcome::CancelledByCaller);
        }
        let another_task = entry.register(cx.waker());
        if let Poll::Ready(done) = work.as_mut().poll(cx) {
            return Poll::Ready(Outcome::Finished(done));
        }
        // A timer that is registered wakes this task; until it has elapsed there is no need to poll it.
        if let Some(deadline) = deadline.as_mut().as_pin_mut()
            && (another_task || deadline.is_elapsed())
            && deadline.poll(cx).is_ready()
        {
            return Poll::Ready(Outcome::TimedOut);
        }
        if let Some(delay) = cancel_after
            && sent.get().is_some()
        {
            let begins = cancellation.is_none();
            if begins {
                cancellation.set(Some(sleep(delay)));
            }
            if let Some(cancellation) = cancellation.as_mut().as_pin_mut()
                && (begins || another_task || cancellation.is_elapsed())
                && cancellation.poll(cx).is_ready()
            {
                return Poll::Ready(Outcome::CancelledAfterSend);
            }
        }
        Poll::Pending
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{pending, ready};

    fn block_on<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime")
            .block_on(future)
    }

    #[test]
    fn each_way_to_end() {
        block_on(async {
            let all = InFlight::default();
            let unsent = Cell::new(None);
            let sent = Cell::new(Some(MonoNs(1)));
            let short = Some(Duration::from_millis(5));
            assert_eq!(supervise(&all, short, short, &sent, pin!(ready(7))).await, Outcome::Finished(7));
            let never = pending::<()>;
            assert_eq!(supervise(&all, short, None, &unsent, pin!(never())).await, Outcome::TimedOut);
            assert_eq!(supervise(&all, None, short, &sent, pin!(never())).await, Outcome::CancelledAfterSend);
            // Not sent: the delay has not begun.
            assert_eq!(
                supervise(&all, short, Some(Duration::ZERO), &unsent, pin!(never())).await,
                Outcome::TimedOut
            );
            let mut forever = pin!(never());
            let (outcome, ()) = tokio::join!(supervise(&all, None, None, &unsent, forever.as_mut()), async {
                tokio::task::yield_now().await;
                assert_eq!(all.count(), 1);
                all.cancel_all();
            });
            assert_eq!(outcome, Outcome::CancelledByCaller);
            assert_eq!(all.count(), 0);
            // A request that begins afterwards is not meant.
            assert_eq!(supervise(&all, short, None, &unsent, pin!(ready(8))).await, Outcome::Finished(8));
        });
    }

    #[test]
    fn an_endless_timeout_is_no_timeout() {
        block_on(async {
            let all = InFlight::default();
            let unsent = Cell::new(None);
            assert_eq!(
                supervise(&all, Some(Duration::MAX), None, &unsent, pin!(ready(1))).await,
                Outcome::Finished(1)
            );
        });
    }
}
