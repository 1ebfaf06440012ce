//! Percentiles of a histogram between two scrapes, estimated from its buckets (FORMATS 7.3, AIPerf's
//! "polynomial" estimate).
//!
//! A histogram only says how many observations fell between two bounds. The estimate places that many
//! observations inside each bucket, guided by what the scrapes in between gave away (an interval in which only
//! one bucket grew reveals the mean of that bucket), and corrects the places so that their sum is the sum the
//! server reported. Percentiles are then those of the placed observations.

use super::percentile;

/// More observations than this are scaled down before they are placed.
const MAX_PLACED: f64 = 100_000.0;
/// Share of the finite observations that makes a bucket dominant.
const DOMINANT: f64 = 0.95;
/// Difference of sums, relative, that is worth correcting.
const SUM_TOLERANCE: f64 = 0.001;
/// How far the correction may move an observation, in bucket widths.
const MAX_SHIFT: f64 = 0.4;

/// What the scrapes revealed about the inside of each bucket.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Learned {
    buckets: Vec<Interior>,
}

/// Means of the intervals in which only this bucket grew: weighted by observations, and their variance
/// (Welford's running form).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Interior {
    weighted_sum: f64,
    weight: f64,
    intervals: f64,
    mean: f64,
    squares: f64,
}

impl Learned {
    /// Walks the rows (`sum, count, cumulative buckets...`) of a series from the reference on.
    pub fn from_rows<'a>(rows: impl IntoIterator<Item = &'a [f64]>) -> Learned {
        let mut learned = Learned::default();
        let mut rows = rows.into_iter();
        let Some(mut before) = rows.next() else { return learned };
        for row in rows {
            learned.interval(before, row);
            before = row;
        }
        learned
    }

    fn interval(&mut self, before: &[f64], after: &[f64]) {
        let grown = (after[1] - before[1]).trunc();
        if grown <= 0.0 {
            return;
        }
        let mut hot = None;
        let mut below = 0.0;
        for (bucket, (new, old)) in after[2..].iter().zip(&before[2..]).enumerate() {
            let cumulative = (new - old).max(0.0);
            if cumulative - below > 0.0 && hot.replace(bucket).is_some() {
                return;
            }
            below = cumulative;
        }
        if let Some(bucket) = hot {
            if self.buckets.len() <= bucket {
                self.buckets.resize(bucket + 1, Interior::default());
            }
            self.buckets[bucket].add((after[0] - before[0]) / grown, grown);
        }
    }

    fn mean(&self, bucket: usize, lower: f64, upper: f64) -> Option<f64> {
        let interior = self.buckets.get(bucket).filter(|interior| interior.weight > 0.0)?;
        let mean = interior.weighted_sum / interior.weight;
        (lower < mean && mean < upper).then_some(mean)
    }

    fn variance(&self, bucket: usize) -> Option<f64> {
        let interior = self.buckets.get(bucket).filter(|interior| interior.intervals >= 3.0)?;
        Some(interior.squares / (interior.intervals - 1.0))
    }
}

impl Interior {
    fn add(&mut self, mean: f64, observations: f64) {
        self.weighted_sum += mean * observations;
        self.weight += observations;
        self.intervals += 1.0;
        let step = mean - self.mean;
        self.mean += step / self.intervals;
        self.squares += step * (mean - self.mean);
    }
}

/// A finite bucket and what is known of it.
struct Finite {
    lower: f64,
    upper: f64,
    count: f64,
    mean: Option<f64>,
    variance: Option<f64>,
}

impl Finite {
    fn middle(&self) -> f64 {
        (self.lower + self.upper) / 2.0
    }

    fn width(&self) -> f64 {
        self.upper - self.lower
    }

    fn clip(&self, value: f64) -> f64 {
        value.max(self.lower).min(self.upper)
    }
}

