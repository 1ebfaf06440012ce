//! The values of one series: rows of equal width, one for each change.

use crate::server::reading::MetricKind;

/// Relative size of a decrease that is rounding noise (sums over processes, added in changing order), not a
/// reset.
const NOISE: f64 = 1e-9;

/// The values of one series over the scrapes of its endpoint.
///
/// A row is kept only when it differs from the one before, so a scrape without an entry repeats the last one.
/// Cumulative values (counters, histograms, summaries) are stored with everything added that was lost in
/// resets: after a reset the new value counts as increase, as Prometheus does it, and the stored rows never
/// fall.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Track {
    width: usize,
    kind: Option<MetricKind>,
    pub(super) at: Vec<u32>,
    pub(super) rows: Vec<f64>,
    /// Scrapes at which it was found reset.
    pub(super) resets: Vec<u32>,
    last_raw: Vec<f64>,
    lost: Vec<f64>,
}

/// What a push did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pushed {
    pub bytes: usize,
    pub reset: bool,
}

impl Track {
    pub(super) fn new(width: usize, kind: MetricKind) -> Self {
        Track { width, kind: Some(kind), ..Track::default() }
    }

    /// Whether its values only grow.
    pub fn is_cumulative(&self) -> bool {
        matches!(self.kind, Some(MetricKind::Counter | MetricKind::Histogram | MetricKind::Summary))
    }

    /// Number of columns.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Adds the row of a scrape.
    pub(super) fn push(&mut self, scrape: u32, raw: &[f64]) -> Pushed {
        let reset = self.is_cumulative() && self.is_reset(raw);
        if reset {
            self.lost.resize(self.width, 0.0);
            for (lost, last) in self.lost.iter_mut().zip(&self.last_raw) {
                *lost += last;
            }
            self.resets.push(scrape);
        }
        let unchanged = self.last_raw == raw && !self.in_gap();
        let mut bytes = 0;
        if !unchanged {
            self.at.push(scrape);
            self.rows.extend_from_slice(raw);
            let start = self.rows.len() - self.width;
            for (value, lost) in self.rows[start..].iter_mut().zip(&self.lost) {
                *value += lost;
            }
            self.last_raw.clear();
            self.last_raw.extend_from_slice(raw);
            bytes = self.entry_bytes();
        }
        Pushed { bytes, reset }
    }

    /// Notes that the series was absent from a scrape; gives the bytes used.
    pub(super) fn gap(&mut self, scrape: u32) -> usize {
        if self.at.is_empty() || self.in_gap() {
            return 0;
        }
        self.at.push(scrape);
        self.rows.extend(std::iter::repeat_n(f64::NAN, self.width));
        self.entry_bytes()
    }

    pub(super) fn entry_bytes(&self) -> usize {
        size_of::<u32>() + self.width * size_of::<f64>()
    }

    fn in_gap(&self) -> bool {
        self.rows.last().is_some_and(|last| last.is_nan())
    }

    fn is_reset(&self, raw: &[f64]) -> bool {
        // The sum of a histogram may fall by itself (negative observations); its counts may not.
        let counts = if self.width > 1 { 1 } else { 0 };
        let fell = |(new, last): (&f64, &f64)| last - new > NOISE * last.abs();
        !self.last_raw.is_empty() && raw[counts..].iter().zip(&self.last_raw[counts..]).any(fell)
    }

    pub(super) fn row(&self, entry: usize) -> &[f64] {
        &self.rows[entry * self.width..(entry + 1) * self.width]
    }

    /// Number of entries at or before a scrape.
    fn entries_until(&self, scrape: u32) -> usize {
        self.at.partition_point(|&at| at <= scrape)
    }

    /// The row in force at a scrape; none when the series was absent.
    pub fn at(&self, scrape: u32) -> Option<&[f64]> {
        let entry = self.entries_until(scrape).checked_sub(1)?;
        Some(self.row(entry)).filter(|row| !row[0].is_nan())
    }

    /// The newest row known at a scrape, across absences: right for cumulative values, which are not lost
    /// when a page leaves them out for a while.
    pub fn known_at(&self, scrape: u32) -> Option<&[f64]> {
        (0..self.entries_until(scrape)).rev().map(|entry| self.row(entry)).find(|row| !row[0].is_nan())
    }

    /// The rows in force at each scrape of `first..=last`, without the scrapes that lack it.
    pub fn rows_in(&self, first: u32, last: u32) -> impl Iterator<Item = (u32, &[f64])> {
        let mut entry = self.entries_until(first);
        (first..=last).filter_map(move |scrape| {
            while self.at.get(entry).is_some_and(|&at| at <= scrape) {
                entry += 1;
            }
            let row = self.row(entry.checked_sub(1)?);
            (!row[0].is_nan()).then_some((scrape, row))
        })
    }

    /// The rows that began after a scrape: the changes until the end of the series.
    pub fn changes_after(&self, scrape: u32) -> impl Iterator<Item = &[f64]> {
        (self.entries_until(scrape)..self.at.len())
            .map(|entry| self.row(entry))
            .filter(|row| !row[0].is_nan())
    }

    /// Whether it was present at any scrape of `first..=last`.
    pub fn is_present(&self, first: u32, last: u32) -> bool {
        self.at(first).is_some()
            || (self.entries_until(first)..self.entries_until(last)).any(|entry| !self.row(entry)[0].is_nan())
    }

    /// Resets found after a scrape, up to another one.
    pub fn resets_between(&self, after: u32, last: u32) -> u64 {
        self.resets.iter().filter(|&&at| at > after && at <= last).count() as u64
    }
}
