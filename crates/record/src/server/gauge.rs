//! Statistics of gauges, and of metrics without a type: over the samples of a window.

use super::percentile;
use super::slice::Span;
use super::statistics::{Scope, SeriesStatistics, Slice, Stats, finite, sample_deviation};

/// Statistics of a series; none without a sample.
pub(super) fn statistics(scope: &Scope<'_>) -> Option<SeriesStatistics> {
    let (first, last) = (scope.selection.first, scope.selection.last);
    let samples: Vec<(u64, f64)> = scope
        .series
        .track
        .rows_in(first, last)
        .map(|(scrape, row)| (scope.scrapes[scrape as usize].timestamp_ns.0, row[0]))
        .collect();
    let stats = of_samples(samples.iter().map(|(_, value)| *value).collect())?;
    let timeslices = scope.grid.map(|grid| grid.spans().filter_map(|span| slice(&span, &samples)).collect());
    Some(SeriesStatistics { stats, timeslices, ..SeriesStatistics::default() })
}

/// Mean, extremes, deviation and percentiles of samples.
pub(super) fn of_samples(mut values: Vec<f64>) -> Option<Stats> {
    values.sort_unstable_by(f64::total_cmp);
    let [p1, p5, p10, p25, p50, p75, p90, p95, p99] = percentile::all(&values)?.map(finite);
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    Some(Stats {
        avg: finite(mean),
        min: values.first().copied(),
        max: values.last().copied(),
        std: finite(sample_deviation(&values, mean)),
        p1,
        p5,
        p10,
        p25,
        p50,
        p75,
        p90,
        p95,
        p99,
        ..Stats::default()
    })
}

/// A slice with the samples of `[start, end)`, the last slice with `[start, end]`; none without samples.
fn slice(span: &Span, samples: &[(u64, f64)]) -> Option<Slice> {
    let from = samples.partition_point(|(at, _)| *at < span.start_ns);
    let to = samples.partition_point(|(at, _)| *at < span.end_ns || span.last && *at == span.end_ns);
    let inside = samples.get(from..to).filter(|inside| !inside.is_empty())?;
    let values = inside.iter().map(|(_, value)| *value);
    Some(Slice {
        avg: finite(values.clone().sum::<f64>() / inside.len() as f64),
        min: values.clone().reduce(f64::min),
        max: values.reduce(f64::max),
        ..span.slice()
    })
}
