//! Asked against delivered: what the load was to be, and what reached the wire.
//!
//! The measuring phase's requests leave three instants each (intended, sent, ended). At its end they become
//! rates, a Kolmogorov-Smirnov distance between the gaps asked for and those delivered, the schedule lag and
//! the load over time.

mod over_time;

use serde::Serialize;
use tokmeter_record::{BenchmarkPhase, MonoNs};

use crate::run::{PhaseConfig, PhaseReport};
use crate::schedule::distance::{arrival_distance, ks_critical};
use crate::schedule::{LoadShape, PhasePlan, Share};
use crate::slots::SlotWaits;

pub use over_time::LoadSlice;

/// Requests whose instants are kept; of a longer run the figures describe the first so many.
const MOST_KEPT: usize = 1 << 20;

/// Instants of one request, of any outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestInstants {
    /// When the schedule wanted it sent.
    pub intended: MonoNs,
    /// When it began: before it asked for a connection.
    pub start: MonoNs,
    /// Its first byte was written; absent when it never came to that.
    pub send_start: Option<MonoNs>,
    /// It was over.
    pub end: MonoNs,
}

/// Instants of the measured phase, as they are collected.
#[derive(Clone, Debug, Default)]
pub struct Instants {
    kept: Vec<RequestInstants>,
    seen: u64,
}

impl Instants {
    pub(crate) fn add(&mut self, phase: BenchmarkPhase, instants: RequestInstants) {
        if phase != BenchmarkPhase::Profiling {
            return;
        }
        self.seen += 1;
        if self.kept.len() < MOST_KEPT {
            self.kept.push(instants);
        }
    }
}

/// The load that was asked of this machine.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Asked {
    /// Requests per second, at its highest where it changes; absent for a closed loop and a trace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// Requests per second of the schedule between its first and last instant that came due.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduled_rate: Option<f64>,
    /// Requests of the phase, where it counts them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<u64>,
    /// Requests in flight at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    /// Closed loop: requests in flight on average, over the time of sending, had each begun when it was due.
    /// Ramps and pauses between turns are in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency_avg: Option<f64>,
    /// Requests that may wait for their first token, at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefill_concurrency: Option<u32>,
}

/// The load that reached the wire.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Delivered {
    /// Requests sent.
    pub requests: u64,
    /// Requests per second between the first and the last that was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// Requests in flight on average, over the time of sending.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency_avg: Option<f64>,
    /// Requests in flight at most.
    pub concurrency_max: u64,
}

/// How far the delivered arrivals are from the asked ones.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ArrivalDistance {
    /// Kolmogorov-Smirnov distance between the gaps, from 0 (equal) to 1.
    pub ks_distance: f64,
    /// A distance above this is no accident (two-sample test, significance 0.01).
    pub ks_critical: f64,
    /// Gaps compared.
    pub gaps: usize,
}

/// A distribution of times, ms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Lag {
    /// Mean.
    pub avg: f64,
    /// Median.
    pub p50: f64,
    /// 90th percentile.
    pub p90: f64,
    /// 99th percentile.
    pub p99: f64,
    /// The greatest.
    pub max: f64,
}

/// Asked against delivered, of the measured phase.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Delivery {
    /// What was asked for.
    pub asked: Asked,
    /// What was delivered.
    pub delivered: Delivered,
    /// Open loops: how alike the arrivals are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arrivals: Option<ArrivalDistance>,
    /// First byte sent minus intended instant, ms: all that kept a request from being sent on time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule_lag_ms: Option<Lag>,
    /// Request begun minus intended instant, ms: the part before it asked for a connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_lag_ms: Option<Lag>,
    /// Arrivals that found no free slot under the concurrency cap of an open loop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slot_waits: Option<SlotWaits>,
    /// Requests that waited for a prefill slot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefill_waits: Option<SlotWaits>,
    /// The load in slices of equal length.
    pub over_time: Vec<LoadSlice>,
    /// The run was longer than the figures: they describe its first so many requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_requests_only: Option<usize>,
}

impl Delivery {
    /// Compares what a phase was asked to do on this machine with what it did.
    #[must_use]
    pub fn of(config: &PhaseConfig, report: &PhaseReport, instants: &Instants, share: Share) -> Self {
        let plan = &config.plan;
        let kept = &instants.kept;
        let intended: Vec<u64> = kept.iter().map(|request| request.intended.0).collect();
        let mut sent: Vec<u64> =
            kept.iter().filter_map(|request| request.send_start).map(|at| at.0).collect();
        sent.sort_unstable();
        let sending = sent.first().copied().zip(sent.last().copied());
        let open_loop = !matches!(plan.shape, LoadShape::Closed);
        let flights = over_time::Flights::of(kept, |request| request.start.0);
        let due = over_time::Flights::of(kept, |request| request.intended.0);
        let lag = |of: &dyn Fn(&RequestInstants) -> Option<MonoNs>| {
            let late = |request: &RequestInstants| {
                Some(of(request)?.0.saturating_sub(request.intended.0) as f64 / 1e6)
            };
            lag(kept.iter().filter_map(late).collect())
        };
        Delivery {
            asked: Asked {
                concurrency_avg: sending.filter(|_| !open_loop).and_then(|(from, to)| due.mean(from, to)),
                requests: report.asked_requests,
                ..asked(plan, share, open_loop.then_some(&*intended))
            },
            delivered: Delivered {
                requests: report.requests,
                rate: mean_rate(&sent),
                concurrency_avg: sending.and_then(|(from, to)| flights.mean(from, to)),
                concurrency_max: flights.most(),
            },
            arrivals: open_loop.then(|| distance(&intended, &sent)).flatten(),
            schedule_lag_ms: lag(&|request| request.send_start),
            start_lag_ms: lag(&|request| Some(request.start)),
            slot_waits: report.slot_waits,
            prefill_waits: report.prefill_waits,
            over_time: over_time::slices(kept, &flights, report.start_mono.0),
            first_requests_only: (instants.seen > kept.len() as u64).then_some(kept.len()),
        }
    }

