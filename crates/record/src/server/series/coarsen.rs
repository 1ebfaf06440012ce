//! Staying within the memory limit by forgetting every second scrape.

use super::{Notice, Scrape, Series, Store};

/// The newest scrapes keep full resolution.
const RECENT: usize = 64;

impl Store {
    /// Forgets scrapes until the store is within its limit, or nothing can be forgotten any more.
    pub(super) fn keep_within_limit(&mut self) {
        while self.bytes > self.limits.bytes {
            let before = self.bytes;
            self.halve();
            if self.bytes >= before {
                // Only labels and single rows are left: the limit is below what the series need at all.
                return;
            }
            self.halvings += 1;
            let limit = self.limits.bytes;
            self.notice_once("", 1, || Notice::Halved(limit));
        }
    }

    fn halve(&mut self) {
        for endpoint in &mut self.endpoints {
            let keep = kept(&endpoint.scrapes);
            let before = endpoint.scrapes.len();
            endpoint.scrapes = keep.iter().map(|&at| endpoint.scrapes[at as usize]).collect();
            self.bytes -= (before - keep.len()) * size_of::<Scrape>();
            for &id in &endpoint.layout {
                self.bytes -= thin(&mut self.series[id as usize], &keep);
            }
        }
    }
}

/// The scrapes that stay: every second one, the newest ones, and both sides of every change of phase.
fn kept(scrapes: &[Scrape]) -> Vec<u32> {
    let recent = scrapes.len().saturating_sub(RECENT);
    let pinned = |at: usize| {
        let differs = |other: Option<&Scrape>| other.is_none_or(|other| other.phase != scrapes[at].phase);
        differs(scrapes.get(at + 1)) || differs(at.checked_sub(1).and_then(|at| scrapes.get(at)))
    };
    (0..scrapes.len()).filter(|&at| at % 2 == 0 || at >= recent || pinned(at)).map(|at| at as u32).collect()
}

/// Rewrites a series for the scrapes that stay; gives the bytes saved.
fn thin(series: &mut Series, keep: &[u32]) -> usize {
    let track = &mut series.track;
    let width = track.width();
    let before = track.at.len();
    let (mut at, mut rows) = (Vec::new(), Vec::new());
    let mut entry = 0;
    let mut written = None;
    for (new, &old) in keep.iter().enumerate() {
        while track.at.get(entry).is_some_and(|&at| at <= old) {
            entry += 1;
        }
        if entry > 0 && written != Some(entry) {
            at.push(new as u32);
            rows.extend_from_slice(&track.rows[(entry - 1) * width..entry * width]);
            written = Some(entry);
        }
    }
    track.at = at;
    track.rows = rows;
    for reset in &mut track.resets {
        *reset = keep.partition_point(|&at| at < *reset) as u32;
    }
    (before - track.at.len()) * track.entry_bytes()
}