/// Estimates [`percentile::PERCENTILES`] of the observations between two scrapes.
///
/// `bounds` are the finite upper bounds, ascending; `cumulative` their increases and, last, the increase of
/// `+Inf`. None when there is nothing to estimate from: no observations, no finite bucket, a negative sum.
pub fn percentiles(
    bounds: &[f64],
    cumulative: &[f64],
    learned: &Learned,
    total_sum: f64,
    total_count: f64,
) -> Option<[f64; 9]> {
    if total_count <= 0.0 || !total_sum.is_finite() || total_sum < 0.0 || cumulative.is_empty() {
        return None;
    }
    if total_sum == 0.0 {
        return Some([0.0; 9]);
    }
    let top = *bounds.last()?;
    let mut sum = total_sum;
    let mut buckets = finite_buckets(bounds, cumulative, learned);
    let infinite = cumulative.get(bounds.len()).map_or(0.0, |all| all - cumulative[bounds.len() - 1]);
    let mut infinite = infinite.max(0.0);
    let observed: f64 = buckets.iter().map(|bucket| bucket.count).sum::<f64>() + infinite;
    if observed > MAX_PLACED {
        let ratio = MAX_PLACED / observed;
        scale(&mut buckets, ratio);
        infinite *= ratio;
        sum *= ratio;
    }
    let tail = tail(&buckets, infinite, sum, top);
    let mut target = sum - tail.iter().sum::<f64>();
    let mut finite: f64 = buckets.iter().map(|bucket| bucket.count).sum();
    if finite > MAX_PLACED {
        let ratio = MAX_PLACED / finite;
        scale(&mut buckets, ratio);
        target *= ratio;
        finite = buckets.iter().map(|bucket| bucket.count).sum();
    }
    let average = if finite > 0.0 { target / finite } else { 0.0 };
    let dominant = dominant(&buckets, finite);

    let mut placed = Vec::with_capacity(finite as usize + tail.len());
    let mut groups = Vec::new();
    for (index, bucket) in buckets.iter().enumerate() {
        let start = placed.len();
        let centre = Some(average)
            .filter(|average| dominant == Some(index) && bucket.lower < *average && *average < bucket.upper);
        place(bucket, centre, &mut placed);
        if placed.len() > start {
            groups.push((start..placed.len(), bucket));
        }
    }
    correct(&mut placed, &groups, target);
    placed.extend(tail);
    if !placed.is_sorted() {
        placed.sort_by(f64::total_cmp);
    }
    percentile::all(&placed)
}

fn finite_buckets(bounds: &[f64], cumulative: &[f64], learned: &Learned) -> Vec<Finite> {
    let mut below = 0.0;
    // The first bucket begins at 0, unless its bound is negative.
    let mut lower = bounds[0].min(0.0);
    let mut buckets = Vec::with_capacity(bounds.len());
    for (index, (&upper, &until)) in bounds.iter().zip(cumulative).enumerate() {
        buckets.push(Finite {
            lower,
            upper,
            count: (until - below).max(0.0),
            mean: learned.mean(index, lower, upper),
            variance: learned.variance(index),
        });
        below = until;
        lower = upper;
    }
    buckets
}

fn scale(buckets: &mut [Finite], ratio: f64) {
    for bucket in buckets {
        bucket.count *= ratio;
    }
}

/// The observations above the top bound: spread evenly around what is left of the sum.
fn tail(buckets: &[Finite], infinite: f64, sum: f64, top: f64) -> Vec<f64> {
    let count = infinite.ceil() as usize;
    if count == 0 {
        return Vec::new();
    }
    let below: f64 =
        buckets.iter().filter(|b| b.count > 0.0).map(|b| b.count * b.mean.unwrap_or(b.middle())).sum();
    let rest = sum - below;
    let mut mean = if rest > 0.0 { rest / count as f64 } else { 0.0 };
    if mean <= top {
        mean = top * 1.5;
    }
    if count == 1 {
        return vec![mean];
    }
    let mut highest = 2.0 * mean - top;
    if highest <= top {
        highest = top * 2.0;
    }
    (0..count).map(|i| top + (highest - top) * i as f64 / (count - 1) as f64).collect()
}

fn dominant(buckets: &[Finite], total: f64) -> Option<usize> {
    let most = buckets.iter().map(|bucket| bucket.count).fold(0.0, f64::max);
    (total > 0.0 && most / total >= DOMINANT).then(|| buckets.iter().position(|b| b.count == most))?
}

/// Places the observations of one bucket, ascending. `centre` overrides the middle where nothing was learned
/// about the spread.
fn place(bucket: &Finite, centre: Option<f64>, placed: &mut Vec<f64>) {
    let count = bucket.count as usize;
    let fractions = (0..count).map(|i| (i as f64 + 0.5) / count as f64);
    let (width, middle) = (bucket.width(), bucket.middle());
    let even = |fraction: f64, centre: f64| bucket.clip(bucket.lower + width * fraction + (centre - middle));
    let (Some(mean), Some(variance)) = (bucket.mean, bucket.variance.filter(|variance| *variance > 0.0))
    else {
        let centre = centre.or(bucket.mean).unwrap_or(middle);
        placed.extend(fractions.map(|fraction| even(fraction, centre)));
        return;
    };
    let deviation = variance.sqrt();
    let cover = 4.0 * deviation / width;
    let off_centre = (mean - middle).abs() / width;
    if cover < 0.01 {
        // So narrow that two masses describe it: at the lower bound, and just above the mean.
        let distance = mean - bucket.lower;
        let upper = if distance > 0.0 { mean + variance / distance } else { bucket.upper };
        let share = (variance / (variance + distance * distance)).clamp(0.0, 1.0);
        let at_lower = (count as f64 * share) as usize;
        placed.extend(std::iter::repeat_n(bucket.lower, at_lower));
        placed.extend(std::iter::repeat_n(bucket.clip(upper), count - at_lower));
        return;
    }
    let left = ((mean - bucket.lower) / deviation).min(3.0);
    let right = ((bucket.upper - mean) / deviation).min(3.0);
    let around_mean = |fraction: f64| {
        bucket.clip(if fraction < 0.5 {
            mean - left * deviation * (1.0 - 2.0 * fraction)
        } else {
            mean + right * deviation * (2.0 * fraction - 1.0)
        })
    };
    if cover < 0.2 && off_centre < 0.3 {
        placed.extend(fractions.map(|f| bucket.clip(0.5 * even(f, mean) + 0.5 * around_mean(f))));
    } else {
        placed.extend(fractions.map(around_mean));
    }
}

