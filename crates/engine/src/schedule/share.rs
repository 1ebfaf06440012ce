//! Which part of a phase one machine, or one shard of it, runs.

use super::plan::{LoadShape, PhasePlan};
use super::users;

/// The part of a phase that one shard of one machine runs: arrivals, slots, sessions whose number leaves
/// remainder `rank` when divided by `size`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    rank: u64,
    size: u64,
}

/// Why a load cannot be dealt to so many machines.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShareError {
    /// A machine without a slot would never send its sessions.
    #[error("`{flag}` is {slots}: {ranks} ranks need one each at least")]
    Slots {
        /// The flag.
        flag: &'static str,
        /// Slots asked for.
        slots: u32,
        /// Machines.
        ranks: u64,
    },
    /// Which turns are the first so many depends on the answers to the turns before.
    #[error("`{flag}` cannot be dealt to ranks when the sessions of a trace have several turns")]
    Turns {
        /// The flag.
        flag: &'static str,
    },
}

impl Share {
    /// Everything.
    pub const WHOLE: Self = Self { rank: 0, size: 1 };

    /// Part `rank` of `size`; `None` unless `rank < size`.
    #[must_use]
    pub fn new(rank: u32, size: u32) -> Option<Self> {
        (rank < size).then_some(Self { rank: u64::from(rank), size: u64::from(size) })
    }

    /// Part `rank` of `size` of this part: the shard of a machine.
    #[must_use]
    pub fn split(self, rank: u32, size: u32) -> Option<Self> {
        Self::new(rank, size)
            .map(|inner| Self { rank: self.rank + self.size * inner.rank, size: self.size * inner.size })
    }

    /// Which part it is, from 0.
    #[must_use]
    pub fn rank(self) -> u64 {
        self.rank
    }

    /// Of how many.
    #[must_use]
    pub fn size(self) -> u64 {
        self.size
    }

    /// Whether item `number` is in this part.
    #[must_use]
    pub fn holds(self, number: u64) -> bool {
        number % self.size == self.rank
    }

    /// How many of the first `total` items are in this part.
    #[must_use]
    pub fn count_of(self, total: u64) -> u64 {
        total / self.size + u64::from(total % self.size > self.rank)
    }

    /// The number of this part's item `index`.
    #[must_use]
    pub fn nth(self, index: u64) -> u64 {
        self.rank + self.size * index
    }

    /// This part of a number of slots.
    #[must_use]
    pub fn slots_of(self, total: u32) -> u32 {
        u32::try_from(self.count_of(u64::from(total))).unwrap_or(total)
    }
}

impl PhasePlan {
    /// Whether the phase can be dealt to the machines that `share` is one of, so that together they send
    /// what one would. `turns_mean` is that of the dataset.
    ///
    /// # Errors
    /// The flag that has to change.
    pub fn check_share(&self, share: Share, turns_mean: f64) -> Result<(), ShareError> {
        let ranks = share.size();
        if ranks == 1 {
            return Ok(());
        }
        let slots =
            [("--concurrency", self.concurrency), ("--prefill-concurrency", self.prefill_concurrency)];
        for (flag, slots) in slots.into_iter().filter_map(|(flag, slots)| Some((flag, slots?))) {
            if u64::from(slots) < ranks {
                return Err(ShareError::Slots { flag, slots, ranks });
            }
        }
        let of_trace = matches!(self.shape, LoadShape::FixedSchedule(_));
        if of_trace && self.requests.is_some() && turns_mean > 1.0 {
            return Err(ShareError::Turns { flag: "--request-count" });
        }
        Ok(())
    }

    /// Of the requests of the whole phase, those of a part; `None` when the phase does not count them.
    ///
    /// Users keep to their machine: of them, the turns that are among the phase's first so many count.
    #[must_use]
    pub fn requests_of(
        &self,
        share: Share,
        turns_of: impl Fn(u64) -> u32 + Send + Sync + 'static,
    ) -> Option<u64> {
        let requests = self.requests?;
        Some(match &self.shape {
            LoadShape::UserCentric(rate) if share.size() > 1 => {
                users::turns_within(*rate, Box::new(turns_of), requests, self.sessions, share)
            }
            _ => share.count_of(requests),
        })
    }

    /// Of the sessions that the whole phase may begin, those of a part; `None` when nothing but the schedule
    /// bounds them.
    #[must_use]
    pub fn sessions_of(&self, share: Share) -> Option<u64> {
        // The schedule of users names their sessions: those of a part are where its arrivals end.
        let bounded = !matches!(self.shape, LoadShape::UserCentric(_)) || share.size() == 1;
        self.sessions.filter(|_| bounded).map(|sessions| share.count_of(sessions))
    }
}
