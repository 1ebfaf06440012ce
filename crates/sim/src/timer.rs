//! Deadlines below a millisecond for thousands of streams: one alarm per worker thread and a heap.
//!
//! tokio's own timer rounds up to a millisecond, and a timerfd per stream would cost a descriptor
//! and two system calls per token. Here all sleeps of a worker share one alarm, armed for the
//! earliest of them.

mod alarm;

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use crate::clock::mono_ns;
use alarm::Alarm;

/// The deadline heap of one worker thread. Cheap to clone.
#[derive(Clone)]
pub struct Timer(Rc<Inner>);

struct Inner {
    alarm: Alarm,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    /// (deadline, slot, generation), earliest first. Entries of dropped sleeps stay until due and
    /// are recognised by their generation.
    heap: BinaryHeap<Reverse<(u64, u32, u32)>>,
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// What the alarm is set to; `u64::MAX` when it is not set.
    armed_ns: u64,
}

#[derive(Default)]
struct Slot {
    generation: u32,
    fired: bool,
    waker: Option<Waker>,
}

impl Timer {
    /// Creates the alarm. Must be called inside a tokio runtime with its I/O driver on.
    pub fn new() -> io::Result<Self> {
        let state = State { armed_ns: u64::MAX, ..State::default() };
        Ok(Self(Rc::new(Inner { alarm: Alarm::new()?, state: RefCell::new(state) })))
    }

    /// Completes at or after `deadline_ns` on CLOCK_MONOTONIC, at once if that has passed.
    pub fn sleep_until(&self, deadline_ns: u64) -> Sleep {
        Sleep { timer: self.0.clone(), deadline_ns, slot: None }
    }

    /// Waits for the alarm and wakes what is due; runs as a task of its own for the worker's life.
    pub async fn drive(self) {
        let mut due = Vec::new();
        loop {
            if let Err(error) = self.0.alarm.rings().await {
                tracing::error!(%error, "the timer of a simulator worker failed");
                return;
            }
            self.0.collect_due(&mut due);
            for waker in due.drain(..) {
                waker.wake();
            }
        }
    }
}

impl Inner {
    fn collect_due(&self, due: &mut Vec<Waker>) {
        let mut guard = self.state.borrow_mut();
        let state = &mut *guard;
        let now = mono_ns();
        state.armed_ns = u64::MAX;
        while let Some(&Reverse((deadline_ns, slot, generation))) = state.heap.peek() {
            let live = &mut state.slots[slot as usize];
            if live.generation != generation {
                state.heap.pop();
            } else if deadline_ns <= now {
                live.fired = true;
                due.extend(live.waker.take());
                state.heap.pop();
            } else {
                state.armed_ns = deadline_ns;
                self.alarm.set(deadline_ns);
                break;
            }
        }
    }

    fn register(&self, deadline_ns: u64, waker: &Waker) -> u32 {
        let mut guard = self.state.borrow_mut();
        let state = &mut *guard;
        let slot = state.free.pop().unwrap_or_else(|| {
            state.slots.push(Slot::default());
            (state.slots.len() - 1) as u32
        });
        let entry = &mut state.slots[slot as usize];
        entry.fired = false;
        entry.waker = Some(waker.clone());
        state.heap.push(Reverse((deadline_ns, slot, entry.generation)));
        if deadline_ns < state.armed_ns {
            state.armed_ns = deadline_ns;
            self.alarm.set(deadline_ns);
        }
        slot
    }
}

/// Future of [`Timer::sleep_until`].
pub struct Sleep {
    timer: Rc<Inner>,
    deadline_ns: u64,
    slot: Option<u32>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(slot) = self.slot else {
            if self.deadline_ns <= mono_ns() {
                return Poll::Ready(());
            }
            self.slot = Some(self.timer.register(self.deadline_ns, cx.waker()));
            return Poll::Pending;
        };
        let mut state = self.timer.state.borrow_mut();
        let entry = &mut state.slots[slot as usize];
        if entry.fired {
            return Poll::Ready(());
        }
        match &mut entry.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            empty => *empty = Some(cx.waker().clone()),
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(slot) = self.slot {
            let mut state = self.timer.state.borrow_mut();
            let entry = &mut state.slots[slot as usize];
            entry.generation = entry.generation.wrapping_add(1);
            entry.waker = None;
            state.free.push(slot);
        }
    }
}
