//! A request rate over time, and the instants at which a number of requests is due under it.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::validate::LoadError;

/// A control point of `--request-rate-series`; the rate between two points is interpolated linearly.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RatePoint {
    /// Seconds from the start of the series (after the ramp, when there is one).
    pub time_s: f64,
    /// Requests per second at this point.
    pub qps: f64,
}

/// A piecewise linear rate. Before the first point and after the last the rate stays what it is there.
#[derive(Clone, Debug, PartialEq)]
pub struct RateProfile {
    segments: Vec<Segment>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Segment {
    start_s: f64,
    rate: f64,
    slope: f64,
    /// Requests due before the segment: the integral of the rate up to `start_s`.
    before: f64,
}

impl RateProfile {
    /// The same rate from start to end, in requests per second.
    #[must_use]
    pub fn constant(rate: f64) -> Self {
        Self::through(&[(0.0, rate)])
    }

    /// From 0 linearly to `rate` over `ramp_s` seconds (`--request-rate-ramp-duration`), then constant.
    #[must_use]
    pub fn ramped(rate: f64, ramp_s: f64) -> Self {
        Self::through(&[(0.0, 0.0), (ramp_s, rate)])
    }

    /// Through the points of a series, after a ramp from 0 to its first rate where `ramp_s` is not 0.
    #[must_use]
    pub fn series(points: &[RatePoint], ramp_s: f64) -> Self {
        let mut at: Vec<(f64, f64)> = points.iter().map(|point| (point.time_s + ramp_s, point.qps)).collect();
        let first = at.first().map_or(0.0, |point| point.1);
        if ramp_s > 0.0 {
            at.insert(0, (ramp_s, first));
            at.insert(0, (0.0, 0.0));
        } else {
            at.insert(0, (0.0, first));
        }
        at.dedup_by(|later, earlier| later.0 <= earlier.0);
        Self::through(&at)
    }

    /// `points` are (seconds, rate), strictly rising in time and beginning at 0.
    fn through(points: &[(f64, f64)]) -> Self {
        let mut segments = Vec::with_capacity(points.len());
        let mut before = 0.0;
        for (index, &(start_s, rate)) in points.iter().enumerate() {
            let slope = points.get(index + 1).map_or(0.0, |&(end, to)| (to - rate) / (end - start_s));
            segments.push(Segment { start_s, rate, slope, before });
            if let Some(&(end, to)) = points.get(index + 1) {
                before += (rate + to) / 2.0 * (end - start_s);
            }
        }
        Self { segments }
    }

    /// The highest rate of the profile, in requests per second.
    #[must_use]
    pub fn peak(&self) -> f64 {
        self.segments.iter().map(|segment| segment.rate).fold(0.0, f64::max)
    }

    /// Requests due in the first `seconds`: the integral of the rate.
    #[must_use]
    pub fn requests_until(&self, seconds: f64) -> f64 {
        let after = self.segments.partition_point(|segment| segment.start_s <= seconds);
        self.segments[..after].last().map_or(0.0, |segment| {
            let t = seconds - segment.start_s;
            segment.before + t * (segment.rate + segment.slope * t / 2.0)
        })
    }

    /// The rate at an instant, in requests per second.
    #[must_use]
    pub fn rate_at(&self, seconds: f64) -> f64 {
        let after = self.segments.partition_point(|segment| segment.start_s <= seconds);
        self.segments[..after]
            .last()
            .map_or(0.0, |segment| segment.rate + segment.slope * (seconds - segment.start_s))
    }

    /// When the integral of the rate reaches `requests`, in seconds; `None` when it never does.
    #[must_use]
    pub fn time_of(&self, requests: f64) -> Option<f64> {
        let after = self.segments.partition_point(|segment| segment.before <= requests);
        let segment = self.segments[..after.max(1)].last()?;
        let due = requests - segment.before;
        if due <= 0.0 {
            return Some(segment.start_s);
        }
        // Root of rate*t + slope/2*t^2 = due in the form that loses no digits when slope is small.
        let discriminant = (segment.rate * segment.rate + 2.0 * segment.slope * due).max(0.0);
        let divisor = segment.rate + discriminant.sqrt();
        (divisor > 0.0).then(|| segment.start_s + 2.0 * due / divisor)
    }

    pub(super) fn offset_ns_of(&self, requests: f64) -> Option<u64> {
        self.time_of(requests).map(|seconds| (seconds * 1e9).round() as u64)
    }
}

/// Reads the file of `--request-rate-series`: JSON (`{"points": [{"time_s": 0, "qps": 5}, ...]}`, or the
/// list alone) or lines of `seconds,rate`. At least two points, times rising.
///
/// # Errors
/// Names the file and the point or line that is wrong.
pub fn read_rate_series(path: &Path) -> Result<Vec<RatePoint>, LoadError> {
    let wrong = |reason: String| LoadError::Series { path: path.to_owned(), reason };
    let text = std::fs::read_to_string(path).map_err(|e| wrong(e.to_string()))?;
    let points = match text.trim_start().starts_with(['{', '[']) {
        true => parse_json(&text),
        false => parse_lines(&text),
    };
    let points = points.map_err(wrong)?;
    check_series(&points).map_err(wrong)?;
    Ok(points)
}

fn parse_json(text: &str) -> Result<Vec<RatePoint>, String> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Document {
        Points { points: Vec<serde_json::Value> },
        List(Vec<serde_json::Value>),
    }
    let document: Document = serde_json::from_str(text)
        .map_err(|_| "expected `{\"points\": [{\"time_s\": 0, \"qps\": 5}, ...]}`".to_owned())?;
    let (Document::Points { points } | Document::List(points)) = document;
    let parse = |(index, point)| serde_json::from_value(point).map_err(|e| format!("point {index}: {e}"));
    points.into_iter().enumerate().map(parse).collect()
}

