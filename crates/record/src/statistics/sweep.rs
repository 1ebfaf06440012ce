//! Time-weighted metrics: how many requests, and how many tokens per second, at each moment (METRICS 2.2).
//!
//! Each request is a span whose events come one after another: start, first token, the end of each gap, end.
//! A heap of running spans merges them in time order, so that at no time more than one event for each
//! running request exists. Instants are integers and rates are fixed point: a curve returns to exactly zero
//! when nobody contributes, whatever the order of the sums. (AIPerf adds epoch nanoseconds in float64, which
//! makes neighbouring gaps overlap by up to 256 ns; its extremes of the gap-based curves differ for that.)

mod bins;
mod curve;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

pub(super) use bins::Bins;
pub(super) use curve::{CurveSet, TimeWeighted};

use super::rows::Rows;
use crate::metric::catalogue;

/// Fixed point of rates (tokens/s) and tokens: 2^-40.
const ONE: f64 = (1u64 << 40) as f64;

/// `tokens` spread over `ns`, in tokens per second, fixed point.
fn rate(tokens: f64, ns: u64) -> i128 {
    fixed(tokens * 1e9 / ns as f64)
}

fn fixed(value: f64) -> i128 {
    let scaled = value * ONE;
    // The usual case is one machine instruction.
    if scaled.abs() < 9e18 { i128::from(scaled as i64) } else { scaled as i128 }
}

fn to_f64(fixed: i128) -> f64 {
    match i64::try_from(fixed) {
        Ok(small) => small as f64 / ONE,
        Err(_) => fixed as f64 / ONE,
    }
}

/// What a sweep knows of one request.
#[derive(Clone, Debug, Default)]
pub(super) struct Span {
    pub start: u64,
    pub end: u64,
    /// First token; within start and end.
    pub first: Option<u64>,
    pub input: f64,
    pub output: f64,
    /// Gaps that are not zero.
    pub gaps: u32,
    /// All gaps.
    pub steps: u32,
    /// Where the gaps are.
    pub places: std::ops::Range<usize>,
}

impl Span {
    /// The span of a row of successful requests.
    pub fn of(rows: &Rows, row: usize) -> Span {
        let (start, end) = (rows.start[row], rows.end[row]);
        let number = |id| rows.columns.get(row, id).unwrap_or(0.0).max(0.0);
        let first = rows.columns.get(row, catalogue::TIME_TO_FIRST_TOKEN).map(|ms| {
            let ns = (ms * 1e6).round().max(0.0) as u64;
            start.saturating_add(ns).min(end)
        });
        let places = if first.is_some() { rows.gaps.range(row) } else { 0..0 };
        Span {
            start,
            end,
            first,
            input: number(catalogue::INPUT_SEQUENCE_LENGTH),
            output: number(catalogue::OUTPUT_SEQUENCE_LENGTH),
            gaps: places.clone().filter(|&place| rows.gaps.ns(place) > 0).count() as u32,
            steps: places.len() as u32,
            places,
        }
    }

    /// Tokens after the first.
    fn decoded(&self) -> f64 {
        (self.output - 1.0).max(0.0)
    }
}

/// Values of the base curves at a moment.
#[derive(Clone, Copy, Debug, Default)]
struct Level {
    running: i64,
    decoding: i64,
    prefilling: i64,
    decode: i128,
    prefill: i128,
    total: i128,
    in_flight: i128,
}

/// A running span and its next event.
#[derive(Debug)]
struct Running {
    span: Span,
    stage: Stage,
    /// Rates it contributes now.
    prefill: i128,
    decode: i128,
    uniform: i128,
    in_flight: i128,
    /// Tokens that each gap's end brings.
    step: i128,
    /// Tokens of each gap that is not zero.
    share: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
    /// The first token comes at the end, and the others with it: these come just before the end all the same.
    AllAtEnd,
    Prefill,
    /// Within the gap at this place, which ends at the event.
    Gap(usize),
    /// Within the gap at this place, which lasts until the end; its tokens come just before.
    LastGap(usize),
    /// Nothing more before the end.
    Tail,
}

