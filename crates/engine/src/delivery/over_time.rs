//! Load over time: requests in flight, and rates in slices of equal length.

use serde::Serialize;

use super::RequestInstants;

/// Slices of a phase.
const SLICES: u64 = 60;
/// Shortest slice, ns: a shorter one holds too few requests to say anything.
const SHORTEST_NS: u64 = 100_000_000;

/// The load in one slice of time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct LoadSlice {
    /// Begin, seconds from the start of the phase.
    pub at_s: f64,
    /// Requests per second that were intended.
    pub asked_rate: f64,
    /// Requests per second that were sent.
    pub delivered_rate: f64,
    /// Requests in flight on average.
    pub concurrency: f64,
}

/// Requests in flight as a step function of time.
pub(super) struct Flights {
    /// Instants of change with the number from then on, in order of time.
    steps: Vec<(u64, u64)>,
}

impl Flights {
    /// Requests count from the instant that `begin` gives to their end.
    pub fn of(requests: &[RequestInstants], begin: impl Fn(&RequestInstants) -> u64) -> Self {
        let mut edges: Vec<(u64, i64)> = Vec::with_capacity(2 * requests.len());
        for request in requests {
            let from = begin(request);
            edges.push((from, 1));
            edges.push((request.end.0.max(from), -1));
        }
        // An end before a begin of the same instant: the slot was free.
        edges.sort_unstable();
        let mut now = 0i64;
        let steps = edges.into_iter().map(|(at, change)| {
            now += change;
            (at, now.max(0) as u64)
        });
        Flights { steps: steps.collect() }
    }

    pub fn most(&self) -> u64 {
        self.steps.iter().map(|step| step.1).max().unwrap_or(0)
    }

    /// Mean over a stretch of time; `None` for an empty one.
    pub fn mean(&self, from: u64, to: u64) -> Option<f64> {
        let length = to.checked_sub(from).filter(|&length| length > 0)?;
        let first = self.steps.partition_point(|step| step.0 <= from);
        let mut now = first.checked_sub(1).map_or(0, |before| self.steps[before].1);
        let (mut since, mut area) = (from, 0u128);
        for &(at, then) in &self.steps[first..] {
            let at = at.min(to);
            area += u128::from(now) * u128::from(at - since);
            (now, since) = (then, at);
            if at == to {
                break;
            }
        }
        area += u128::from(now) * u128::from(to - since);
        Some(area as f64 / length as f64)
    }
}

/// The phase from its start to the last end, in at most [`SLICES`] slices.
pub(super) fn slices(requests: &[RequestInstants], flights: &Flights, start: u64) -> Vec<LoadSlice> {
    let Some(end) = requests.iter().map(|request| request.end.0).max().filter(|&end| end > start) else {
        return Vec::new();
    };
    let width = (end - start).div_ceil(SLICES).max(SHORTEST_NS);
    let count = (end - start).div_ceil(width) as usize;
    let (mut asked, mut sent) = (vec![0u64; count], vec![0u64; count]);
    let slice = |at: u64| (at.saturating_sub(start) / width) as usize;
    for request in requests {
        if let Some(n) = asked.get_mut(slice(request.intended.0)) {
            *n += 1;
        }
        if let Some(n) = request.send_start.and_then(|at| sent.get_mut(slice(at.0))) {
            *n += 1;
        }
    }
    (0..count)
        .map(|index| {
            let from = start + index as u64 * width;
            let to = (from + width).min(end);
            let seconds = (to - from) as f64 / 1e9;
            LoadSlice {
                at_s: (from - start) as f64 / 1e9,
                asked_rate: asked[index] as f64 / seconds,
                delivered_rate: sent[index] as f64 / seconds,
                concurrency: flights.mean(from, to).unwrap_or(0.0),
            }
        })
        .collect()
}
