//! The sweep of a run too long to keep: means of every curve over a fixed number of bins.
//!
//! Each curve holds its area by bin. An interval that covers whole bins is entered at its two ends only (a
//! difference array), so that a request costs as many steps as it has events, however long it lasts. When
//! time outgrows the bins, their width doubles. Averages stay exact; percentiles are those of bin means.

use super::curve::{CurveSet, TimeWeighted, Values};
use super::{Span, Stretch, fixed, to_f64};

const BINS: usize = 1 << 15;
/// Width of a bin at first: 1 ms.
const FIRST_WIDTH: u64 = 1_000_000;

const RUNNING: usize = 0;
const DECODING: usize = 1;
const PREFILLING: usize = 2;
const DECODE: usize = 3;
const PREFILL: usize = 4;
const TOTAL: usize = 5;
const IN_FLIGHT: usize = 6;
const CURVES: usize = 7;

/// The base curves by bins of time.
#[derive(Clone, Debug)]
pub(in crate::statistics) struct Bins {
    origin: u64,
    width: u64,
    /// Bins from the first one to the last that holds anything.
    used: usize,
    /// Area (value times ns) of intervals that cover a bin in part.
    area: Vec<[f64; CURVES]>,
    /// Change of the value that covers bins wholly, from this bin on; fixed point, so that what begins and
    /// ends leaves exactly nothing.
    change: Vec<[i128; CURVES]>,
}

impl Bins {
    /// Bins from an instant on; they move back when something earlier comes.
    pub fn new(origin: u64) -> Self {
        Bins {
            origin,
            width: FIRST_WIDTH,
            used: 0,
            area: vec![[0.0; CURVES]; BINS],
            change: vec![[0; CURVES]; BINS + 1],
        }
    }

    /// Adds a request. `gap` gives the length of the gap at a place of the span, ns.
    pub fn add(&mut self, span: &Span, gap: impl Fn(usize) -> u64) {
        self.hold(RUNNING, span.start, span.end, 1.0);
        let Some(first) = span.first else { return };
        self.hold(PREFILLING, span.start, first, 1.0);
        self.hold(DECODING, first, span.end, 1.0);
        self.hold(IN_FLIGHT, span.start, span.end, span.input);
        if first > span.start {
            let rate = span.input / (first - span.start) as f64 * 1e9;
            self.hold(PREFILL, span.start, first, rate);
            self.hold(TOTAL, span.start, first, rate);
        }
        if span.output < 1.0 {
            return;
        }
        let decoded = span.decoded();
        let uniform = if span.end > first { decoded / (span.end - first) as f64 * 1e9 } else { 0.0 };
        self.hold(TOTAL, first, span.end, uniform);
        if span.steps == 0 {
            self.hold(IN_FLIGHT, first, span.end, span.output);
            self.hold(DECODE, first, span.end, uniform);
            return;
        }
        self.hold(IN_FLIGHT, first, span.end, 1.0);
        if span.gaps == 0 {
            self.hold(DECODE, first, span.end, uniform);
        }
        let mut at = first;
        for place in span.places.clone() {
            let ns = gap(place);
            let then = at.saturating_add(ns).min(span.end);
            if ns > 0 {
                self.hold(DECODE, at, then, decoded / f64::from(span.gaps) / ns as f64 * 1e9);
            }
            self.hold(IN_FLIGHT, then, span.end, decoded / f64::from(span.steps));
            at = then;
        }
    }

    /// Adds a value that held from one instant to another.
    fn hold(&mut self, curve: usize, from: u64, to: u64, value: f64) {
        if to <= from || value == 0.0 {
            return;
        }
        if from < self.origin {
            self.begin_at(from);
        }
        let (from, to) = (from.saturating_sub(self.origin), to.saturating_sub(self.origin));
        while to > self.width.saturating_mul(BINS as u64) {
            self.widen();
        }
        let (first, last) = ((from / self.width) as usize, (to / self.width) as usize);
        self.used = self.used.max((last + 1).min(BINS));
        if first == last {
            self.area[first][curve] += value * (to - from) as f64;
            return;
        }
        let edge = (first as u64 + 1) * self.width;
        self.area[first][curve] += value * (edge - from) as f64;
        if last < BINS {
            self.area[last][curve] += value * (to - last as u64 * self.width) as f64;
        }
        let value = fixed(value);
        self.change[first + 1][curve] += value;
        self.change[last][curve] -= value;
    }