impl Running {
    /// Applies the start; returns the instant of the next event.
    fn begin(span: Span, level: &mut Level) -> (Running, u64) {
        level.running += 1;
        let mut running = Running {
            span,
            stage: Stage::Tail,
            prefill: 0,
            decode: 0,
            uniform: 0,
            in_flight: 0,
            step: 0,
            share: 0.0,
        };
        let Some(first) = running.span.first else {
            let end = running.span.end;
            return (running, end);
        };
        running.stage = Stage::Prefill;
        level.prefilling += 1;
        if first > running.span.start {
            running.prefill = rate(running.span.input, first - running.span.start);
        }
        level.prefill += running.prefill;
        level.total += running.prefill;
        running.bring(fixed(running.span.input), level);
        let Span { start, end, steps, output, .. } = running.span;
        if first == end && end > start && steps > 0 && output >= 1.0 {
            running.stage = Stage::AllAtEnd;
            return (running, end - 1);
        }
        (running, first)
    }

    fn bring(&mut self, tokens: i128, level: &mut Level) {
        self.in_flight += tokens;
        level.in_flight += tokens;
    }

    fn set_decode(&mut self, rate: i128, level: &mut Level) {
        level.decode += rate - self.decode;
        self.decode = rate;
    }

    /// Applies the event at `now`; returns the instant of the next one, or nothing after the end.
    fn step(&mut self, now: u64, rows: &Rows, level: &mut Level) -> Option<u64> {
        match self.stage {
            Stage::AllAtEnd => {
                self.bring(fixed(self.span.decoded()), level);
                self.stage = Stage::Prefill;
                Some(self.span.end)
            }
            Stage::Prefill => Some(self.first_token(now, rows, level)),
            Stage::Gap(place) => {
                self.bring(self.step, level);
                Some(self.next_gap(place + 1, now, rows, level))
            }
            Stage::LastGap(place) => {
                self.bring(self.step * (self.span.places.end - place) as i128, level);
                self.stage = Stage::Tail;
                Some(self.span.end)
            }
            Stage::Tail => {
                level.running -= 1;
                if self.span.first.is_some() {
                    level.decoding -= 1;
                    level.total -= self.uniform;
                    level.in_flight -= self.in_flight;
                    self.set_decode(0, level);
                }
                None
            }
        }
    }

    fn first_token(&mut self, now: u64, rows: &Rows, level: &mut Level) -> u64 {
        level.prefilling -= 1;
        level.decoding += 1;
        level.prefill -= self.prefill;
        level.total -= self.prefill;
        let decoded = self.span.decoded();
        if self.span.end > now {
            self.uniform = rate(decoded, self.span.end - now);
            level.total += self.uniform;
        }
        if self.span.steps > 0 && self.span.output >= 1.0 {
            self.share = decoded / f64::from(self.span.gaps.max(1));
            self.step = fixed(decoded / f64::from(self.span.steps));
            self.bring(fixed(1.0), level);
            self.next_gap(self.span.places.start, now, rows, level)
        } else {
            self.bring(fixed(self.span.output), level);
            self.set_decode(self.uniform, level);
            self.stage = Stage::Tail;
            self.span.end
        }
    }

    /// Enters the gap at `place` (skipping empty ones, which bring their tokens at once).
    fn next_gap(&mut self, mut place: usize, now: u64, rows: &Rows, level: &mut Level) -> u64 {
        while place < self.span.places.end {
            let gap = rows.gaps.ns(place);
            if gap > 0 {
                self.set_decode(rate(self.share, gap), level);
                let then = now.saturating_add(gap);
                if then < self.span.end {
                    self.stage = Stage::Gap(place);
                    return then;
                }
                self.stage = Stage::LastGap(place);
                return self.span.end.saturating_sub(1).max(now);
            }
            self.bring(self.step, level);
            place += 1;
        }
        // A stream that came in one read has gaps of zero only: its tokens count as spread until the end.
        let rest = if self.span.gaps == 0 { self.uniform } else { 0 };
        self.set_decode(rest, level);
        self.stage = Stage::Tail;
        self.span.end
    }
}

