//! The figures that have one value for each record, and the rows they are taken from.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::analysis::distribution::{Distribution, Summary};
use crate::analysis::observation::{Facts, Observation};

/// A figure of every record (or of those for which it is defined).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Column {
    Duration,
    Blocked,
    DnsLookup,
    Connecting,
    ConnectionOverhead,
    Sending,
    Ttfb,
    Receiving,
    Total,
    /// Connects and pool waits in one list, as the original tool mixes them.
    Establishment,
    Ttlb,
    /// TTLB minus TTFB of records that have both.
    Transfer,
    ChunksPerRequest,
    RequestBytes,
    ResponseBytes,
    AverageChunkBytes,
    InputTokens,
    OutputTokens,
    TokenRate,
    TimePerToken,
    BytesPerToken,
    ChunksPerToken,
    Latency,
    Ttft,
    StartDelay,
    LatencyDifference,
    TtftDifference,
}

/// All columns; the discriminant is the index.
pub(crate) const COLUMNS: [Column; 27] = [
    Column::Duration,
    Column::Blocked,
    Column::DnsLookup,
    Column::Connecting,
    Column::ConnectionOverhead,
    Column::Sending,
    Column::Ttfb,
    Column::Receiving,
    Column::Total,
    Column::Establishment,
    Column::Ttlb,
    Column::Transfer,
    Column::ChunksPerRequest,
    Column::RequestBytes,
    Column::ResponseBytes,
    Column::AverageChunkBytes,
    Column::InputTokens,
    Column::OutputTokens,
    Column::TokenRate,
    Column::TimePerToken,
    Column::BytesPerToken,
    Column::ChunksPerToken,
    Column::Latency,
    Column::Ttft,
    Column::StartDelay,
    Column::LatencyDifference,
    Column::TtftDifference,
];

impl Column {
    /// Unit of its values.
    pub(crate) fn unit(self) -> &'static str {
        match self {
            Column::ChunksPerRequest => "chunks",
            Column::RequestBytes | Column::ResponseBytes | Column::AverageChunkBytes => "B",
            Column::InputTokens | Column::OutputTokens => "tokens",
            Column::TokenRate => "tokens/sec",
            Column::BytesPerToken => "B/token",
            Column::ChunksPerToken => "chunks/token",
            Column::LatencyDifference | Column::TtftDifference => "ratio",
            _ => "ns",
        }
    }

    /// Gives the values of one record to `add`.
    #[inline]
    pub(crate) fn values(self, row: &Observation, add: &mut impl FnMut(f64)) {
        let mut some = |value: Option<f64>| {
            if let Some(value) = value {
                add(value);
            }
        };
        let float = |value: Option<u64>| value.map(|value| value as f64);
        let positive = |value: Option<u64>| float(value.filter(|value| *value > 0));
        let ratio = |a: Option<f64>, b: Option<f64>| match (a, b) {
            (Some(a), Some(b)) if b > 0.0 => Some(a / b),
            _ => None,
        };
        let tokens = || positive(row.output_tokens.get());
        let difference = |value: Option<f64>, truth: Option<f64>| {
            ratio(value.zip(truth).map(|(a, b)| (a - b).abs()), truth)
        };
        let phased = row.has_phases();
        match self {
            Column::Duration => some(float(row.duration())),
            Column::Blocked => some(float(row.blocked.get())),
            Column::DnsLookup => some(float(row.dns.get())),
            Column::Connecting => some(float(row.connecting.get())),
            Column::ConnectionOverhead => some(phased.then(|| row.connection_overhead() as f64)),
            Column::Sending => some(float(row.sending.get())),
            Column::Ttfb => some(positive(row.ttfb.get())),
            Column::Receiving => some(float(row.receiving())),
            Column::Total => some(float(row.total())),
            Column::Establishment => {
                some(positive(row.connecting.get()));
                some(positive(row.blocked.get()));
            }
            Column::Ttlb => some(positive(row.ttlb.get())),
            Column::Transfer => {
                let both = positive(row.ttfb.get()).is_some() && positive(row.ttlb.get()).is_some();
                some(if both { float(row.receiving()) } else { None });
            }
            Column::ChunksPerRequest => some(float(row.chunks.get().filter(|count| *count > 1))),
            Column::RequestBytes => some(float(row.request_bytes.get())),
            Column::ResponseBytes => some(float(row.response_bytes.get())),
            Column::AverageChunkBytes => {
                some(ratio(float(row.response_bytes.get()), positive(row.chunks.get())))
            }
            Column::InputTokens => some(phased.then(|| float(row.input_tokens.get())).flatten()),
            Column::OutputTokens => some(phased.then(|| float(row.output_tokens.get())).flatten()),
            Column::TokenRate => some(ratio(tokens().map(|n| n * 1e9), positive(row.ttlb.get()))),
            Column::TimePerToken => some(ratio(positive(row.ttlb.get()), tokens())),
            Column::BytesPerToken => some(ratio(positive(row.response_bytes.get()), tokens())),
            Column::ChunksPerToken => some(ratio(positive(row.chunks.get()), tokens())),
            Column::Latency => some(float(row.latency())),
            Column::Ttft => some(float(row.ttft.get())),
            Column::StartDelay => some(float(row.start_delay.get())),
            Column::LatencyDifference => some(difference(float(row.latency.get()), float(row.total()))),
            Column::TtftDifference => {
                let failed = row.facts.has(Facts::FAILED);
                some(if failed { None } else { difference(float(row.ttft.get()), float(row.first_byte())) });
            }
        }
    }
}

