//! When requests are to be sent: absolute instants, known before the first request leaves.
//!
//! A [`Schedule`] is a lazy iterator of [`Arrival`]s, computed from the plan and the seed alone, never from
//! answers or from the time of the previous send. Any part of it can be taken with [`Share`]: the parts of
//! all shards and machines together are the schedule of one machine, instant for instant.

pub mod cancellation;
pub mod config;
pub mod distance;
mod plan;
mod poisson;
mod ramp;
mod rate;
mod share;
mod trace;
mod users;
mod validate;

pub use cancellation::Cancellations;
pub use config::{ArrivalPattern, LoadConfig};
pub use plan::{Cancellation, LoadContext, LoadPlan, LoadShape, PhasePlan, TraceReplay};
pub use poisson::Spacing;
pub use ramp::SlotRamp;
pub use rate::{RatePoint, RateProfile, read_rate_series};
pub use share::{Share, ShareError};
pub use trace::{TraceClock, TraceInstant};
pub use users::UserRate;
pub use validate::LoadError;

use crate::seed::Seed;

/// One thing that the schedule asks for at one instant: a slot that opens, a request, or a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Number of the arrival in the whole phase, over all shards and machines, from 0.
    pub number: u64,
    /// The intended instant, in nanoseconds from the start of the phase.
    pub intended_offset_ns: u64,
    /// The session to begin, where the schedule decides it: an entry of the dataset (fixed schedule), or
    /// the number of the session in the phase (user-centric). Otherwise a due turn of a running session
    /// goes first, and then the next new session.
    pub session: Option<u64>,
    /// Turns of the session to send at most; a user who was there before the start has fewer left.
    pub turns: Option<u32>,
}

/// Arrivals of one phase in order of their instants (equal instants in order of their numbers).
pub struct Schedule {
    source: Source,
    share: Share,
    number: u64,
    limit: Option<u64>,
    end_ns: Option<u64>,
}

enum Source {
    Slots { ramp: SlotRamp, slots: u64 },
    Rate { points: Box<poisson::UnitPoints>, profile: RateProfile },
    Trace { instants: Vec<TraceInstant>, clock: TraceClock },
    Users(Box<users::Users>),
}

impl Schedule {
    /// The schedule of `plan`, as far as `share` has a part in it.
    ///
    /// `instants` are the trace's timestamps (`Dataset::instants`), used by a fixed schedule only.
    /// `turns_of` tells how many turns session `n` of the phase has, used by user-centric rate only.
    #[must_use]
    pub fn new(
        plan: &PhasePlan,
        seed: Seed,
        share: Share,
        instants: &[TraceInstant],
        turns_of: impl Fn(u64) -> u32 + Send + Sync + 'static,
    ) -> Self {
        let end_ns = plan.duration.map(|duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
        // Where an arrival begins a session, the requests bound the arrivals from above only: the run counts
        // the turns it sends.
        let sessions = plan.sessions.filter(|_| plan.arrivals_begin_sessions());
        let limit = [plan.requests, sessions].into_iter().flatten().min();
        let source = match &plan.shape {
            LoadShape::Closed => {
                Source::Slots { ramp: plan.slot_ramp(), slots: u64::from(plan.concurrency.unwrap_or(1)) }
            }
            LoadShape::Rate { profile, spacing } => Source::Rate {
                points: Box::new(poisson::UnitPoints::new(*spacing, seed.stream("arrivals"))),
                profile: profile.clone(),
            },
            LoadShape::FixedSchedule(replay) => {
                let (clock, instants) = replay.select(instants);
                Source::Trace { instants, clock }
            }
            LoadShape::UserCentric(rate) => {
                Source::Users(Box::new(users::Users::new(*rate, Box::new(turns_of))))
            }
        };
        Self { source, share, number: 0, limit, end_ns }
    }

    /// The trace's clock of a fixed schedule: where later turns with timestamps of their own belong.
    #[must_use]
    pub fn trace_clock(&self) -> Option<TraceClock> {
        match &self.source {
            Source::Trace { clock, .. } => Some(*clock),
            _ => None,
        }
    }

    /// Nanoseconds from one turn of a user to the next, for user-centric rate.
    #[must_use]
    pub fn turn_gap_ns(&self) -> Option<u64> {
        match &self.source {
            Source::Users(users) => Some(users.turn_gap_ns()),
            _ => None,
        }
    }

    /// The next arrival of the whole phase, and the number that decides whose it is.
    fn advance(&mut self) -> Option<(Arrival, u64)> {
        let number = self.number;
        if self.limit.is_some_and(|limit| number >= limit) {
            return None;
        }
        let plain = |intended_offset_ns| Arrival { number, intended_offset_ns, session: None, turns: None };
        let (arrival, owner) = match &mut self.source {
            Source::Slots { ramp, slots } => {
                (number < *slots).then(|| (plain(ramp.opens_at_ns(number)), number))?
            }
            Source::Rate { points, profile } => {
                let offset = profile.offset_ns_of(points.next_point())?;
                (plain(offset), number)
            }
            Source::Trace { instants, clock } => {
                let instant = instants.get(usize::try_from(number).ok()?)?;
                let mut arrival = plain(clock.offset_ns(instant.at));
                arrival.session = Some(instant.session);
                (arrival, number)
            }
            Source::Users(users) => {
                let start = users.next_start();
                let mut arrival = plain(start.offset_ns);
                (arrival.session, arrival.turns) = (Some(number), start.turns);
                (arrival, start.user)
            }
        };
        if self.end_ns.is_some_and(|end| arrival.intended_offset_ns >= end) {
            return None;
        }
        self.number += 1;
        Some((arrival, owner))
    }
}

impl Iterator for Schedule {
    type Item = Arrival;

    fn next(&mut self) -> Option<Arrival> {
        loop {
            let (arrival, owner) = self.advance()?;
            if self.share.holds(owner) {
                return Some(arrival);
            }
        }
    }
}

#[cfg(test)]
mod tests;
