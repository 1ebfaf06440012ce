//! The percentiles of the server-metrics files.

/// Which percentiles files show.
pub const PERCENTILES: [f64; 9] = [1.0, 5.0, 10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0];

/// One percentile of sorted values by linear interpolation between ranks (numpy's `linear`).
/// `sorted` must not be empty.
pub(super) fn linear(sorted: &[f64], percent: f64) -> f64 {
    let rank = percent / 100.0 * (sorted.len() - 1) as f64;
    let below = rank.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (rank - below as f64) * (sorted[above] - sorted[below])
}

/// All of [`PERCENTILES`]; none without values.
pub(super) fn all(sorted: &[f64]) -> Option<[f64; 9]> {
    (!sorted.is_empty()).then(|| PERCENTILES.map(|percent| linear(sorted, percent)))
}
