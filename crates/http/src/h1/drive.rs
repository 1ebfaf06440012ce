//! A waker for a connection that is polled inside its request's own task.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::{Wake, Waker};

use futures_util::task::AtomicWaker;

/// While connection and body are polled in one loop they wake each other; those wakes only mean "go round
/// once more" and need no trip through the scheduler. A wake at any other time goes to the task.
#[derive(Default)]
pub(super) struct Drive {
    task: AtomicWaker,
    polling: AtomicBool,
    woken: AtomicBool,
}

impl Drive {
    /// The loop begins, in the task of `waker`.
    pub(super) fn enter(&self, waker: &Waker) {
        self.task.register(waker);
        self.polling.store(true, SeqCst);
    }

    /// A round begins.
    pub(super) fn begin_round(&self) {
        self.woken.store(false, SeqCst);
    }

    /// Whether anything asked for another round.
    pub(super) fn woken(&self) -> bool {
        self.woken.load(SeqCst)
    }

    /// The loop ends with a result: nobody waits any more.
    pub(super) fn finish(&self) {
        self.polling.store(false, SeqCst);
        self.woken.store(false, SeqCst);
    }

    /// Polls once on behalf of nobody: wakes in between mean nothing.
    pub(super) fn aside<T>(&self, poll: impl FnOnce() -> T) -> T {
        self.polling.store(true, SeqCst);
        let outcome = poll();
        self.finish();
        outcome
    }

    /// The loop ends for now. A wake that came too late for it goes to the task.
    pub(super) fn leave(&self) {
        self.polling.store(false, SeqCst);
        if self.woken.swap(false, SeqCst) {
            self.task.wake();
        }
    }
}

impl Wake for Drive {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // First the mark, then the look: whatever `leave` does in between, one of the two sees the other.
        self.woken.store(true, SeqCst);
        if !self.polling.load(SeqCst) {
            self.task.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;

    struct Count(AtomicU32);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
        }
    }

    #[test]
    fn wakes_inside_the_loop_stay_inside() {
        let count = Arc::new(Count(AtomicU32::new(0)));
        let task = Waker::from(Arc::clone(&count));
        let drive = Arc::new(Drive::default());
        let inner = Waker::from(Arc::clone(&drive));
        drive.enter(&task);
        drive.begin_round();
        inner.wake_by_ref();
        assert!(drive.woken());
        assert_eq!(count.0.load(SeqCst), 0);
        drive.begin_round();
        drive.leave();
        assert_eq!(count.0.load(SeqCst), 0);
        inner.wake_by_ref();
        assert_eq!(count.0.load(SeqCst), 1);
    }

    #[test]
    fn an_unheard_wake_reaches_the_task() {
        let count = Arc::new(Count(AtomicU32::new(0)));
        let task = Waker::from(Arc::clone(&count));
        let drive = Arc::new(Drive::default());
        let inner = Waker::from(Arc::clone(&drive));
        drive.enter(&task);
        drive.begin_round();
        inner.wake();
        drive.leave();
        assert_eq!(count.0.load(SeqCst), 1);
    }
}
