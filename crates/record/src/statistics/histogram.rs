//! A histogram of floats with a fixed relative precision, for sets too large to keep.
//!
//! HdrHistogram's idea (a bucket is an exponent and the top bits of the mantissa) applied to the bits of the
//! float itself: negative values, zero and fractions need no scaling, and weights may be durations.

/// Counts by value. The middle of a bucket is within `2^-(precision+1)` of each of its values.
#[derive(Clone, Debug)]
pub struct LogHistogram {
    /// Mantissa bits that tell buckets apart.
    precision: u32,
    positive: Buckets,
    negative: Buckets,
    zero: u64,
    total: u64,
}

/// Consecutive buckets; only the range in use is allocated.
#[derive(Clone, Debug, Default)]
struct Buckets {
    first: u64,
    counts: Vec<u64>,
}

impl Buckets {
    #[inline]
    fn add(&mut self, bucket: u64, weight: u64) {
        match self.counts.get_mut(bucket.wrapping_sub(self.first) as usize) {
            Some(count) => *count += weight,
            None => self.add_outside(bucket, weight),
        }
    }

    /// Adds to a bucket outside the range in use.
    #[cold]
    fn add_outside(&mut self, bucket: u64, weight: u64) {
        if self.counts.is_empty() {
            self.first = bucket;
        } else if bucket < self.first {
            let grow = (self.first - bucket) as usize;
            self.counts.splice(0..0, std::iter::repeat_n(0, grow));
            self.first = bucket;
        }
        let place = (bucket - self.first) as usize;
        if place >= self.counts.len() {
            self.counts.resize(place + 1, 0);
        }
        self.counts[place] += weight;
    }

    fn iter(&self) -> impl DoubleEndedIterator<Item = (u64, u64)> {
        let first = self.first;
        self.counts.iter().enumerate().filter(|(_, n)| **n > 0).map(move |(i, n)| (first + i as u64, *n))
    }
}

impl LogHistogram {
    /// Magnitudes outside this range count as its ends, so that the buckets stay few.
    const RANGE: (f64, f64) = (1e-12, 1e18);

    /// An empty histogram: 10 bits give three significant digits, 13 give four.
    pub fn new(precision: u32) -> Self {
        LogHistogram {
            precision: precision.clamp(1, 20),
            positive: Buckets::default(),
            negative: Buckets::default(),
            zero: 0,
            total: 0,
        }
    }

    /// Adds a finite value with a weight.
    pub fn add(&mut self, value: f64, weight: u64) {
        self.total += weight;
        if value.abs() < Self::RANGE.0 {
            self.zero += weight;
            return;
        }
        let bucket = value.abs().min(Self::RANGE.1).to_bits() >> (52 - self.precision);
        if value > 0.0 { self.positive.add(bucket, weight) } else { self.negative.add(bucket, weight) }
    }

    /// Adds everything of another histogram of the same precision.
    pub fn merge(&mut self, other: &LogHistogram) {
        for (value, weight) in other.ascending() {
            self.add(value, weight);
        }
    }

    /// Sum of all weights.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Middle of each non-empty bucket with its weight, ascending.
    pub fn ascending(&self) -> impl Iterator<Item = (f64, u64)> + '_ {
        let middle = move |bucket: u64| {
            let half = 1u64 << (51 - self.precision);
            f64::from_bits((bucket << (52 - self.precision)) + half)
        };
        let zero = (self.zero > 0).then_some((0.0, self.zero));
        let negative = self.negative.iter().rev().map(move |(bucket, n)| (-middle(bucket), n));
        negative.chain(zero).chain(self.positive.iter().map(move |(bucket, n)| (middle(bucket), n)))
    }

    /// The value at a rank (0 is the least), interpolated between the two ranks beside a broken one.
    pub fn value_at(&self, rank: f64) -> Option<f64> {
        let below = self.value_of(rank.floor() as u64)?;
        let fraction = rank.fract();
        if fraction == 0.0 {
            return Some(below);
        }
        let above = self.value_of(rank.floor() as u64 + 1).unwrap_or(below);
        Some(below + (above - below) * fraction)
    }

    fn value_of(&self, rank: u64) -> Option<f64> {
        let mut seen = 0;
        self.ascending().find_map(|(value, weight)| {
            seen += weight;
            (seen > rank).then_some(value)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_ordered_and_precise() {
        let mut histogram = LogHistogram::new(10);
        for value in [-5.0, -0.25, 0.0, 1e-6, 3.0, 3.001, 1e9] {
            histogram.add(value, 1);
        }
        let values: Vec<f64> = histogram.ascending().map(|(value, _)| value).collect();
        assert!(values.is_sorted());
        for (got, want) in [-5.0, -0.25, 0.0, 1e-6].iter().zip(&values) {
            assert!((got - want).abs() <= 5e-4 * got.abs(), "{got} {want}");
        }
        assert_eq!(histogram.total(), 7);
        assert_eq!(histogram.value_at(2.0), Some(0.0));
        assert_eq!(LogHistogram::new(10).value_at(0.0), None);
    }

    #[test]
    fn extremes_stay_bounded() {
        let mut histogram = LogHistogram::new(10);
        histogram.add(f64::MIN_POSITIVE, 1);
        histogram.add(f64::MAX, 1);
        histogram.add(1e-9, 1);
        assert!(histogram.positive.counts.len() < 100 * 1024);
        assert_eq!(histogram.total(), 3);
    }
}
