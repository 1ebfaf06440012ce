//! Who may use which connection: idle ones, stream slots, the limit, and the order of those who wait.
//!
//! A [`Permit`] is the right of one connection to be open. Requests that find no connection and no permit
//! wait in the order they came; each change (a connection comes back, one closes, one is made) serves as many
//! of them as it can.

mod serve;
mod wait;

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use tokmeter_record::MonoNs;

use self::wait::Waiter;
pub(crate) use self::wait::Waiting;
use crate::config::{ClientConfig, HttpVersion};
use crate::dial::Protocol;
use crate::exchange::Origin;
use crate::h1::H1;
use crate::h2::{H2, Slot};

/// Index of an origin within the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Lane(usize);

/// What a request may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// Any connection to the origin.
    Shared,
    /// A new connection, shared with nobody.
    Own,
}

/// What a request was given.
pub(crate) enum Grant {
    /// A connection, idle until now.
    H1(Box<H1>),
    /// A stream of a shared connection.
    Stream(Slot),
    /// The right to make a connection.
    Dial(DialRight),
}

/// A connection kept for one sticky key.
pub(crate) enum Kept {
    H1(Box<H1>),
    H2(Slot),
}

struct KeptSince {
    kept: Kept,
    since: MonoNs,
}

struct LaneState {
    /// Known protocol; `None` until the first TLS handshake has told.
    protocol: Option<Protocol>,
    /// The most recently used at the back.
    idle: VecDeque<Box<H1>>,
    shared: Vec<Rc<H2>>,
    dialing: usize,
    waiting: VecDeque<(u64, Wish, Rc<Waiter>)>,
}

#[derive(Default)]
struct State {
    open: usize,
    tickets: u64,
    lanes: Vec<LaneState>,
    sticky: HashMap<(Lane, u64), KeptSince>,
}

/// The connections of one client.
pub(crate) struct Pool {
    max_open: usize,
    streams: usize,
    version: HttpVersion,
    idle_ns: u64,
    state: RefCell<State>,
}

/// The right of one connection to be open.
pub(crate) struct Permit {
    pool: Rc<Pool>,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.pool.state.borrow_mut().open -= 1;
        self.pool.serve();
    }
}

/// The right to make one connection to an origin.
pub(crate) struct DialRight {
    pool: Rc<Pool>,
    lane: Lane,
    permit: Option<Permit>,
}

impl DialRight {
    /// The connection speaks HTTP/1.1: its permit.
    pub(crate) fn into_permit(mut self) -> Option<Permit> {
        self.pool.state.borrow_mut().lanes[self.lane.0].protocol = Some(Protocol::H1);
        self.permit.take()
    }

    /// The permit, for a connection that is not ready yet.
    pub(crate) fn take_permit(&mut self) -> Option<Permit> {
        self.permit.take()
    }

    /// The connection speaks HTTP/2: its free streams are for everyone.
    pub(crate) fn share(self, connection: Rc<H2>) {
        let mut state = self.pool.state.borrow_mut();
        let lane = &mut state.lanes[self.lane.0];
        lane.protocol = Some(Protocol::H2);
        lane.shared.push(connection);
        // Dropping the right serves those who wait.
    }
}

impl Drop for DialRight {
    fn drop(&mut self) {
        self.pool.state.borrow_mut().lanes[self.lane.0].dialing -= 1;
        // An unused permit goes first: those who wait may take it.
        drop(self.permit.take());
        self.pool.serve();
    }
}

impl Pool {
    pub(crate) fn new(config: &ClientConfig) -> Rc<Self> {
        Rc::new(Pool {
            max_open: config.max_connections.unwrap_or(usize::MAX),
            streams: config.streams_per_connection,
            version: config.http_version,
            idle_ns: u64::try_from(config.idle_timeout.as_nanos()).unwrap_or(u64::MAX),
            state: RefCell::default(),
        })
    }

    /// A lane for a new origin; `proxied` says that plain http goes through a proxy.
    pub(crate) fn add_lane(&self, origin: &Origin, proxied: bool) -> Lane {
        let protocol = match self.version {
            HttpVersion::V1 => Some(Protocol::H1),
            HttpVersion::Auto if origin.tls => None,
            HttpVersion::Auto => Some(Protocol::H1),
            HttpVersion::V2 if proxied && !origin.tls => Some(Protocol::H1),
            HttpVersion::V2 => Some(Protocol::H2),
        };
        let mut state = self.state.borrow_mut();
        state.lanes.push(LaneState {
            protocol,
            idle: VecDeque::new(),
            shared: Vec::new(),
            dialing: 0,
            waiting: VecDeque::new(),
        });
        Lane(state.lanes.len() - 1)
    }

    /// A connection for a request, at once if there is one.
    pub(crate) fn try_acquire(self: &Rc<Self>, lane: Lane, wish: Wish) -> Option<Grant> {
        let mut given_up = None;
        let mut state = self.state.borrow_mut();
        let ahead = state.lanes[lane.0].waiting.len();
        // Whoever waits already comes first; only one more connection for a long queue of HTTP/2 streams may
        // be begun past them.
        let may_pass = state.lanes[lane.0].protocol == Some(Protocol::H2);
        let grant = if ahead == 0 || may_pass {
            self.decide(&mut state, lane, wish, ahead, &mut given_up)
        } else {
            None
        };
        drop(state);
        drop(given_up);
        grant
    }

