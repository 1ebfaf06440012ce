//! What is kept of each request while everything still fits: columns of float64, and gaps as u32 ns.
//!
//! A request of 100 tokens takes about 0.8 KB. Buffers grow by an eighth instead of doubling.

use crate::metric::{MetricId, MetricKey, MetricValue};
use crate::request::RequestRecord;

/// Marks a request without `credit_issued_ns`.
pub(super) const NO_CREDIT: u64 = 0;

/// Appends without ever holding much more than is used.
fn push<T>(vec: &mut Vec<T>, value: T) {
    if vec.len() == vec.capacity() {
        vec.reserve_exact((vec.len() / 8).max(64));
    }
    vec.push(value);
}

fn append<T: Copy>(to: &mut Vec<T>, from: &[T]) {
    to.reserve_exact(from.len());
    to.extend_from_slice(from);
}

/// Latest instant believed (the year 2262): sums of instants and durations then stay within 64 bits.
const LATEST: u64 = i64::MAX as u64;

/// Start and end of a request, in this order whatever the file says.
pub(super) fn bounds(record: &RequestRecord) -> (u64, u64) {
    let start = record.metadata.request_start_ns.0.min(LATEST);
    (start, record.metadata.request_end_ns.0.clamp(start, LATEST))
}

/// Judgements on one request that later only need to be counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks(u8);

impl Marks {
    pub const GOOD: u8 = 1;
    pub const OSL_MISMATCH: u8 = 1 << 1;
    pub const USAGE_DISCREPANCY: u8 = 1 << 2;
    pub const UNFINISHED: u8 = 1 << 3;
    pub const CONTEXT_OVERFLOW: u8 = 1 << 4;
    pub const CANCELLED: u8 = 1 << 5;

    pub fn set(&mut self, mark: u8, on: bool) {
        if on {
            self.0 |= mark;
        }
    }

    pub fn has(self, mark: u8) -> bool {
        self.0 & mark != 0
    }
}

/// Metric values, one column for each metric, NaN where a request has none.
#[derive(Clone, Debug)]
pub(super) struct Columns {
    known: Vec<Vec<f64>>,
    /// Tag, unit, values of metrics that are not in the catalogue.
    foreign: Vec<(Box<str>, Box<str>, Vec<f64>)>,
}

impl Default for Columns {
    fn default() -> Self {
        Columns { known: vec![Vec::new(); MetricId::COUNT], foreign: Vec::new() }
    }
}

impl Columns {
    /// Foreign metrics beyond this number are not summarised.
    const MOST_FOREIGN: usize = 64;

    pub fn set(&mut self, row: usize, id: MetricId, value: f64) {
        put(&mut self.known[id.index()], row, value);
    }

    pub fn set_foreign(&mut self, row: usize, tag: &str, unit: &str, value: f64) {
        if let Some((.., column)) = self.foreign.iter_mut().find(|(known, ..)| **known == *tag) {
            put(column, row, value);
        } else if self.foreign.len() < Self::MOST_FOREIGN {
            let mut column = Vec::new();
            put(&mut column, row, value);
            self.foreign.push((tag.into(), unit.into(), column));
        }
    }

    /// The value of a metric in a row.
    pub fn get(&self, row: usize, id: MetricId) -> Option<f64> {
        self.known[id.index()].get(row).copied().filter(|value| !value.is_nan())
    }

    /// Values of a metric by row; may be shorter than the number of rows.
    pub fn column(&self, id: MetricId) -> &[f64] {
        &self.known[id.index()]
    }

    /// Metrics that have any value.
    pub fn present(&self) -> impl Iterator<Item = (MetricId, &[f64])> {
        MetricId::all()
            .zip(&self.known)
            .filter(|(_, column)| !column.is_empty())
            .map(|(id, column)| (id, &column[..]))
    }

    /// Tag, unit and values of the foreign metrics.
    pub fn foreign(&self) -> impl Iterator<Item = (&str, &str, &[f64])> {
        self.foreign.iter().map(|(tag, unit, column)| (&**tag, &**unit, &column[..]))
    }

    fn merge(&mut self, rows: usize, other: &Columns) {
        for (mine, theirs) in self.known.iter_mut().zip(&other.known).filter(|(_, theirs)| !theirs.is_empty())
        {
            mine.resize(rows, f64::NAN);
            append(mine, theirs);
        }
        for (tag, unit, theirs) in &other.foreign {
            for (row, &value) in theirs.iter().enumerate().filter(|(_, value)| !value.is_nan()) {
                self.set_foreign(rows + row, tag, unit, value);
            }
        }
    }

    fn bytes(&self) -> usize {
        let foreign = self.foreign.iter().map(|(.., column)| column.capacity());
        8 * (self.known.iter().map(Vec::capacity).sum::<usize>() + foreign.sum::<usize>())
    }
}

