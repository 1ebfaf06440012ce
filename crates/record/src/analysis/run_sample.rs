//! The values of one run that SLOs, gates and comparisons decide on, in bounded memory.

use std::collections::BTreeMap;

use rand::Rng;

use crate::analysis::confidence::{Sample, Side, share_bound, share_draws};
use crate::analysis::statistic::{Figure, Statistic};
use crate::metric::catalogue as c;
use crate::metric::{MetricId, MetricValue};
use crate::request::{BenchmarkPhase, RequestRecord};
use crate::time::Instant;

mod rate;

use rate::Completions;

/// Records of which every value is kept; of more, every second, fourth, ... is.
const KEPT_RECORDS: usize = 200_000;

/// Values of one metric in the order of completion.
#[derive(Clone, Debug, Default)]
struct Series {
    /// One for each kept record; NaN where it lacks the metric.
    values: Vec<f64>,
    min: f64,
    max: f64,
}

/// What is known of one run.
#[derive(Clone, Debug)]
pub struct RunSample {
    /// How the run is called in messages.
    pub name: String,
    series: BTreeMap<MetricId, Series>,
    kept: usize,
    keep_every: u64,
    seen: u64,
    succeeded: u64,
    failed: u64,
    completions: Completions,
    /// Numbers of a summary, by metric and name of the statistic.
    given: BTreeMap<(MetricId, String), f64>,
    limit: usize,
}

/// The estimate of a figure and how many values it rests on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The number, in the metric's file unit.
    pub value: f64,
    /// Values behind it; 0 when only a summary gives it.
    pub samples: u64,
}

/// A confidence bound, or why there is none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// The bound, in the metric's file unit.
    At(f64),
    /// More samples are needed: at least so many, if that is known.
    TooFew(Option<u64>),
    /// The figure is what was seen, there is nothing to be unsure of (or to be sure with).
    Exact,
}

impl RunSample {
    /// A run of which nothing is known yet.
    pub fn new(name: impl Into<String>) -> Self {
        RunSample {
            name: name.into(),
            series: BTreeMap::new(),
            kept: 0,
            keep_every: 1,
            seen: 0,
            succeeded: 0,
            failed: 0,
            completions: Completions::default(),
            given: BTreeMap::new(),
            limit: KEPT_RECORDS,
        }
    }

    /// Adds a finished request; those of the warmup are passed over.
    pub fn add(&mut self, record: &RequestRecord) {
        let metadata = &record.metadata;
        if metadata.benchmark_phase == BenchmarkPhase::Warmup {
            return;
        }
        let success = record.is_success();
        *(if success { &mut self.succeeded } else { &mut self.failed }) += 1;
        let tokens = |id| record.metrics.number(id).filter(|_| success).unwrap_or(0.0);
        self.completions.add(
            metadata.request_start_ns.0,
            metadata.request_end_ns.0,
            [
                f64::from(u8::from(success)),
                tokens(c::OUTPUT_SEQUENCE_LENGTH),
                tokens(c::INPUT_SEQUENCE_LENGTH),
                tokens(c::GOOD_REQUEST_COUNT),
            ],
        );
        self.seen += 1;
        let keep = (self.seen - 1).is_multiple_of(self.keep_every);
        if let Some(intended) = metadata.credit_issued_ns {
            let ms = metadata.request_end_ns.since(intended) as f64 / 1e6;
            self.value(c::EFFECTIVE_LATENCY, ms, keep);
        }
        if success {
            for (key, value) in record.metrics.iter() {
                let number = match value {
                    MetricValue::Int(value) => *value as f64,
                    MetricValue::Float(value) => *value,
                    MetricValue::List(_) => continue,
                };
                if let crate::metric::MetricKey::Known(id) = key {
                    self.value(*id, number, keep);
                }
            }
        } else {
            // In the failure-adjusted metrics a failed request took for ever.
            self.seen_failure(keep);
        }
        if keep {
            self.kept += 1;
            for series in self.series.values_mut() {
                series.values.resize(self.kept, f64::NAN);
            }
            if self.kept > self.limit {
                self.thin();
            }
        }
    }

    fn value(&mut self, id: MetricId, value: f64, keep: bool) {
        self.extremes(id, value);
        if keep {
            let kept = self.kept;
            let series = self.series.entry(id).or_default();
            series.values.resize(kept, f64::NAN);
            series.values.push(value);
        }
        if let Some(adjusted) = c::failure_adjusted(id) {
            self.value(adjusted, value, keep);
        }
    }

    fn seen_failure(&mut self, keep: bool) {
        for id in [c::REQUEST_LATENCY, c::TIME_TO_FIRST_TOKEN, c::INTER_TOKEN_LATENCY, c::DECODE_DURATION] {
            if let Some(adjusted) = c::failure_adjusted(id) {
                self.value(adjusted, f64::INFINITY, keep);
            }
        }
    }

