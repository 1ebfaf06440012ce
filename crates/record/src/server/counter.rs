//! Statistics of counters: what they counted in a window.
//!
//! AIPerf takes last - reference and shows 0 when that is negative. Here a total is the sum of the increases,
//! and a value below the one before is a reset after which the new value is the increase (Prometheus' rule),
//! so that a server that restarts within the window loses at most what it counted between its last scrape
//! and its end. `resets` says how often that happened; without resets both definitions agree.

use super::statistics::{Scope, SeriesStatistics, Slice, Stats, finite, sample_deviation};

/// Statistics of a series.
pub(super) fn statistics(scope: &Scope<'_>) -> SeriesStatistics {
    let base = scope.reference()[0];
    let end = scope.series.track.known_at(scope.selection.last).map_or(base, |row| row[0]);
    let total = (end - base).max(0.0);
    let timeslices: Option<Vec<Slice>> = scope.grid.map(|grid| {
        grid.spans()
            .map(|span| {
                let value = |instant| scope.cumulative_at(instant).map_or(0.0, |row| row[0]);
                let total = (value(span.end_ns) - value(span.start_ns)).max(0.0);
                Slice { total: Some(total), rate: finite(total / span.seconds()), ..span.slice() }
            })
            .collect()
    });
    let mut stats =
        Stats { total: finite(total), rate: finite(total / scope.selection.seconds()), ..Stats::default() };
    let rates: Vec<f64> = timeslices
        .iter()
        .flatten()
        .filter(|slice| slice.is_complete.is_none())
        .filter_map(|slice| slice.rate)
        .collect();
    if !rates.is_empty() {
        let mean = rates.iter().sum::<f64>() / rates.len() as f64;
        stats.rate_avg = finite(mean);
        stats.rate_min = rates.iter().copied().reduce(f64::min);
        stats.rate_max = rates.iter().copied().reduce(f64::max);
        stats.rate_std = finite(sample_deviation(&rates, mean));
    }
    stats.resets = scope.resets();
    SeriesStatistics { stats, timeslices, ..SeriesStatistics::default() }
}