/// The summary of every column that has values, in the column's own unit.
#[derive(Debug)]
pub(crate) struct Summaries(Vec<Option<Summary>>);

impl Summaries {
    pub(crate) fn of(&self, column: Column) -> Option<&Summary> {
        self.0[column as usize].as_ref()
    }
}

/// Rows in one block: blocks are moved, never copied, when parts are merged.
const BLOCK: usize = 8_192;

/// From this many rows on, sorting them is worth threads.
const MANY: usize = 20_000;

/// The rows of an analysis up to a bound, histograms of every column beyond it.
#[derive(Clone, Debug)]
pub(crate) struct Rows {
    blocks: Vec<Vec<Observation>>,
    kept: usize,
    limit: usize,
    folded: Option<Vec<Distribution>>,
}

impl Rows {
    pub(crate) fn new(limit: usize) -> Self {
        Rows { blocks: Vec::new(), kept: 0, limit, folded: None }
    }

    pub(crate) fn push(&mut self, row: Observation) {
        if let Some(distributions) = &mut self.folded {
            fold_row(distributions, &row);
            return;
        }
        match self.blocks.last_mut() {
            Some(block) if block.len() < BLOCK => block.push(row),
            _ => {
                let mut block = Vec::with_capacity(BLOCK);
                block.push(row);
                self.blocks.push(block);
            }
        }
        self.kept += 1;
        if self.kept > self.limit {
            self.fold();
        }
    }

    pub(crate) fn merge(&mut self, other: Rows, limit: usize) {
        self.limit = limit;
        self.kept += other.kept;
        self.blocks.extend(other.blocks);
        if other.folded.is_some() || self.folded.is_some() || self.kept > self.limit {
            self.fold();
            if let (Some(own), Some(others)) = (&mut self.folded, other.folded) {
                for (own, other) in own.iter_mut().zip(others) {
                    own.merge(other, 0);
                }
            }
        }
    }

    /// Whether every row is still there.
    pub(crate) fn is_exact(&self) -> bool {
        self.folded.is_none()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Observation> {
        self.blocks.iter().flatten()
    }

    /// The summary of a column, in the column's own unit; `values` is memory that may be used again.
    fn summary(&self, column: Column, values: &mut Vec<f64>) -> Option<Summary> {
        if let Some(distributions) = &self.folded {
            return distributions[column as usize].clone().summary(column.unit());
        }
        values.clear();
        for row in self.iter() {
            column.values(row, &mut |value| values.push(value));
        }
        Summary::of(values, column.unit())
    }

    /// The summaries of all columns, from as many threads as there are cores.
    pub(crate) fn summaries(&self) -> Summaries {
        let threads = match self.kept {
            0..MANY => 1,
            _ => thread::available_parallelism().map_or(1, NonZero::get),
        };
        let next = AtomicUsize::new(0);
        let some_columns = || {
            let mine = std::iter::from_fn(|| COLUMNS.get(next.fetch_add(1, Ordering::Relaxed)).copied());
            let mut values = Vec::new();
            mine.map(|column| (column, self.summary(column, &mut values))).collect::<Vec<_>>()
        };
        let mut summaries = vec![None; COLUMNS.len()];
        thread::scope(|scope| {
            let others: Vec<_> = (1..threads).map(|_| scope.spawn(some_columns)).collect();
            let own = some_columns();
            let theirs = others.into_iter().flat_map(|other| match other.join() {
                Ok(columns) => columns,
                Err(panic) => std::panic::resume_unwind(panic),
            });
            for (column, summary) in own.into_iter().chain(theirs) {
                summaries[column as usize] = summary;
            }
        });
        Summaries(summaries)
    }

    fn fold(&mut self) {
        let distributions =
            self.folded.get_or_insert_with(|| COLUMNS.iter().map(|_| Distribution::new(0)).collect());
        for block in std::mem::take(&mut self.blocks) {
            for row in &block {
                fold_row(distributions, row);
            }
        }
        self.kept = 0;
    }
}

fn fold_row(distributions: &mut [Distribution], row: &Observation) {
    for (column, distribution) in COLUMNS.iter().zip(distributions) {
        column.values(row, &mut |value| distribution.add(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_found_at_its_own_index() {
        for (index, column) in COLUMNS.iter().enumerate() {
            assert_eq!(*column as usize, index);
        }
    }
}
