//! User-centric rate: a number of users, each sending at its own even cadence.
//!
//! With `users` users and `rate` requests per second over all of them, a user sends every `users / rate`
//! seconds. At the start the users are at different points of their sessions, as in a running service:
//! each has some turns left, and one begins a whole session at once. A user whose session is over is
//! replaced after one more gap. All instants are absolute; late answers move none of them.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::share::Share;

/// `--user-centric-rate` with `--num-users`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UserRate {
    /// Requests per second over all users.
    pub rate: f64,
    /// Users at any time.
    pub users: u32,
    /// Turns of a session on average.
    pub turns: u32,
}

/// A session that begins.
pub(super) struct Start {
    pub(super) offset_ns: u64,
    /// Which of the concurrent users it belongs to, from 0.
    pub(super) user: u64,
    /// Turns left, for a user who was there before the start.
    pub(super) turns: Option<u32>,
}

/// Starts of sessions of all users, in order.
pub(super) struct Users {
    rate: UserRate,
    turns_of: Box<dyn Fn(u64) -> u32 + Send + Sync>,
    /// (stagger steps from the start, user, turns left).
    due: BinaryHeap<Reverse<(u64, u64, Option<u32>)>>,
    started: u64,
}

impl Users {
    pub(super) fn new(rate: UserRate, turns_of: Box<dyn Fn(u64) -> u32 + Send + Sync>) -> Self {
        let users = u64::from(rate.users.max(1));
        // Gaps in the life of a session; one at least, so that single turns are spread too.
        let lifetime = u64::from(rate.turns).saturating_sub(1).max(1);
        let step = spreading_step(users, lifetime);
        let mut due = BinaryHeap::with_capacity(users as usize + 1);
        due.push(Reverse((0, 0, None)));
        for user in 1..users {
            // The longer a user has been there, the fewer turns are left. User 0 is done: replaced above.
            let age = (users - user) * lifetime;
            let left = lifetime - age / users;
            let slot = step.map_or(age % users, |step| (user * step) % users);
            if left > 0 {
                due.push(Reverse((users - slot, user, u32::try_from(left).ok())));
            }
        }
        Self { rate, turns_of, due, started: 0 }
    }

    pub(super) fn turn_gap_ns(&self) -> u64 {
        self.steps_ns(u64::from(self.rate.users.max(1)))
    }

    /// The smallest distance between two users is 1 / rate; all instants are multiples of it.
    fn steps_ns(&self, steps: u64) -> u64 {
        (steps as f64 * 1e9 / self.rate.rate).round() as u64
    }

    pub(super) fn next_start(&mut self) -> Start {
        let (steps, user, left) = self.due.pop().map_or((0, 0, None), |Reverse(next)| next);
        let turns = left.unwrap_or_else(|| (self.turns_of)(self.started)).max(1);
        self.started += 1;
        let next = steps + u64::from(turns) * u64::from(self.rate.users.max(1));
        self.due.push(Reverse((next, user, None)));
        Start { offset_ns: self.steps_ns(steps), user, turns: left }
    }
}

/// Of the first `requests` turns that all users together are due (and of their first `sessions` sessions), those
/// of the users in `share`.
pub(super) fn turns_within(
    rate: UserRate,
    turns_of: Box<dyn Fn(u64) -> u32 + Send + Sync>,
    requests: u64,
    sessions: Option<u64>,
    share: Share,
) -> u64 {
    let turns_of = std::sync::Arc::new(turns_of);
    let of_session = std::sync::Arc::clone(&turns_of);
    let mut users = Users::new(rate, Box::new(move |session| of_session(session)));
    let gap = users.turn_gap_ns();
    let mut due: BinaryHeap<Reverse<(u64, u64, u64, u32)>> = BinaryHeap::new();
    let mut begun = 0;
    let mut start = Some(users.next_start());
    let mut mine = 0;
    for _ in 0..requests {
        while let Some(next) = start.take_if(|_| sessions.is_none_or(|most| begun < most)) {
            if due.peek().is_some_and(|Reverse(first)| first.0 < next.offset_ns) {
                start = Some(next);
                break;
            }
            let turns = next.turns.unwrap_or_else(|| turns_of(begun)).max(1);
            due.push(Reverse((next.offset_ns, begun, next.user, turns)));
            begun += 1;
            start = Some(users.next_start());
        }
        let Some(Reverse((at, session, user, left))) = due.pop() else { break };
        mine += u64::from(share.holds(user));
        if left > 1 {
            due.push(Reverse((at.saturating_add(gap), session, user, left - 1)));
        }
    }
    mine
}

/// When `users` and `lifetime` share a factor, ages alone would put several users on one instant: the
/// smallest step above 1 without a factor in common with `users` spreads them.
fn spreading_step(users: u64, lifetime: u64) -> Option<u64> {
    let gcd = |mut a: u64, mut b: u64| {
        while b != 0 {
            (a, b) = (b, a % b);
        }
        a
    };
    (gcd(users, lifetime) > 1).then(|| (2..users).find(|step| gcd(users, *step) == 1).unwrap_or(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn starts(rate: f64, users: u32, turns: u32, count: usize) -> Vec<(u64, u64, Option<u32>)> {
        let mut users = Users::new(UserRate { rate, users, turns }, Box::new(move |_| turns));
        let start = |start: Start| (start.offset_ns, start.user, start.turns);
        (0..count).map(|_| start(users.next_start())).collect()
    }

    #[test]
    fn the_first_round_is_staggered_with_turns_left() {
        // Fifteen users with sessions of twenty turns at one request per second.
        let first = starts(1.0, 15, 20, 15);
        let seconds: Vec<_> = first.iter().map(|start| start.0 / 1_000_000_000).collect();
        assert_eq!(seconds, (0..15).collect::<Vec<_>>());
        let left: Vec<_> = first.iter().map(|start| start.2.unwrap_or(20)).collect();
        assert_eq!(left, [20, 6, 11, 16, 2, 7, 12, 17, 3, 8, 13, 18, 4, 9, 14]);
    }

    #[test]
    fn requests_come_at_the_asked_rate_forever() {
        for (users, turns) in [(15, 20), (4, 5), (6, 4), (1, 2), (7, 2), (10, 1)] {
            let mut source = Users::new(UserRate { rate: 2.0, users, turns }, Box::new(move |_| turns));
            let gap = source.turn_gap_ns();
            let mut sent = Vec::new();
            for _ in 0..400 {
                let start = source.next_start();
                for turn in 0..u64::from(start.turns.unwrap_or(turns)) {
                    sent.push(start.offset_ns + turn * gap);
                }
            }
            sent.sort_unstable();
            // The first 200 requests are complete: exactly one every half second.
            for (index, at) in sent.iter().take(200).enumerate() {
                assert_eq!(*at, index as u64 * 500_000_000, "{users} users, {turns} turns, request {index}");
            }
        }
    }
}
