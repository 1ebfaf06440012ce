//! Sleeping until an instant, to the precision of the kernel's timers.
//!
//! Tokio's own timer rounds up to 1 ms, which bunches arrivals. One timerfd for each shard drives a heap of
//! deadlines; an earlier deadline re-arms it at once. A sleeping core takes tens of microseconds to wake, so the
//! timer is armed that much ahead, and the rest is waited out awake.

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::future::Future;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::io::unix::AsyncFd;
use tokmeter_http::clock;
use tokmeter_record::MonoNs;

#[expect(deprecated, reason = "the successor is an unsafe function; an OwnedFd never changes its descriptor")]
fn watch(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::new(fd)
}

/// Most that a timer is armed ahead of its deadline, ns: what a shard may spend awake for one arrival.
const MOST_LEAD_NS: u64 = 60_000;

struct Deadline {
    at: u64,
    sequence: u64,
    waker: Rc<RefCell<Option<Waker>>>,
}

impl PartialEq for Deadline {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.sequence) == (other.at, other.sequence)
    }
}
impl Eq for Deadline {}
impl PartialOrd for Deadline {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Deadline {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.sequence).cmp(&(other.at, other.sequence))
    }
}

struct Inner {
    fd: AsyncFd<OwnedFd>,
    deadlines: RefCell<BinaryHeap<Reverse<Deadline>>>,
    sequence: Cell<u64>,
    /// When the timerfd is to fire.
    armed: Cell<u64>,
    /// How long this machine takes to wake, ns: a moving mean, at most [`MOST_LEAD_NS`].
    lead: Cell<u64>,
}

/// The shard's timer. Clones share one timerfd.
#[derive(Clone)]
pub(crate) struct Timer(Rc<Inner>);

impl Timer {
    /// Creates the timerfd and starts the task that wakes due sleepers; needs a `LocalSet`.
    pub(crate) fn start() -> io::Result<Timer> {
        let fd = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        let timer = Timer(Rc::new(Inner {
            fd: watch(fd)?,
            deadlines: RefCell::default(),
            sequence: Cell::new(0),
            armed: Cell::new(0),
            lead: Cell::new(0),
        }));
        let driver = timer.clone();
        tokio::task::spawn_local(async move { driver.drive().await });
        Ok(timer)
    }

    /// Resolves at `at`, or at once when that is past.
    pub(crate) fn until(&self, at: MonoNs) -> Until {
        Until { timer: self.clone(), at, waker: None }
    }

    async fn drive(&self) {
        loop {
            let Ok(mut ready) = self.0.fd.readable().await else { return };
            let mut expirations = [0u8; 8];
            // Reading acknowledges the expiry; an empty read only means another thread of events came first.
            let _ = rustix::io::read(self.0.fd.get_ref(), &mut expirations);
            ready.clear_ready();
            let mut now = clock::now().0;
            self.learn(now);
            let mut deadlines = self.0.deadlines.borrow_mut();
            if let Some(Reverse(next)) = deadlines.peek()
                && next.at <= now + self.0.lead.get()
            {
                while now < next.at {
                    std::hint::spin_loop();
                    now = clock::now().0;
                }
            }
            while deadlines.peek().is_some_and(|next| next.0.at <= now) {
                if let Some(Reverse(due)) = deadlines.pop()
                    && let Some(waker) = due.waker.borrow_mut().take()
                {
                    waker.wake();
                }
            }
            if let Some(next) = deadlines.peek() {
                self.arm(next.0.at);
            }
        }
    }

    /// One more wake-up, at `now`.
    fn learn(&self, now: u64) {
        let late = now.saturating_sub(self.0.armed.get()).min(MOST_LEAD_NS);
        self.0.lead.set((self.0.lead.get() * 15 + late) / 16);
    }

    fn arm(&self, at: u64) {
        let at = at.saturating_sub(self.0.lead.get()).max(1);
        self.0.armed.set(at);
        let expiry = Itimerspec {
            it_interval: Timespec { tv_sec: 0, tv_nsec: 0 },
            it_value: Timespec { tv_sec: (at / 1_000_000_000) as i64, tv_nsec: (at % 1_000_000_000) as i64 },
        };
        // Arming a valid timerfd with a valid time cannot fail.
        let _ = timerfd_settime(self.0.fd.get_ref(), TimerfdTimerFlags::ABSTIME, &expiry);
    }

    fn insert(&self, at: u64, waker: Rc<RefCell<Option<Waker>>>) {
        let sequence = self.0.sequence.get();
        self.0.sequence.set(sequence + 1);
        let mut deadlines = self.0.deadlines.borrow_mut();
        let earliest = deadlines.peek().is_none_or(|next| at < next.0.at);
        deadlines.push(Reverse(Deadline { at, sequence, waker }));
        if earliest {
            self.arm(at);
        }
    }
}

/// Future of [`Timer::until`].
pub(crate) struct Until {
    timer: Timer,
    at: MonoNs,
    waker: Option<Rc<RefCell<Option<Waker>>>>,
}

impl Future for Until {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if clock::now() >= self.at {
            return Poll::Ready(());
        }
        match &self.waker {
            Some(waker) => *waker.borrow_mut() = Some(cx.waker().clone()),
            None => {
                let waker = Rc::new(RefCell::new(Some(cx.waker().clone())));
                self.timer.insert(self.at.0, waker.clone());
                self.waker = Some(waker);
            }
        }
        Poll::Pending
    }
}

impl Drop for Until {
    fn drop(&mut self) {
        // The heap entry stays until it is due; without a waker it costs nothing then.
        if let Some(waker) = &self.waker {
            waker.borrow_mut().take();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on_local_set<F: Future>(future: F) -> F::Output {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        tokio::task::LocalSet::new().block_on(&runtime, future)
    }

    #[test]
    fn deadlines_are_never_early_and_resolve_in_order() {
        on_local_set(async {
            let timer = Timer::start().unwrap();
            let base = clock::now();
            let order = Rc::new(RefCell::new(Vec::new()));
            let mut tasks = Vec::new();
            for (name, offset_us) in [("late", 6_000), ("early", 900), ("middle", 3_000)] {
                let (timer, order) = (timer.clone(), order.clone());
                tasks.push(tokio::task::spawn_local(async move {
                    let at = base.after(offset_us * 1_000);
                    timer.until(at).await;
                    assert!(clock::now() >= at);
                    order.borrow_mut().push(name);
                }));
            }
            for task in tasks {
                task.await.unwrap();
            }
            assert_eq!(*order.borrow(), ["early", "middle", "late"]);
        });
    }

    #[test]
    fn a_past_deadline_resolves_at_once_and_dropped_sleepers_do_not_block_others() {
        on_local_set(async {
            let timer = Timer::start().unwrap();
            timer.until(MonoNs(1)).await;
            let soon = clock::now().after(2_000_000);
            {
                let mut sleeper = Box::pin(timer.until(soon));
                futures_util::future::poll_fn(|cx| {
                    let _ = sleeper.as_mut().poll(cx);
                    Poll::Ready(())
                })
                .await;
            }
            timer.until(soon.after(1_000_000)).await;
            assert!(clock::now() >= soon.after(1_000_000));
        });
    }
}
