//! Service level objectives: what makes a request good (`--goodput`).

use std::fmt;
use std::str::FromStr;

use super::catalogue::{self, Flags, Kind, MetricId};
use super::unit;
use crate::request::RequestRecord;

/// A bound on one per-request metric, in the unit files show.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slo {
    /// The metric.
    pub metric: MetricId,
    /// Most allowed; for a metric of which more is better, the least allowed.
    pub threshold: f64,
}

impl Slo {
    /// Whether a value keeps the bound.
    pub fn met_by(&self, value: f64) -> bool {
        if self.metric.def().larger_is_better() { value >= self.threshold } else { value <= self.threshold }
    }
}

/// Why an SLO cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SloError {
    /// Not of the form `tag:number`.
    #[error("`{0}` is not of the form metric:number, for example request_latency:250 (in ms)")]
    Form(String),
    /// No such metric.
    #[error("no metric is named `{tag}`{}", nearest.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default())]
    Unknown {
        /// What was asked for.
        tag: String,
        /// The most similar name.
        nearest: Option<&'static str>,
    },
    /// The metric has no value for a single request.
    #[error("`{0}` has no value for a single request, so no request can meet or miss it")]
    NotPerRequest(&'static str),
    /// The threshold is no finite number, or its unit is not the metric's.
    #[error("`{value}` is not a threshold of {tag}, which is given in {unit}")]
    Threshold {
        /// The metric.
        tag: &'static str,
        /// What was given.
        value: String,
        /// Unit it has to be in.
        unit: &'static str,
    },
}

/// All objectives of a run. A request is good when it meets every one; one that lacks a metric is not good.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Slos(Vec<Slo>);

impl Slos {
    /// No objectives: nothing is judged.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The objectives.
    pub fn iter(&self) -> impl Iterator<Item = &Slo> {
        self.0.iter()
    }

    /// Adds an objective; a second one for the same metric replaces the first.
    pub fn push(&mut self, tag: &str, threshold: f64) -> Result<(), SloError> {
        let metric = MetricId::from_tag(tag)
            .ok_or_else(|| SloError::Unknown { tag: tag.to_owned(), nearest: catalogue::nearest_tag(tag) })?;
        let def = metric.def();
        let judged = def.kind == Kind::Record
            && !def.flags.intersects(Flags::INTERNAL.union(Flags::EXPERIMENTAL).union(Flags::ERROR_ONLY))
            && metric != catalogue::INTER_CHUNK_LATENCY;
        if !judged {
            return Err(SloError::NotPerRequest(def.tag));
        }
        if !threshold.is_finite() {
            return Err(SloError::Threshold { tag: def.tag, value: threshold.to_string(), unit: def.unit });
        }
        self.0.retain(|slo| slo.metric != metric);
        self.0.push(Slo { metric, threshold });
        Ok(())
    }

    /// Whether a record meets all of them. Latencies from the intended instant are computed from its metadata.
    pub fn met_by(&self, record: &RequestRecord) -> bool {
        record.is_success()
            && self.0.iter().all(|slo| value_of(record, slo.metric).is_some_and(|value| slo.met_by(value)))
    }

    /// Notes the judgement in the record, as `good_request_count` 0 or 1. Without objectives, or for a
    /// failure, the record stays as it is.
    pub fn mark(&self, record: &mut RequestRecord) {
        if !self.is_empty() && record.is_success() {
            let good = self.met_by(record);
            record.metrics.int(catalogue::GOOD_REQUEST_COUNT, i64::from(good));
        }
    }
}

/// The value of a per-request metric, from the record's metrics or computed from its metadata.
fn value_of(record: &RequestRecord, id: MetricId) -> Option<f64> {
    let metadata = &record.metadata;
    let since_credit = |at: u64| Some(at.saturating_sub(metadata.credit_issued_ns?.0) as f64 / 1e6);
    match id {
        catalogue::EFFECTIVE_LATENCY => since_credit(metadata.request_end_ns.0),
        catalogue::CREDIT_TO_START_LATENCY => since_credit(metadata.request_start_ns.0),
        _ => record.metrics.number(id),
    }
}

impl FromStr for Slos {
    type Err = SloError;

