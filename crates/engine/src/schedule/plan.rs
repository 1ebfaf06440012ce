//! From flags to phases: what a checked [`LoadConfig`] asks to run.

use std::time::Duration;

use super::config::{ArrivalPattern, LoadConfig};
use super::poisson::Spacing;
use super::ramp::SlotRamp;
use super::rate::{RateProfile, read_rate_series};
use super::users::UserRate;
use super::validate::{LoadError, check};

/// Requests when nothing ends the run, as AIPerf 0.13 sends.
const DEFAULT_REQUESTS: u64 = 10;
/// `--benchmark-grace-period` when not given.
const DEFAULT_GRACE: f64 = 30.0;

/// What the load flags must fit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LoadContext {
    /// Whether answers are streamed.
    pub streaming: bool,
    /// Whether the dataset's entries have timestamps.
    pub timestamps: bool,
    /// Turns of a session on average.
    pub turns_mean: f64,
}

/// What makes requests due.
#[derive(Clone, Debug, PartialEq)]
pub enum LoadShape {
    /// A slot that is free: the closed loop.
    Closed,
    /// The clock: an open loop at a rate.
    Rate {
        /// Requests per second over time.
        profile: RateProfile,
        /// Spacing.
        spacing: Spacing,
    },
    /// The timestamps of a trace.
    FixedSchedule(TraceReplay),
    /// Each user's own cadence.
    UserCentric(UserRate),
}

/// Window and speed of a fixed schedule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TraceReplay {
    /// Whether the first timestamp inside the window is the start.
    pub auto_offset: bool,
    /// Entries before this are left out; the start of the schedule unless `auto_offset`.
    pub start: Option<Duration>,
    /// Entries after this are left out.
    pub end: Option<Duration>,
    /// Distances are divided by this.
    pub speedup: f64,
}

/// `--request-cancellation-rate` and `-delay`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cancellation {
    /// Percent of the requests.
    pub percent: f64,
    /// From the end of sending.
    pub delay: Duration,
}

/// One phase, ready to run.
#[derive(Clone, Debug, PartialEq)]
pub struct PhasePlan {
    /// What makes requests due.
    pub shape: LoadShape,
    /// Requests in flight at most.
    pub concurrency: Option<u32>,
    /// Requests at most that wait for their first token.
    pub prefill_concurrency: Option<u32>,
    /// Time over which the slots open.
    pub concurrency_ramp: Duration,
    /// Time over which the prefill slots open.
    pub prefill_ramp: Duration,
    /// Requests to send.
    pub requests: Option<u64>,
    /// Sessions to run.
    pub sessions: Option<u64>,
    /// Time during which requests are sent.
    pub duration: Option<Duration>,
    /// Time to wait for answers after that; `None` is without end.
    pub grace: Option<Duration>,
    /// Requests given up on purpose.
    pub cancellation: Option<Cancellation>,
}

impl PhasePlan {
    /// When each slot of the concurrency opens.
    #[must_use]
    pub fn slot_ramp(&self) -> SlotRamp {
        SlotRamp::new(self.concurrency.unwrap_or(1), self.concurrency_ramp)
    }

    /// Whether each arrival begins a session, so that a limit of sessions limits arrivals.
    pub(super) fn arrivals_begin_sessions(&self) -> bool {
        !matches!(self.shape, LoadShape::Rate { .. })
    }
}

/// The phases of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadPlan {
    /// The warmup, if one was asked for.
    pub warmup: Option<PhasePlan>,
    /// The measured phase.
    pub profiling: PhasePlan,
}

fn seconds(value: Option<f64>) -> Option<Duration> {
    value.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
}

fn spacing(name: Option<ArrivalPattern>, smoothness: Option<f64>) -> Spacing {
    match (name, smoothness) {
        (Some(ArrivalPattern::Constant), _) => Spacing::Constant,
        (Some(ArrivalPattern::ConcurrencyBurst), _) => Spacing::ConcurrencyBurst,
        (Some(ArrivalPattern::Gamma), smoothness) => Spacing::Gamma { smoothness: smoothness.unwrap_or(1.0) },
        (None, Some(smoothness)) => Spacing::Gamma { smoothness },
        (Some(ArrivalPattern::Poisson) | None, _) => Spacing::Poisson,
    }
}

fn ramped(rate: f64, ramp: Option<f64>) -> RateProfile {
    ramp.map_or_else(|| RateProfile::constant(rate), |ramp| RateProfile::ramped(rate, ramp))
}