    fn extremes(&mut self, id: MetricId, value: f64) {
        let series = self.series.entry(id).or_insert(Series {
            values: Vec::new(),
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
        });
        series.min = series.min.min(value);
        series.max = series.max.max(value);
    }

    /// Keeps every second of the kept records, and half as many from now on.
    fn thin(&mut self) {
        for series in self.series.values_mut() {
            let mut index = 0usize;
            series.values.retain(|_| {
                index += 1;
                !index.is_multiple_of(2)
            });
        }
        self.kept = self.kept.div_ceil(2);
        self.keep_every *= 2;
    }

    /// Adds a number that a summary gives; values of records, where there are any, go before it.
    pub fn give(&mut self, metric: MetricId, statistic: Option<Statistic>, value: f64) {
        if value.is_finite() {
            let key = statistic.map(|statistic| statistic.to_string()).unwrap_or_default();
            self.given.insert((metric, key), value);
        }
    }

    /// Requests of the profiling phase.
    pub fn requests(&self) -> u64 {
        self.succeeded + self.failed
    }

    /// Whether single requests are known, not only a summary.
    pub fn has_records(&self) -> bool {
        self.requests() > 0
    }

    /// The metrics of which single values are known.
    pub fn metrics(&self) -> impl Iterator<Item = MetricId> {
        self.series.keys().copied()
    }

    /// The values of a metric, in the order of completion.
    pub fn sample(&self, metric: MetricId) -> Option<Sample> {
        let sample = Sample::new(self.series.get(&metric)?.values.iter().copied());
        (!sample.is_empty()).then_some(sample)
    }

    /// The estimate of a figure; `None` when this run says nothing of it.
    pub fn estimate(&self, figure: Figure) -> Option<Estimate> {
        self.estimate_of_records(figure).or_else(|| {
            let key = figure.statistic.map(|statistic| statistic.to_string()).unwrap_or_default();
            let given = self.given.get(&(figure.metric, key))?;
            Some(Estimate { value: *given, samples: 0 })
        })
    }

    /// Whether the records have what a rate counts.
    fn counts(&self, rate: MetricId) -> bool {
        let counted = match rate {
            c::OUTPUT_TOKEN_THROUGHPUT => c::OUTPUT_SEQUENCE_LENGTH,
            c::INPUT_TOKEN_THROUGHPUT => c::INPUT_SEQUENCE_LENGTH,
            c::GOODPUT => c::GOOD_REQUEST_COUNT,
            _ => return true,
        };
        self.series.contains_key(&counted)
    }

    fn estimate_of_records(&self, figure: Figure) -> Option<Estimate> {
        if !self.has_records() {
            return None;
        }
        let of_run = |value: f64| Some(Estimate { value, samples: self.requests() });
        match figure.statistic {
            None if figure.metric == c::REQUEST_ERROR_RATE => {
                of_run(100.0 * self.failed as f64 / self.requests() as f64)
            }
            None if !self.counts(figure.metric) => None,
            // The summary knows the exact bounds of the phase.
            None => {
                let given = self.given.get(&(figure.metric, String::new())).copied();
                self.completions.rate(figure.metric).and_then(|own| of_run(given.unwrap_or(own)))
            }
            Some(statistic) => {
                let series = self.series.get(&figure.metric)?;
                let sample = self.sample(figure.metric)?;
                let value = match statistic {
                    Statistic::Avg => sample.mean()?,
                    Statistic::Min => series.min,
                    Statistic::Max => series.max,
                    Statistic::Percentile(p) => sample.quantile(p / 100.0)?,
                };
                Some(Estimate { value, samples: sample.len() as u64 })
            }
        }
    }

    /// The one-sided confidence bound of a figure; `None` when this run says nothing of it.
    pub fn bound(&self, figure: Figure, confidence: f64, side: Side) -> Option<Bound> {
        if self.estimate_of_records(figure).is_none() {
            return self.estimate(figure).map(|_| Bound::Exact);
        }
        let or_more = |bound: Option<f64>, needed| bound.map_or(Bound::TooFew(needed), Bound::At);
        Some(match figure.statistic {
            None if figure.metric == c::REQUEST_ERROR_RATE => {
                let bound = share_bound(self.failed, self.requests(), confidence, side);
                or_more(bound.map(|share| 100.0 * share), Some(1))
            }
            None => {
                let rate = self.estimate_of_records(figure)?.value;
                let bound = self.completions.relative_bound(figure.metric, confidence, side);
                or_more(bound.map(|factor| rate * factor), None)
            }
            Some(Statistic::Min | Statistic::Max) => Bound::Exact,
            Some(Statistic::Avg) => {
                or_more(self.sample(figure.metric)?.mean_bound(confidence, side), Some(10))
            }
            Some(Statistic::Percentile(p)) => {
                let bound = self.sample(figure.metric)?.quantile_bound(p / 100.0, confidence, side);
                or_more(bound, Some(Sample::needed_for_quantile(p / 100.0, confidence, side)))
            }
        })
    }

