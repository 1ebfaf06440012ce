//! Counts and times of the fetches of one endpoint.

use super::FetchInstants;
use crate::time::WallNs;

/// What happened at one endpoint over the whole run.
#[derive(Clone, Debug, Default)]
pub struct Fetches {
    /// Fetches that delivered a page.
    pub total: u64,
    /// Sum of their latencies, ns.
    pub latency_sum_ns: u64,
    /// First and last fetch.
    pub range: Option<(WallNs, WallNs)>,
    /// Fetches whose body differed from the one before.
    pub updates: u64,
    /// First and last of those.
    pub update_range: Option<(WallNs, WallNs)>,
    /// Times between them, ns; the first 200 000.
    pub update_intervals_ns: Vec<u64>,
}

const MAX_INTERVALS: usize = 200_000;

impl Fetches {
    pub(super) fn add(&mut self, instants: &FetchInstants, update: bool) {
        let at = instants.first_byte_ns;
        self.total += 1;
        self.latency_sum_ns = self.latency_sum_ns.saturating_add(instants.latency_ns);
        self.range = Some((self.range.map_or(at, |range| range.0), at));
        if update {
            self.updates += 1;
            if let Some((_, last)) = self.update_range
                && self.update_intervals_ns.len() < MAX_INTERVALS
            {
                self.update_intervals_ns.push(at.0.saturating_sub(last.0));
            }
            self.update_range = Some((self.update_range.map_or(at, |range| range.0), at));
        }
    }
}