impl LoadConfig {
    /// Checks the flags against each other and gives the phases.
    ///
    /// # Errors
    /// The first rule of CLI.md section 4 that does not hold, or a rate series that cannot be read.
    pub fn plan(&self, context: &LoadContext) -> Result<LoadPlan, LoadError> {
        check(self, context)?;
        Ok(LoadPlan { warmup: self.warmup(), profiling: self.profiling(context)? })
    }

    fn shape(&self, context: &LoadContext) -> Result<LoadShape, LoadError> {
        let spacing = spacing(self.arrival_pattern, self.arrival_smoothness);
        let ramp = self.request_rate_ramp_duration;
        if let Some(rate) = self.request_rate {
            return Ok(LoadShape::Rate { profile: ramped(rate, ramp), spacing });
        }
        if let Some(path) = &self.request_rate_series {
            let profile = RateProfile::series(&read_rate_series(path)?, ramp.unwrap_or(0.0));
            return Ok(LoadShape::Rate { profile, spacing });
        }
        if let (Some(rate), Some(users)) = (self.user_centric_rate, self.num_users) {
            let turns = context.turns_mean.round().max(1.0) as u32;
            return Ok(LoadShape::UserCentric(UserRate { rate, users, turns }));
        }
        // A trace with timestamps is replayed by them unless told otherwise; an explicit concurrency with
        // such a trace caps the replay.
        if context.timestamps && !self.no_fixed_schedule {
            let millis = |value: Option<u64>| value.map(Duration::from_millis);
            let start = millis(self.fixed_schedule_start_offset);
            return Ok(LoadShape::FixedSchedule(TraceReplay {
                auto_offset: self.fixed_schedule_auto_offset || (!self.fixed_schedule && start.is_none()),
                start,
                end: millis(self.fixed_schedule_end_offset),
                speedup: self.replay_speedup.unwrap_or(1.0),
            }));
        }
        Ok(LoadShape::Closed)
    }

    fn profiling(&self, context: &LoadContext) -> Result<PhasePlan, LoadError> {
        let shape = self.shape(context)?;
        let endless = self.request_count.is_none()
            && self.conversation_num.is_none()
            && self.benchmark_duration.is_none()
            && !matches!(shape, LoadShape::FixedSchedule(_));
        let default_requests = match &shape {
            LoadShape::UserCentric(rate) => DEFAULT_REQUESTS.max(u64::from(rate.users)),
            _ => DEFAULT_REQUESTS,
        };
        let concurrency = self.concurrency.or(matches!(shape, LoadShape::Closed).then_some(1));
        let duration = seconds(self.benchmark_duration);
        let grace = self.benchmark_grace_period.or(duration.map(|_| DEFAULT_GRACE));
        Ok(PhasePlan {
            shape,
            concurrency,
            prefill_concurrency: self.prefill_concurrency,
            concurrency_ramp: seconds(self.concurrency_ramp_duration).unwrap_or_default(),
            prefill_ramp: seconds(self.prefill_concurrency_ramp_duration).unwrap_or_default(),
            requests: self.request_count.or(endless.then_some(default_requests)),
            sessions: self.conversation_num,
            duration,
            grace: seconds(grace.filter(|grace| grace.is_finite())),
            cancellation: self.request_cancellation_rate.map(|percent| Cancellation {
                percent,
                delay: seconds(self.request_cancellation_delay).unwrap_or_default(),
            }),
        })
    }

    fn warmup(&self) -> Option<PhasePlan> {
        let duration = seconds(self.warmup_duration);
        if self.warmup_request_count.is_none() && self.num_warmup_sessions.is_none() && duration.is_none() {
            return None;
        }
        let shape = match self.warmup_request_rate.or(self.request_rate) {
            Some(rate) => LoadShape::Rate {
                profile: ramped(rate, self.warmup_request_rate_ramp_duration),
                spacing: spacing(
                    self.warmup_arrival_pattern.or(self.arrival_pattern),
                    self.arrival_smoothness,
                ),
            },
            None => LoadShape::Closed,
        };
        let concurrency = self.warmup_concurrency.or(self.concurrency);
        Some(PhasePlan {
            concurrency: concurrency.or(matches!(shape, LoadShape::Closed).then_some(1)),
            shape,
            prefill_concurrency: self.warmup_prefill_concurrency.or(self.prefill_concurrency),
            concurrency_ramp: seconds(self.warmup_concurrency_ramp_duration).unwrap_or_default(),
            prefill_ramp: seconds(self.warmup_prefill_concurrency_ramp_duration).unwrap_or_default(),
            requests: self.warmup_request_count,
            sessions: self.num_warmup_sessions,
            duration,
            grace: seconds(self.warmup_grace_period.filter(|grace| grace.is_finite())),
            cancellation: None,
        })
    }
}

#[cfg(test)]
mod tests;