/// Lines of `seconds,rate`; blank lines and those that begin with `#` are skipped.
fn parse_lines(text: &str) -> Result<Vec<RatePoint>, String> {
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    lines
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .map(|(number, line)| {
            let point = line.split_once(',').and_then(|(time, rate)| {
                Some(RatePoint { time_s: time.trim().parse().ok()?, qps: rate.trim().parse().ok()? })
            });
            point.ok_or_else(|| format!("line {number}: expected `seconds,rate`, found `{line}`"))
        })
        .collect()
}

/// What is wrong with the points of a series, if anything.
pub(super) fn check_series(points: &[RatePoint]) -> Result<(), String> {
    if points.len() < 2 {
        return Err("a series needs at least two points".to_owned());
    }
    for (index, point) in points.iter().enumerate() {
        if !point.time_s.is_finite() || point.time_s < 0.0 {
            return Err(format!("point {index}: time_s must be a number of seconds, not negative"));
        }
        if !point.qps.is_finite() || point.qps <= 0.0 {
            return Err(format!("point {index}: qps must be greater than 0"));
        }
        if index > 0 && point.time_s <= points[index - 1].time_s {
            return Err(format!("point {index}: time_s must be greater than that of the point before"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_ramp_is_integrated_exactly() {
        // 0 to 100/s over 10 s is 500 requests; the first second brings 5, the last 95.
        let ramp = RateProfile::ramped(100.0, 10.0);
        assert!((ramp.requests_until(10.0) - 500.0).abs() < 1e-9);
        assert!((ramp.requests_until(1.0) - 5.0).abs() < 1e-12);
        assert!((ramp.time_of(5.0).expect("reached") - 1.0).abs() < 1e-12);
        assert!((ramp.time_of(600.0).expect("reached") - 11.0).abs() < 1e-12);
        assert!((ramp.rate_at(2.5) - 25.0).abs() < 1e-12);
    }

    #[test]
    fn a_series_keeps_its_ends() {
        let points = [RatePoint { time_s: 5.0, qps: 10.0 }, RatePoint { time_s: 10.0, qps: 20.0 }];
        let series = RateProfile::series(&points, 0.0);
        assert!((series.requests_until(5.0) - 50.0).abs() < 1e-9);
        assert!((series.requests_until(10.0) - 125.0).abs() < 1e-9);
        assert!((series.time_of(145.0).expect("reached") - 11.0).abs() < 1e-9);
        let after_ramp = RateProfile::series(&points, 2.0);
        assert!((after_ramp.requests_until(2.0) - 10.0).abs() < 1e-9);
        assert!((after_ramp.rate_at(4.0) - 10.0).abs() < 1e-9);
        assert!((after_ramp.rate_at(12.0) - 20.0).abs() < 1e-9);
    }

    #[test]
    fn a_rate_of_zero_never_comes_due() {
        assert_eq!(RateProfile::constant(0.0).time_of(1.0), None);
        let falling = RateProfile::through(&[(0.0, 10.0), (2.0, 0.0)]);
        assert!(falling.time_of(9.9).is_some());
        assert_eq!(falling.time_of(10.1), None);
    }

    #[test]
    fn series_files_are_checked() {
        let dir = tempfile::tempdir().expect("temp dir");
        let path = dir.path().join("series.json");
        let read = |text: &str| {
            std::fs::write(&path, text).expect("write");
            read_rate_series(&path).map_err(|e| e.to_string())
        };
        let good = r#"{"points":[{"time_s":0,"qps":1},{"time_s":60,"qps":5.5}]}"#;
        assert_eq!(read(good).expect("good")[1], RatePoint { time_s: 60.0, qps: 5.5 });
        assert_eq!(read(r#"[{"time_s":0,"qps":1},{"time_s":60,"qps":5}]"#).expect("list").len(), 2);
        let lines = read("# seconds,rate\n0, 1\n\n60, 5.5\n").expect("lines");
        assert_eq!(lines, read(good).expect("good"));
        for (text, part) in [
            (r#"{"points":[{"time_s":0,"qps":1}]}"#, "two points"),
            (r#"[{"time_s":0,"qps":1},{"time_s":0,"qps":5}]"#, "point 1: time_s"),
            (r#"[{"time_s":0,"qps":1},{"time_s":1,"qps":0}]"#, "point 1: qps"),
            (r#"[{"time_s":0,"qps":1},{"time_s":1,"rate":2}]"#, "point 1: unknown field `rate`"),
            ("{nonsense", "expected"),
            ("0,1\nnonsense", "line 2: expected `seconds,rate`"),
        ] {
            let message = read(text).expect_err("bad series");
            assert!(message.contains(part) && message.contains("series.json"), "{message}");
        }
    }

    proptest! {
        #[test]
        fn time_and_integral_are_inverse(
            rates in prop::collection::vec(0.5f64..500.0, 1..6),
            fraction in 0.0f64..1.5,
        ) {
            let points: Vec<_> = rates.iter().enumerate().map(|(i, rate)| (i as f64 * 3.0, *rate)).collect();
            let profile = RateProfile::through(&points);
            let seconds = fraction * 3.0 * points.len() as f64;
            let back = profile.time_of(profile.requests_until(seconds)).expect("rates are positive");
            prop_assert!((back - seconds).abs() < 1e-9 * (1.0 + seconds), "{back} {seconds}");
        }
    }
}