/// Shifts the buckets so that the placed sum comes nearer to the true one, each by its share of the sum.
fn correct(placed: &mut [f64], groups: &[(std::ops::Range<usize>, &Finite)], target: f64) {
    let sums: Vec<f64> = groups.iter().map(|(range, _)| placed[range.clone()].iter().sum()).collect();
    let generated: f64 = sums.iter().sum();
    let missing = target - generated;
    if generated <= 0.0 || target <= 0.0 || missing.abs() / target < SUM_TOLERANCE {
        return;
    }
    for ((range, bucket), sum) in groups.iter().zip(sums) {
        let limit = MAX_SHIFT * bucket.width();
        let shift = (missing * (sum / generated) / range.len() as f64).max(-limit).min(limit);
        for value in &mut placed[range.clone()] {
            *value = bucket.clip(*value + shift);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[derive(serde::Deserialize)]
    struct Case {
        scrapes: Vec<CaseScrape>,
        expected: Option<BTreeMap<String, f64>>,
    }

    #[derive(serde::Deserialize)]
    struct CaseScrape {
        sum: f64,
        count: f64,
        buckets: BTreeMap<String, f64>,
    }

    fn bound(le: &str) -> f64 {
        le.parse().expect("a bound")
    }

    #[test]
    fn reference_vectors() {
        let path =
            concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/vectors/histogram_percentiles.json");
        let text = std::fs::read_to_string(path).expect("the vectors are there");
        let cases: Vec<Case> = serde_json::from_str(&text).expect("the vectors are JSON");
        assert_eq!(cases.len(), 60);
        let mut compared = 0;
        for (number, case) in cases.iter().enumerate() {
            let mut les: Vec<&String> = case.scrapes[0].buckets.keys().collect();
            les.sort_by(|a, b| bound(a).total_cmp(&bound(b)));
            let rows: Vec<Vec<f64>> = case
                .scrapes
                .iter()
                .map(|s| [s.sum, s.count].into_iter().chain(les.iter().map(|le| s.buckets[*le])).collect())
                .collect();
            let learned = Learned::from_rows(rows.iter().map(Vec::as_slice));
            let (first, last) = (&rows[0], &rows[rows.len() - 1]);
            let cumulative: Vec<f64> = last[2..].iter().zip(&first[2..]).map(|(b, a)| b - a).collect();
            let bounds: Vec<f64> = les.iter().map(|le| bound(le)).filter(|b| b.is_finite()).collect();
            let estimated =
                percentiles(&bounds, &cumulative, &learned, last[0] - first[0], (last[1] - first[1]).trunc());
            let Some(expected) = &case.expected else {
                assert_eq!(estimated, None, "case {number}");
                continue;
            };
            for (value, percent) in estimated.expect("an estimate").iter().zip(percentile::PERCENTILES) {
                let expected = expected[&format!("p{percent}_estimate")];
                let difference = (value - expected).abs() / expected.abs().max(1e-12);
                assert!(difference <= 1e-9, "case {number} p{percent}: {value} instead of {expected}");
                compared += 1;
            }
        }
        assert!(compared > 400, "only {compared} values compared");
    }

    #[test]
    fn nothing_to_estimate_from() {
        let learned = Learned::default();
        assert_eq!(percentiles(&[1.0], &[0.0, 0.0], &learned, 0.0, 0.0), None);
        assert_eq!(percentiles(&[1.0], &[1.0, 1.0], &learned, -1.0, 1.0), None);
        assert_eq!(percentiles(&[], &[1.0], &learned, 1.0, 1.0), None);
        assert_eq!(percentiles(&[1.0], &[3.0, 3.0], &learned, 0.0, 3.0), Some([0.0; 9]));
    }

    #[test]
    fn hostile_buckets_stay_within_the_placing_limit() {
        let learned = Learned::default();
        // Not cumulative, and absurdly large: must neither panic nor allocate for 10^18 observations.
        for cumulative in [[1e18, 5.0, 1e18], [1e308, 1e308, f64::MAX], [5.0, -1e18, 10.0]] {
            let values = percentiles(&[1.0, 2.0], &cumulative, &learned, 1e3, 1e18);
            assert!(values.is_none_or(|values| values.iter().all(|v| v.is_finite())), "{cumulative:?}");
        }
    }

    #[test]
    fn negative_bounds_do_not_panic() {
        let values = percentiles(&[-2.0, -1.0, 1.0], &[1.0, 2.0, 4.0, 4.0], &Learned::default(), 1.0, 4.0);
        let values = values.expect("an estimate");
        assert!(values.is_sorted() && values[0] >= -2.0 && values[8] <= 1.0, "{values:?}");
    }
}