    /// A place in the queue; it resolves to a grant.
    pub(crate) fn wait(self: &Rc<Self>, lane: Lane, wish: Wish) -> Waiting {
        let waiter = Rc::new(Waiter::default());
        let mut state = self.state.borrow_mut();
        let ticket = state.tickets;
        state.tickets += 1;
        state.lanes[lane.0].waiting.push_back((ticket, wish, Rc::clone(&waiter)));
        Waiting::new(Rc::clone(self), lane, waiter)
    }

    /// The connection kept for a sticky key.
    pub(crate) fn take_kept(&self, lane: Lane, key: u64) -> Option<Kept> {
        Some(self.state.borrow_mut().sticky.remove(&(lane, key))?.kept)
    }

    /// Keeps a connection for a sticky key.
    pub(crate) fn keep(self: &Rc<Self>, lane: Lane, key: u64, kept: Kept, since: MonoNs) {
        let replaced = self.state.borrow_mut().sticky.insert((lane, key), KeptSince { kept, since });
        drop(replaced);
        self.serve_if_waited_for();
    }

    /// Closes what is kept for a sticky key.
    pub(crate) fn forget_kept(&self, key: u64) {
        let mut gone = Vec::new();
        let mut state = self.state.borrow_mut();
        let lanes: Vec<_> = state.sticky.keys().filter(|(_, k)| *k == key).copied().collect();
        gone.extend(lanes.iter().filter_map(|entry| state.sticky.remove(entry)));
        drop(state);
        drop(gone);
    }

    /// A connection is idle again.
    pub(crate) fn put_back(self: &Rc<Self>, lane: Lane, mut connection: Box<H1>, now: MonoNs) {
        connection.idle_since = now;
        let mut state = self.state.borrow_mut();
        let idle = &mut state.lanes[lane.0].idle;
        idle.push_back(connection);
        let outdated = match idle.front() {
            Some(oldest) if self.is_outdated(oldest, now) => idle.pop_front(),
            _ => None,
        };
        drop(state);
        drop(outdated);
        self.serve_if_waited_for();
    }

    /// Whether a connection was idle for too long to be used.
    pub(crate) fn is_outdated(&self, connection: &H1, now: MonoNs) -> bool {
        now.0.saturating_sub(connection.idle_since.0) > self.idle_ns
    }

    /// Another idle connection to the same origin, if there is one.
    pub(crate) fn try_idle(&self, lane: Lane) -> Option<Box<H1>> {
        self.state.borrow_mut().lanes[lane.0].idle.pop_back()
    }

    /// The right to dial with the permit of a connection that is gone.
    pub(crate) fn dial_again(self: &Rc<Self>, lane: Lane, permit: Permit) -> DialRight {
        self.state.borrow_mut().lanes[lane.0].dialing += 1;
        DialRight { pool: Rc::clone(self), lane, permit: Some(permit) }
    }

    /// A stream has ended, or an HTTP/2 connection takes no more of them.
    pub(crate) fn streams_changed(self: &Rc<Self>, lane: Lane) {
        let mut closed = Vec::new();
        let mut state = self.state.borrow_mut();
        let shared = &mut state.lanes[lane.0].shared;
        while let Some(index) = shared.iter().position(|connection| !connection.is_open()) {
            closed.push(shared.swap_remove(index));
        }
        drop(state);
        drop(closed);
        self.serve_if_waited_for();
    }

    /// Connections open, idle among them, and requests waiting.
    pub(crate) fn counts(&self) -> (usize, usize, usize) {
        let state = self.state.borrow();
        let idle = state.lanes.iter().map(|lane| lane.idle.len()).sum::<usize>() + state.sticky.len();
        (state.open, idle, state.lanes.iter().map(|lane| lane.waiting.len()).sum())
    }

    /// Closes everything that is idle. The pool and its connections refer to each other; this ends that.
    pub(crate) fn clear(&self) {
        let mut gone = Vec::new();
        let mut shared = Vec::new();
        let mut state = self.state.borrow_mut();
        for lane in &mut state.lanes {
            gone.extend(lane.idle.drain(..));
            shared.append(&mut lane.shared);
        }
        let sticky = std::mem::take(&mut state.sticky);
        drop(state);
        drop((gone, shared, sticky));
    }

    /// Removes a request that no longer waits.
    fn leave(self: &Rc<Self>, lane: Lane, waiter: &Rc<Waiter>) {
        let mut state = self.state.borrow_mut();
        state.lanes[lane.0].waiting.retain(|(_, _, queued)| !Rc::ptr_eq(queued, waiter));
    }

    fn serve_if_waited_for(self: &Rc<Self>) {
        if self.state.borrow().lanes.iter().any(|lane| !lane.waiting.is_empty()) {
            self.serve();
        }
    }
}
