//! A place in the queue.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use super::{Grant, Lane, Pool};
use crate::clock;

/// Where a grant is put for a request that waits.
#[derive(Default)]
pub(super) struct Waiter {
    state: RefCell<WaiterState>,
}

#[derive(Default)]
struct WaiterState {
    grant: Option<Grant>,
    given: bool,
    waker: Option<Waker>,
}

impl Waiter {
    /// Hands over a grant and wakes the request.
    pub(super) fn give(&self, grant: Grant) {
        let mut state = self.state.borrow_mut();
        state.grant = Some(grant);
        state.given = true;
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// Resolves to a grant. Dropped before, it leaves the queue; dropped with a grant, it gives it back.
pub(crate) struct Waiting {
    pool: Rc<Pool>,
    lane: Lane,
    waiter: Rc<Waiter>,
}

impl Waiting {
    pub(super) fn new(pool: Rc<Pool>, lane: Lane, waiter: Rc<Waiter>) -> Self {
        Waiting { pool, lane, waiter }
    }
}

impl Future for Waiting {
    type Output = Grant;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Grant> {
        let mut state = self.waiter.state.borrow_mut();
        match state.grant.take() {
            Some(grant) => Poll::Ready(grant),
            None => {
                state.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut state = self.waiter.state.borrow_mut();
        let (given, grant) = (state.given, state.grant.take());
        drop(state);
        if !given {
            self.pool.leave(self.lane, &self.waiter);
        }
        match grant {
            Some(Grant::H1(connection)) => self.pool.put_back(self.lane, connection, clock::now()),
            other => drop(other),
        }
    }
}
