//! Statistics of histograms, and of summaries as far as sum and count go.
//!
//! Like counters they are cumulative, and a reset loses nothing (see [`counter`](super::counter)); buckets are
//! differences over time and stay cumulative over their bounds, as Prometheus has them.

use std::sync::Arc;

use super::estimate::{self, Learned};
use super::slice::Span;
use super::statistics::{Buckets, Scope, SeriesStatistics, Slice, Stats, finite};

/// Columns of a row before its buckets: sum and count.
const BUCKETS: usize = 2;

/// Statistics of a series. Without observations only the count, and no slices.
pub(super) fn statistics(scope: &Scope<'_>) -> SeriesStatistics {
    let track = &scope.series.track;
    let base = scope.reference();
    let end = track.known_at(scope.selection.last).map_or_else(|| base.clone(), <[f64]>::to_vec);
    let count = increase(&base, &end, 1);
    let cumulative: Vec<f64> = (BUCKETS..track.width()).map(|column| increase(&base, &end, column)).collect();
    let buckets = buckets(&scope.series.bounds, cumulative.iter().copied());
    if count.trunc() == 0.0 {
        let stats = Stats { count: Some(0), resets: scope.resets(), ..Stats::default() };
        return SeriesStatistics { stats, buckets, ..SeriesStatistics::default() };
    }
    let sum = end[0] - base[0];
    let seconds = scope.selection.seconds();
    let mut stats = Stats {
        count: Some(count as u64),
        sum: finite(sum),
        avg: finite(sum / count.trunc()),
        count_rate: finite(count.trunc() / seconds),
        sum_rate: finite(sum / seconds),
        resets: scope.resets(),
        ..Stats::default()
    };
    if let Some(bounds) = finite_bounds(&scope.series.bounds) {
        let rows = std::iter::once(&*base).chain(track.changes_after(scope.after()));
        let learned = Learned::from_rows(rows);
        let percentiles = estimate::percentiles(&bounds, &cumulative, &learned, sum, count.trunc());
        set_estimates(&mut stats, percentiles);
    }
    let timeslices = scope.grid.map(|grid| grid.spans().map(|span| slice(scope, &span)).collect());
    SeriesStatistics { stats, buckets, timeslices, ..SeriesStatistics::default() }
}

/// Writes percentile estimates into statistics.
pub(super) fn set_estimates(stats: &mut Stats, percentiles: Option<[f64; 9]>) {
    let Some(percentiles) = percentiles else { return };
    let [p1, p5, p10, p25, p50, p75, p90, p95, p99] = percentiles.map(finite);
    stats.p1_estimate = p1;
    stats.p5_estimate = p5;
    stats.p10_estimate = p10;
    stats.p25_estimate = p25;
    stats.p50_estimate = p50;
    stats.p75_estimate = p75;
    stats.p90_estimate = p90;
    stats.p95_estimate = p95;
    stats.p99_estimate = p99;
}

/// The finite bounds of a histogram as numbers; none for a summary.
pub(super) fn finite_bounds(bounds: &[Arc<str>]) -> Option<Vec<f64>> {
    let (_, finite) = bounds.split_last()?;
    finite.iter().map(|le| le.parse().ok()).collect()
}

fn increase(base: &[f64], end: &[f64], column: usize) -> f64 {
    (end[column] - base[column]).max(0.0)
}

fn buckets(bounds: &[Arc<str>], counts: impl Iterator<Item = f64>) -> Option<Buckets> {
    let buckets = bounds.iter().cloned().zip(counts.map(|count| count as u64)).collect();
    (!bounds.is_empty()).then_some(Buckets(buckets))
}

fn slice(scope: &Scope<'_>, span: &Span) -> Slice {
    let zero = vec![0.0; scope.series.track.width()];
    let start = scope.cumulative_at(span.start_ns).unwrap_or(&zero);
    let end = scope.cumulative_at(span.end_ns).unwrap_or(&zero);
    let count = increase(start, end, 1).trunc();
    let sum = end[0] - start[0];
    Slice {
        count: Some(count as u64),
        sum: finite(sum),
        avg: if count > 0.0 { finite(sum / count) } else { Some(0.0) },
        buckets: buckets(
            &scope.series.bounds,
            (BUCKETS..scope.series.track.width()).map(|column| increase(start, end, column)),
        ),
        ..span.slice()
    }
}
