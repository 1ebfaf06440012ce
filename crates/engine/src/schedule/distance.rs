//! How far delivered arrivals are from those asked for: the Kolmogorov-Smirnov distance.

/// The largest difference between the empirical distributions of two samples, from 0 (equal) to 1.
///
/// `None` when a sample is empty. The order of the samples does not matter.
#[must_use]
pub fn ks_distance(asked: &[u64], delivered: &[u64]) -> Option<f64> {
    if asked.is_empty() || delivered.is_empty() {
        return None;
    }
    let sorted = |sample: &[u64]| {
        let mut sample = sample.to_vec();
        sample.sort_unstable();
        sample
    };
    let (asked, delivered) = (sorted(asked), sorted(delivered));
    let (mut i, mut j, mut largest) = (0, 0, 0.0f64);
    while i < asked.len() && j < delivered.len() {
        let value = asked[i].min(delivered[j]);
        i += asked[i..].iter().take_while(|x| **x == value).count();
        j += delivered[j..].iter().take_while(|x| **x == value).count();
        let difference = i as f64 / asked.len() as f64 - j as f64 / delivered.len() as f64;
        largest = largest.max(difference.abs());
    }
    Some(largest)
}

/// The largest difference between a sample's distribution and `cdf`; `None` for an empty sample.
#[must_use]
pub fn ks_distance_to(sample: &[f64], cdf: impl Fn(f64) -> f64) -> Option<f64> {
    let mut sample = sample.to_vec();
    sample.sort_unstable_by(f64::total_cmp);
    let n = sample.len() as f64;
    sample
        .iter()
        .enumerate()
        .map(|(index, value)| {
            let expected = cdf(*value);
            (expected - index as f64 / n).abs().max(((index + 1) as f64 / n - expected).abs())
        })
        .max_by(f64::total_cmp)
}

/// Gaps between consecutive instants, after sorting them.
#[must_use]
pub fn gaps_ns(instants: &[u64]) -> Vec<u64> {
    let mut instants = instants.to_vec();
    instants.sort_unstable();
    instants.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

/// KS distance between the gaps of the arrivals asked for and of those delivered; `None` below two of each.
#[must_use]
pub fn arrival_distance(asked_ns: &[u64], delivered_ns: &[u64]) -> Option<f64> {
    ks_distance(&gaps_ns(asked_ns), &gaps_ns(delivered_ns))
}

/// Critical distance of the two-sample test at significance 0.01: a larger distance than this between
/// samples of `n` and `m` is no accident. Smirnov's asymptotic formula, c(0.01) = 1.628.
#[must_use]
pub fn ks_critical(n: usize, m: usize) -> f64 {
    let (n, m) = (n as f64, m as f64);
    1.628 * ((n + m) / (n * m)).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_samples_have_no_distance() {
        assert_eq!(ks_distance(&[3, 1, 2, 2], &[2, 3, 2, 1]), Some(0.0));
        assert_eq!(ks_distance(&[1, 2], &[3, 4]), Some(1.0));
        assert_eq!(ks_distance(&[], &[3]), None);
        // scipy.stats.ks_2samp([1,2,3,4,5],[2,4,6,8]).statistic
        assert!((ks_distance(&[1, 2, 3, 4, 5], &[2, 4, 6, 8]).expect("both") - 0.5).abs() < 1e-12);
    }

    #[test]
    fn distance_to_a_uniform_distribution() {
        // Largest gap at 0.9: the sample is at 3/3, the distribution at 0.9; at 0.5: 1/3 against 0.5 below.
        let distance = ks_distance_to(&[0.1, 0.5, 0.9], |x| x.clamp(0.0, 1.0)).expect("sample");
        assert!((distance - 0.7 / 3.0).abs() < 1e-9, "{distance}");
        assert_eq!(ks_distance_to(&[], |x| x), None);
    }

    #[test]
    fn bunched_arrivals_are_far_from_even_ones() {
        let even: Vec<u64> = (0..100).map(|i| i * 1_000).collect();
        let bunched: Vec<u64> = (0..100).map(|i| i / 10 * 10_000).collect();
        assert!(arrival_distance(&even, &bunched).expect("both") > 0.8);
        assert_eq!(arrival_distance(&even, &even), Some(0.0));
        assert_eq!(arrival_distance(&even, &[1]), None);
        assert!((ks_critical(100, 100) - 0.2302).abs() < 1e-3);
    }
}