    /// What a reader should know of before believing the load: rate, arrivals or concurrency that were not
    /// delivered as asked, requests that were never sent.
    #[must_use]
    pub fn remarks(&self) -> Vec<String> {
        /// Below this part of the asked load the run is another one than was asked for.
        const ENOUGH: f64 = 0.95;
        let mut remarks = Vec::new();
        if let (Some(asked), Some(delivered)) = (self.asked.scheduled_rate, self.delivered.rate)
            && delivered < ENOUGH * asked
        {
            remarks.push(format!("{asked:.1} requests/s were asked for, {delivered:.1} were sent"));
        }
        if let Some(arrivals) = self.arrivals.filter(|arrivals| arrivals.ks_distance > arrivals.ks_critical) {
            remarks.push(format!(
                "arrivals were not spaced as asked: KS distance {:.3}, above {:.3} is no accident",
                arrivals.ks_distance, arrivals.ks_critical
            ));
        }
        // A handful of requests is over before the slots are full; prefill slots hold requests back on purpose.
        let cap = u64::from(self.asked.concurrency.unwrap_or(0));
        let telling = self.delivered.requests >= 2 * cap && self.prefill_waits.is_none();
        if let (Some(asked), Some(delivered)) = (self.asked.concurrency_avg, self.delivered.concurrency_avg)
            && telling
            && delivered < ENOUGH * asked
        {
            remarks.push(format!("{asked:.1} requests in flight were asked for, {delivered:.1} there were"));
        }
        for (waits, what) in [(self.slot_waits, "slot"), (self.prefill_waits, "prefill slot")] {
            if let Some(waits) = waits.filter(|waits| waits.waited > 0) {
                let lost = match waits.never_sent {
                    0 => String::new(),
                    lost => format!("; {lost} were still waiting at the end and were never sent"),
                };
                remarks.push(format!(
                    "{} requests found no free {what} and waited {:.1} ms on average, {:.1} ms at most{lost}",
                    waits.waited, waits.mean_ms, waits.max_ms
                ));
            }
        }
        remarks
    }
}

fn asked(plan: &PhasePlan, share: Share, intended: Option<&[u64]>) -> Asked {
    let rate = match &plan.shape {
        LoadShape::Rate { profile, .. } => Some(profile.peak()),
        LoadShape::UserCentric(users) => Some(users.rate),
        LoadShape::Closed | LoadShape::FixedSchedule(_) => None,
    };
    let sorted = intended.map(|intended| {
        let mut sorted = intended.to_vec();
        sorted.sort_unstable();
        sorted
    });
    Asked {
        rate: rate.map(|rate| rate / share.size() as f64),
        scheduled_rate: sorted.as_deref().and_then(mean_rate),
        requests: None,
        concurrency: plan.concurrency.map(|slots| share.slots_of(slots)),
        concurrency_avg: None,
        prefill_concurrency: plan.prefill_concurrency.map(|slots| share.slots_of(slots)),
    }
}

/// Instants per second between the first and the last of them, which are sorted.
fn mean_rate(instants: &[u64]) -> Option<f64> {
    let length = instants.last()?.saturating_sub(*instants.first()?);
    (length > 0).then(|| (instants.len() - 1) as f64 * 1e9 / length as f64)
}

fn distance(intended: &[u64], sent: &[u64]) -> Option<ArrivalDistance> {
    let ks_distance = arrival_distance(intended, sent)?;
    let gaps = sent.len() - 1;
    Some(ArrivalDistance { ks_distance, ks_critical: ks_critical(intended.len() - 1, gaps), gaps })
}

fn lag(mut values: Vec<f64>) -> Option<Lag> {
    values.sort_unstable_by(f64::total_cmp);
    let at = |q: f64| values[((values.len() - 1) as f64 * q).round() as usize];
    Some(Lag {
        max: *values.last()?,
        avg: values.iter().sum::<f64>() / values.len() as f64,
        p50: at(0.5),
        p90: at(0.9),
        p99: at(0.99),
    })
}

#[cfg(test)]
mod tests;