fn put(column: &mut Vec<f64>, row: usize, value: f64) {
    while column.len() < row {
        push(column, f64::NAN);
    }
    match column.get_mut(row) {
        Some(slot) => *slot = value,
        None => push(column, value),
    }
}

/// The gaps of every request, ns, in one flat buffer.
#[derive(Clone, Debug, Default)]
pub(super) struct Gaps {
    flat: Vec<u32>,
    /// Where each row's gaps end in `flat`.
    ends: Vec<u64>,
    /// Gaps of 4.29 s and more: place in `flat`, ns.
    long: Vec<(u64, u64)>,
}

impl Gaps {
    fn push_row(&mut self, gaps_ms: &[f64]) {
        for &ms in gaps_ms {
            // Rounds; the cast saturates, and what is negative or not a number becomes 0.
            let ns = (ms * 1e6 + 0.5) as u64;
            match u32::try_from(ns) {
                Ok(short) if short < u32::MAX => push(&mut self.flat, short),
                _ => {
                    push(&mut self.long, (self.flat.len() as u64, ns));
                    push(&mut self.flat, u32::MAX);
                }
            }
        }
        push(&mut self.ends, self.flat.len() as u64);
    }

    /// Places of a row's gaps.
    pub fn range(&self, row: usize) -> std::ops::Range<usize> {
        let start = if row == 0 { 0 } else { self.ends[row - 1] };
        start as usize..self.ends[row] as usize
    }

    /// The gap at a place, ns.
    pub fn ns(&self, place: usize) -> u64 {
        match self.flat[place] {
            u32::MAX => match self.long.binary_search_by_key(&(place as u64), |long| long.0) {
                Ok(found) => self.long[found].1,
                Err(_) => u64::from(u32::MAX),
            },
            short => u64::from(short),
        }
    }

    /// How many gaps there are in all.
    pub fn len(&self) -> usize {
        self.flat.len()
    }

    fn merge(&mut self, other: &Gaps) {
        let shift = self.flat.len() as u64;
        append(&mut self.flat, &other.flat);
        self.ends.extend(other.ends.iter().map(|end| end + shift));
        self.long.extend(other.long.iter().map(|&(place, ns)| (place + shift, ns)));
    }
}

/// All requests of one outcome.
#[derive(Clone, Debug, Default)]
pub(super) struct Rows {
    /// Request start, wall ns.
    pub start: Vec<u64>,
    /// Request end, wall ns.
    pub end: Vec<u64>,
    /// Intended instant, wall ns, or [`NO_CREDIT`].
    pub credit: Vec<u64>,
    /// Judgements.
    pub marks: Vec<Marks>,
    /// Metric values.
    pub columns: Columns,
    /// Gaps between events.
    pub gaps: Gaps,
}

impl Rows {
    pub fn len(&self) -> usize {
        self.start.len()
    }

    /// Adds a request with the metrics that `wanted` accepts.
    pub fn push(&mut self, record: &RequestRecord, marks: Marks, wanted: impl Fn(MetricId) -> bool) {
        let row = self.len();
        let metadata = &record.metadata;
        let (start, end) = bounds(record);
        push(&mut self.start, start);
        push(&mut self.end, end);
        push(&mut self.credit, metadata.credit_issued_ns.map_or(NO_CREDIT, |at| at.0.min(LATEST)));
        push(&mut self.marks, marks);
        let mut gaps: &[f64] = &[];
        for (key, value) in record.metrics.iter() {
            let number = match value {
                MetricValue::Int(value) => *value as f64,
                MetricValue::Float(value) if value.is_finite() => *value,
                MetricValue::Float(_) => continue,
                MetricValue::List(values) => {
                    if *key == MetricKey::Known(crate::metric::catalogue::INTER_CHUNK_LATENCY) {
                        gaps = values;
                    }
                    continue;
                }
            };
            match key {
                MetricKey::Known(id) if wanted(*id) => self.columns.set(row, *id, number),
                MetricKey::Known(_) => {}
                MetricKey::Foreign(tag, unit) => self.columns.set_foreign(row, tag, unit, number),
            }
        }
        self.gaps.push_row(gaps);
    }

    /// Appends all rows of another.
    pub fn merge(&mut self, other: &Rows) {
        self.columns.merge(self.len(), &other.columns);
        self.gaps.merge(&other.gaps);
        append(&mut self.start, &other.start);
        append(&mut self.end, &other.end);
        append(&mut self.credit, &other.credit);
        append(&mut self.marks, &other.marks);
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        let fixed = 8 * (self.start.capacity() + self.end.capacity() + self.credit.capacity())
            + self.marks.capacity();
        let gaps =
            4 * self.gaps.flat.capacity() + 8 * self.gaps.ends.capacity() + 16 * self.gaps.long.capacity();
        fixed + gaps + self.columns.bytes()
    }
}