    /// Reads `tag:number` pairs separated by blanks or commas. The number is in the unit files show, or
    /// carries a unit of its own: `request_latency:250`, `request_latency:0.25s`.
    fn from_str(text: &str) -> Result<Self, SloError> {
        let mut slos = Slos::default();
        for pair in text.split([' ', ',', '\t', '\n']).filter(|pair| !pair.is_empty()) {
            let (tag, value) = pair.split_once(':').ok_or_else(|| SloError::Form(pair.to_owned()))?;
            let digits = value.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == '%');
            let number = match digits.parse::<f64>() {
                Ok(number) => number,
                Err(_) => return Err(SloError::Form(pair.to_owned())),
            };
            let own = &value[digits.len()..];
            let unit = MetricId::from_tag(tag).map(|id| id.def());
            let threshold = match unit {
                Some(def) if !own.is_empty() => unit::convert(number, own, def.unit).ok_or_else(|| {
                    SloError::Threshold { tag: def.tag, value: value.to_owned(), unit: def.unit }
                })?,
                _ => number,
            };
            slos.push(tag, threshold)?;
        }
        Ok(slos)
    }
}

impl fmt::Display for Slos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, slo) in self.0.iter().enumerate() {
            let blank = if place == 0 { "" } else { " " };
            write!(f, "{blank}{}:{}", slo.metric.tag(), slo.threshold)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::WallNs;

    fn record(latency: f64, tps: Option<f64>) -> RequestRecord {
        let mut record = RequestRecord::default();
        record.metrics.float(catalogue::REQUEST_LATENCY, latency);
        if let Some(tps) = tps {
            record.metrics.float(catalogue::OUTPUT_TOKEN_THROUGHPUT_PER_USER, tps);
        }
        record
    }

    #[test]
    fn direction_follows_the_metric_and_absence_is_a_miss() {
        let slos: Slos = "request_latency:250 output_token_throughput_per_user:20".parse().unwrap();
        assert!(slos.met_by(&record(250.0, Some(20.0))));
        assert!(!slos.met_by(&record(250.1, Some(20.0))));
        assert!(!slos.met_by(&record(250.0, Some(19.9))));
        assert!(!slos.met_by(&record(250.0, None)));
        assert_eq!(slos.to_string(), "request_latency:250 output_token_throughput_per_user:20");
    }

    #[test]
    fn a_unit_of_its_own_is_converted() {
        let slos: Slos = "request_latency:0.25s".parse().unwrap();
        assert_eq!(slos.iter().next().unwrap().threshold, 250.0);
        assert!("request_latency:3MB".parse::<Slos>().is_err());
    }

    #[test]
    fn latency_from_the_intended_instant_comes_from_metadata() {
        let slos: Slos = "effective_latency:100".parse().unwrap();
        let mut record = record(1.0, None);
        record.metadata.credit_issued_ns = Some(WallNs(1_000_000_000));
        record.metadata.request_end_ns = WallNs(1_100_000_001);
        assert!(!slos.met_by(&record));
        record.metadata.request_end_ns = WallNs(1_100_000_000);
        assert!(slos.met_by(&record));
    }

    #[test]
    fn what_cannot_be_judged_is_refused_with_a_reason() {
        let error = |text: &str| text.parse::<Slos>().unwrap_err().to_string();
        assert!(error("request_latensy:3").contains("did you mean `request_latency`"));
        assert!(error("request_throughput:3").contains("no value for a single request"));
        assert!(error("request_latency").contains("metric:number"));
        assert!(error("request_latency:fast").contains("metric:number"));
        assert!(
            error("request_latency:inf").contains("metric:number")
                || error("request_latency:inf").contains("threshold")
        );
    }

    #[test]
    fn marking_notes_the_judgement_once() {
        let slos: Slos = "request_latency:250".parse().unwrap();
        let mut good = record(10.0, None);
        slos.mark(&mut good);
        assert_eq!(good.metrics.number(catalogue::GOOD_REQUEST_COUNT), Some(1.0));
        let mut untouched = record(10.0, None);
        Slos::default().mark(&mut untouched);
        assert_eq!(untouched.metrics.number(catalogue::GOOD_REQUEST_COUNT), None);
    }
}
