//! Deciding who gets what.

use std::rc::Rc;

use super::{DialRight, Grant, Kept, Lane, LaneState, Permit, Pool, State, Wish};
use crate::dial::Protocol;
use crate::h2::Slot;

impl Pool {
    /// What a request to `lane` with `ahead` others before it may have now. `given_up` is what had to make
    /// room for it; it must be dropped after the state is released.
    pub(super) fn decide(
        self: &Rc<Self>,
        state: &mut State,
        lane: Lane,
        wish: Wish,
        ahead: usize,
        given_up: &mut Option<Kept>,
    ) -> Option<Grant> {
        let own = &mut state.lanes[lane.0];
        if wish == Wish::Shared {
            if let Some(connection) = own.idle.pop_back() {
                return Some(Grant::H1(connection));
            }
            let freest = own.shared.iter().filter(|shared| shared.has_room(self.streams));
            if let Some(connection) = freest.min_by_key(|shared| shared.active()) {
                return Some(Grant::Stream(Slot::new(Rc::clone(connection), Rc::clone(self), lane)));
            }
            if ahead < self.served_by_dials(own) {
                return None;
            }
        }
        let permit = if state.open < self.max_open {
            state.open += 1;
            Permit { pool: Rc::clone(self) }
        } else {
            self.make_room(state, given_up)?
        };
        state.lanes[lane.0].dialing += 1;
        Some(Grant::Dial(DialRight { pool: Rc::clone(self), lane, permit: Some(permit) }))
    }

    /// How many waiting requests the connections being made now will serve, besides those that make them.
    fn served_by_dials(&self, lane: &LaneState) -> usize {
        match lane.protocol {
            Some(Protocol::H1) => 0,
            Some(Protocol::H2) => lane.dialing * (self.streams - 1),
            // The first handshake tells what the server speaks; until then one connection is made.
            None if lane.dialing > 0 => usize::MAX,
            None => 0,
        }
    }

    /// Takes the permit of an idle connection: of another server first, then of the sticky key that was
    /// silent for longest. HTTP/2 connections close by themselves and give their permit back then.
    fn make_room(&self, state: &mut State, given_up: &mut Option<Kept>) -> Option<Permit> {
        let idle = state.lanes.iter_mut().filter(|lane| !lane.idle.is_empty());
        let oldest = idle.min_by_key(|lane| lane.idle.front().map(|connection| connection.idle_since));
        if let Some(mut connection) = oldest.and_then(|lane| lane.idle.pop_front()) {
            return connection.take_permit();
        }
        for lane in &mut state.lanes {
            if let Some(index) = lane.shared.iter().position(|shared| shared.active() == 0) {
                lane.shared.swap_remove(index);
                return None;
            }
        }
        let (&silent, _) = state.sticky.iter().min_by_key(|(_, entry)| entry.since)?;
        match state.sticky.remove(&silent)?.kept {
            Kept::H1(mut connection) => connection.take_permit(),
            stream => {
                *given_up = Some(stream);
                None
            }
        }
    }

    /// Serves those who wait, in the order they came, as far as it goes.
    pub(super) fn serve(self: &Rc<Self>) {
        loop {
            let mut given_up = None;
            let mut served = None;
            let mut state = self.state.borrow_mut();
            let mut passed = None;
            // First in line of each lane, by ticket: one server without room must not stop the others.
            while let Some((ticket, lane, wish)) = first_after(&state, passed) {
                if let Some(grant) = self.decide(&mut state, lane, wish, 0, &mut given_up) {
                    let front = state.lanes[lane.0].waiting.pop_front();
                    served = front.map(|(_, _, waiter)| (waiter, grant));
                    break;
                }
                passed = Some(ticket);
            }
            drop(state);
            drop(given_up);
            match served {
                Some((waiter, grant)) => waiter.give(grant),
                None => return,
            }
        }
    }
}

/// Of the requests first in line, the one with the lowest ticket above `passed`.
fn first_after(state: &State, passed: Option<u64>) -> Option<(u64, Lane, Wish)> {
    let fronts = state.lanes.iter().enumerate().filter_map(|(index, lane)| {
        let (ticket, wish, _) = lane.waiting.front()?;
        Some((*ticket, Lane(index), *wish))
    });
    fronts
        .filter(|(ticket, ..)| passed.is_none_or(|passed| *ticket > passed))
        .min_by_key(|(ticket, ..)| *ticket)
}