    /// Draws of a figure under resampling; `None` when the sample is too small for them or a summary is all there
    /// is.
    pub fn draws(&self, figure: Figure, count: usize, random: &mut impl Rng) -> Option<Vec<f64>> {
        if !self.has_records() {
            return None;
        }
        match figure.statistic {
            None if figure.metric == c::REQUEST_ERROR_RATE => {
                let shares = share_draws(self.failed, self.requests(), count, random)?;
                Some(shares.into_iter().map(|share| 100.0 * share).collect())
            }
            None => {
                let rate = self.estimate_of_records(figure)?.value;
                let factors = self.completions.relative_draws(figure.metric, count, random)?;
                Some(factors.into_iter().map(|factor| rate * factor).collect())
            }
            Some(Statistic::Min | Statistic::Max) => None,
            Some(Statistic::Avg) => self.sample(figure.metric)?.mean_draws(count, random),
            Some(Statistic::Percentile(p)) => {
                self.sample(figure.metric)?.quantile_draws(p / 100.0, count, random)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::RequestError;
    use crate::time::WallNs;

    fn record(index: u64, latency_ms: Option<f64>) -> RequestRecord {
        let mut record = RequestRecord::default();
        record.metadata.credit_issued_ns = Some(WallNs(index * 10_000_000));
        record.metadata.request_start_ns = WallNs(index * 10_000_000 + 1_000_000);
        record.metadata.request_end_ns = WallNs(index * 10_000_000 + 5_000_000);
        match latency_ms {
            Some(ms) => record.metrics.float(c::REQUEST_LATENCY, ms),
            None => {
                record.error = Some(RequestError {
                    code: None,
                    kind: None,
                    message: "x".into(),
                    cause: None,
                    cause_chain: None,
                    class: None,
                    side: None,
                    phase: None,
                });
            }
        }
        record
    }

    fn value(run: &RunSample, figure: &str) -> Option<f64> {
        run.estimate(figure.parse().unwrap()).map(|estimate| estimate.value)
    }

    #[test]
    fn figures_of_a_run_come_from_its_records() {
        let mut run = RunSample::new("a");
        let mut warmup = record(0, Some(1e9));
        warmup.metadata.benchmark_phase = BenchmarkPhase::Warmup;
        run.add(&warmup);
        for index in 0..100 {
            run.add(&record(index, (index % 10 != 9).then_some(index as f64)));
        }
        assert_eq!((run.requests(), run.has_records()), (100, true));
        assert_eq!(value(&run, "error_rate"), Some(10.0));
        assert_eq!(value(&run, "latency_min"), Some(0.0));
        assert_eq!(value(&run, "latency_max"), Some(98.0));
        assert_eq!(value(&run, "effective_latency_avg"), Some(5.0));
        assert_eq!(value(&run, "ttft_p50"), None);
        // Failed requests are infinitely slow in the adjusted metric only.
        assert!(value(&run, "latency_p95").unwrap() < 99.0);
        assert_eq!(value(&run, "adj_request_latency_p95"), Some(f64::INFINITY));
        assert!(value(&run, "adj_request_latency_p50").unwrap() < 99.0);
        // 90 successes in the 994 ms between the first start and the last completion.
        let rate = value(&run, "request_throughput").unwrap();
        assert!((85.0..95.0).contains(&rate), "{rate}");
    }

    #[test]
    fn records_beyond_the_bound_are_thinned_evenly() {
        let mut run = RunSample::new("a");
        run.limit = 100;
        for index in 0..10_000u64 {
            run.add(&record(index, Some(index as f64)));
        }
        let sample = run.sample(c::REQUEST_LATENCY).unwrap();
        assert!(sample.len() <= 101, "{}", sample.len());
        assert!((sample.quantile(0.5).unwrap() - 5_000.0).abs() < 200.0);
        assert_eq!(value(&run, "latency_max"), Some(9_999.0));
        assert_eq!(run.requests(), 10_000);
    }

    #[test]
    fn a_summary_fills_in_where_there_are_no_records() {
        let mut run = RunSample::new("a");
        let p99: Figure = "ttft_p99".parse().unwrap();
        run.give(p99.metric, p99.statistic, 12.0);
        assert_eq!(run.estimate(p99), Some(Estimate { value: 12.0, samples: 0 }));
        assert_eq!(run.bound(p99, 0.95, Side::Upper), Some(Bound::Exact));
        assert_eq!(value(&run, "ttft_p50"), None);
    }
}