    /// Area of every bin.
    fn areas(&self) -> Vec<[f64; CURVES]> {
        let mut whole = [0i128; CURVES];
        let mut areas = self.area.clone();
        for (area, change) in areas.iter_mut().zip(&self.change) {
            for curve in 0..CURVES {
                whole[curve] += change[curve];
                area[curve] += to_f64(whole[curve]) * self.width as f64;
            }
        }
        areas
    }

    /// Moves all bins to later places, so that an earlier instant has one.
    fn begin_at(&mut self, earlier: u64) {
        loop {
            let missing = (self.origin - earlier).div_ceil(self.width);
            if missing + self.used as u64 <= BINS as u64 {
                let missing = missing as usize;
                self.origin = self.origin.saturating_sub(missing as u64 * self.width);
                self.area.rotate_right(missing);
                self.change.rotate_right(missing);
                self.used += missing;
                return;
            }
            self.widen();
        }
    }

    fn widen(&mut self) {
        let areas = self.areas();
        self.used = self.used.div_ceil(2);
        self.width = self.width.saturating_mul(2);
        self.change.fill([0; CURVES]);
        self.area.fill([0.0; CURVES]);
        for (bin, pair) in areas.chunks(2).enumerate() {
            self.area[bin] = std::array::from_fn(|curve| pair.iter().map(|area| area[curve]).sum());
        }
    }

    /// Adds all requests of another.
    pub fn merge(&mut self, other: &Bins) {
        for (bin, area) in other.areas().iter().enumerate() {
            let from = other.origin.saturating_add(bin as u64 * other.width);
            for (curve, &area) in area.iter().enumerate() {
                self.hold(curve, from, from.saturating_add(other.width), area / other.width as f64);
            }
        }
    }

    /// Time-weighted metrics of stretches of time.
    pub fn weighted(&self, windows: &[Stretch]) -> Vec<TimeWeighted> {
        let areas = self.areas();
        windows.iter().map(|&window| self.weighted_in(window, &areas)).collect()
    }

    fn weighted_in(&self, window: Stretch, areas: &[[f64; CURVES]]) -> TimeWeighted {
        let mut set = CurveSet::default();
        let end = self.origin.saturating_add(self.width.saturating_mul(BINS as u64));
        let after = window.to.saturating_sub(window.from.max(end));
        let before = window.to.min(self.origin).saturating_sub(window.from);
        set.add(&Values::default(), after.saturating_add(before));
        let place = |at: u64| ((at.saturating_sub(self.origin) / self.width) as usize).min(BINS);
        let (first, last) = (place(window.from), place(window.to).saturating_add(1).min(BINS));
        for (bin, area) in areas.iter().enumerate().take(last).skip(first) {
            let from = self.origin.saturating_add(bin as u64 * self.width);
            let overlap =
                from.saturating_add(self.width).min(window.to).saturating_sub(from.max(window.from));
            if overlap > 0 {
                let mean = |curve: usize| area[curve] / self.width as f64;
                let values = Values {
                    running: mean(RUNNING),
                    decoding: mean(DECODING),
                    prefilling: mean(PREFILLING),
                    decode: mean(DECODE),
                    prefill: mean(PREFILL),
                    total: mean(TOTAL),
                    in_flight: mean(IN_FLIGHT),
                };
                set.add(&values, overlap);
            }
        }
        let mut weighted = set.finish();
        weighted.approximate = true;
        for (_, summary) in &mut weighted.metrics {
            summary.approximate = true;
        }
        weighted
    }
}