/// A stretch of time to be summarised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    pub from: u64,
    pub to: u64,
}

/// The time-weighted metrics of `windows` (ascending and disjoint) and of `whole`, in one pass over all
/// requests: successes with their tokens, failures by their time alone.
pub(super) fn sweep(
    successes: &Rows,
    failures: &Rows,
    whole: Stretch,
    windows: &[Stretch],
) -> (TimeWeighted, Vec<TimeWeighted>) {
    let order = spans_by_start(successes, failures);
    let mut main = CurveSet::default();
    let mut slices = Slices::new(windows);
    let mut level = Level::default();
    let mut running: Vec<Running> = Vec::new();
    let mut free: Vec<u32> = Vec::new();
    let mut events: BinaryHeap<Reverse<(u64, u32)>> = BinaryHeap::new();
    let mut waiting = order.iter().copied().peekable();
    let last = windows.last().map_or(whole.to, |window| window.to.max(whole.to));
    let mut now = 0;
    loop {
        let start = waiting.peek().map(|&place| start_of(place, successes, failures));
        let event = events.peek().map(|Reverse((at, _))| *at);
        let next = match (start, event) {
            (Some(start), Some(event)) => start.min(event),
            (Some(only), None) | (None, Some(only)) => only,
            (None, None) => break,
        };
        if next > now {
            main.add_between(whole, now, next, &level);
            slices.add_between(now, next, &level);
            now = next;
        }
        if now >= last {
            break;
        }
        if event == Some(now) {
            let mut top = events.peek_mut().expect("an event was just seen");
            let Reverse((_, slot)) = *top;
            match running[slot as usize].step(now, successes, &mut level) {
                Some(then) => *top = Reverse((then, slot)),
                None => {
                    PeekMut::pop(top);
                    free.push(slot);
                }
            }
        } else if let Some(place) = waiting.next() {
            let span = match place {
                Place::Success(row) => Span::of(successes, row as usize),
                Place::Failure(row) => Span {
                    start: failures.start[row as usize],
                    end: failures.end[row as usize],
                    ..Span::default()
                },
            };
            let (span, then) = Running::begin(span, &mut level);
            let slot = match free.pop() {
                Some(slot) => {
                    running[slot as usize] = span;
                    slot
                }
                None => {
                    running.push(span);
                    running.len() as u32 - 1
                }
            };
            events.push(Reverse((then, slot)));
        }
    }
    main.add_between(whole, now, u64::MAX, &level);
    slices.add_between(now, u64::MAX, &level);
    (main.finish(), slices.finish())
}

#[derive(Clone, Copy)]
enum Place {
    Success(u32),
    Failure(u32),
}

fn start_of(place: Place, successes: &Rows, failures: &Rows) -> u64 {
    match place {
        Place::Success(row) => successes.start[row as usize],
        Place::Failure(row) => failures.start[row as usize],
    }
}

fn spans_by_start(successes: &Rows, failures: &Rows) -> Vec<Place> {
    let mut order: Vec<Place> = (0..successes.len() as u32).map(Place::Success).collect();
    order.extend((0..failures.len() as u32).map(Place::Failure));
    order.sort_by_key(|&place| start_of(place, successes, failures));
    order
}

/// The slices of a sweep: only one is open at a time.
struct Slices<'a> {
    windows: &'a [Stretch],
    open: CurveSet,
    done: Vec<TimeWeighted>,
}

impl<'a> Slices<'a> {
    fn new(windows: &'a [Stretch]) -> Self {
        Slices { windows, open: CurveSet::default(), done: Vec::with_capacity(windows.len()) }
    }

    fn add_between(&mut self, from: u64, to: u64, level: &Level) {
        while let Some(&window) = self.windows.get(self.done.len()) {
            self.open.add_between(window, from, to, level);
            if to < window.to {
                break;
            }
            self.done.push(std::mem::take(&mut self.open).finish());
        }
    }

    fn finish(mut self) -> Vec<TimeWeighted> {
        while self.done.len() < self.windows.len() {
            self.done.push(std::mem::take(&mut self.open).finish());
        }
        self.done
    }
}
