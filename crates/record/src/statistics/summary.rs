//! What statistics say: one [`MetricSummary`] for each metric, and everything of a run in [`RunSummary`].

use std::borrow::Cow;
use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::distribution::Distribution;
use crate::error::RequestError;
use crate::metric::MetricId;
use crate::time::WallNs;

/// A metric over a run, a phase or a slice, as summary files hold it. What is not known is absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MetricSummary {
    /// Unit of every figure but `count`.
    pub unit: Cow<'static, str>,
    /// Mean; the value itself for a metric that has only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub avg: Option<f64>,
    /// 1st percentile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p1: Option<f64>,
    /// 5th percentile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p5: Option<f64>,
    /// 10th percentile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p10: Option<f64>,
    /// 25th percentile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p25: Option<f64>,
    /// Median.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p50: Option<f64>,
    /// 75th percentile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p75: Option<f64>,
    /// 90th percentile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p90: Option<f64>,
    /// 95th percentile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p95: Option<f64>,
    /// 99th percentile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p99: Option<f64>,
    /// The least value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// The greatest value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// Population standard deviation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub std: Option<f64>,
    /// Number of values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// Sum of the values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sum: Option<f64>,
    /// Percentiles come from a histogram because exact ones would not have fitted the memory bound.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub approximate: bool,
}

impl MetricSummary {
    /// A metric with a single value. `None` when it is not finite.
    pub fn scalar(unit: impl Into<Cow<'static, str>>, value: f64) -> Option<Self> {
        value.is_finite().then(|| MetricSummary { unit: unit.into(), avg: Some(value), ..Default::default() })
    }

    /// The full block of a per-request metric.
    pub fn distribution(unit: impl Into<Cow<'static, str>>, of: &Distribution) -> Self {
        let [p1, p5, p10, p25, p50, p75, p90, p95, p99] = of.percentiles.map(finite);
        MetricSummary {
            unit: unit.into(),
            avg: finite(of.avg),
            p1,
            p5,
            p10,
            p25,
            p50,
            p75,
            p90,
            p95,
            p99,
            min: finite(of.min),
            max: finite(of.max),
            std: finite(of.std),
            count: Some(of.count),
            sum: finite(of.sum),
            approximate: of.approximate,
        }
    }

    /// Whether it describes a distribution rather than a single value.
    pub fn is_distribution(&self) -> bool {
        self.min.is_some() || self.max.is_some() || self.p50.is_some() || self.count.is_some()
    }

    /// A statistic by the name files give it: `avg`, `p99`, `std` ...
    pub fn stat(&self, name: &str) -> Option<f64> {
        match name {
            "avg" => self.avg,
            "p1" => self.p1,
            "p5" => self.p5,
            "p10" => self.p10,
            "p25" => self.p25,
            "p50" => self.p50,
            "p75" => self.p75,
            "p90" => self.p90,
            "p95" => self.p95,
            "p99" => self.p99,
            "min" => self.min,
            "max" => self.max,
            "std" => self.std,
            "count" => self.count.map(|count| count as f64),
            "sum" => self.sum,
            _ => None,
        }
    }
}

pub(super) fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

/// Metrics by tag, in the order they were added.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MetricSet {
    entries: Vec<(Cow<'static, str>, MetricSummary)>,
}

impl MetricSet {
    /// Adds or replaces a metric.
    pub fn insert(&mut self, tag: impl Into<Cow<'static, str>>, summary: MetricSummary) {
        let tag = tag.into();
        match self.entries.iter_mut().find(|(known, _)| *known == tag) {
            Some((_, old)) => *old = summary,
            None => self.entries.push((tag, summary)),
        }
    }

    /// A metric of the catalogue.
    pub fn get(&self, id: MetricId) -> Option<&MetricSummary> {
        self.by_tag(id.tag())
    }

    /// A metric by its tag.
    pub fn by_tag(&self, tag: &str) -> Option<&MetricSummary> {
        self.entries.iter().find(|(known, _)| known == tag).map(|(_, summary)| summary)
    }

    /// The mean, or the only value, of a metric.
    pub fn value(&self, id: MetricId) -> Option<f64> {
        self.get(id)?.avg
    }

    /// All metrics with their tags.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &MetricSummary)> {
        self.entries.iter().map(|(tag, summary)| (tag.as_ref(), summary))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl Serialize for MetricSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.entries.len()))?;
        for (tag, summary) in &self.entries {
            map.serialize_entry(tag, summary)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for MetricSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SetVisitor;
        impl<'de> Visitor<'de> for SetVisitor {
            type Value = MetricSet;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("metrics by tag")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<MetricSet, A::Error> {
                let mut set = MetricSet::default();
                while let Some((tag, summary)) = map.next_entry::<String, MetricSummary>()? {
                    set.insert(tag, summary);
                }
                Ok(set)
            }
        }
        deserializer.deserialize_map(SetVisitor)
    }
}

/// An error and how often it occurred: an item of `error_summary`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ErrorCount {
    /// The first error of its kind.
    pub error_details: RequestError,
    /// How many requests failed with it.
    pub count: u64,
}

/// How many requests of a phase ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestCounts {
    /// Successes.
    pub succeeded: u64,
    /// Failures, cancellations included.
    pub failed: u64,
    /// Failures that were cancelled on purpose.
    pub cancelled: u64,
}

impl RequestCounts {
    /// Successes plus failures.
    pub fn completed(&self) -> u64 {
        self.succeeded + self.failed
    }
}

/// The metrics of one slice of the profiling phase.
#[derive(Clone, Debug, PartialEq)]
pub struct Slice {
    /// First instant of the slice.
    pub start: WallNs,
    /// First instant after it; the last slice ends with the last request.
    pub end: WallNs,
    /// Whether it has its full length.
    pub complete: bool,
    /// Metrics of the requests that started in it.
    pub metrics: MetricSet,
}

/// Everything the statistics say about a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunSummary {
    /// Metrics of the profiling phase.
    pub metrics: MetricSet,
    /// Metrics of the warmup phase, when there was one.
    pub warmup_metrics: Option<MetricSet>,
    /// Errors of the profiling phase, the most frequent first.
    pub errors: Vec<ErrorCount>,
    /// Requests of the profiling phase.
    pub counts: RequestCounts,
    /// Requests of the warmup phase.
    pub warmup_counts: RequestCounts,
    /// Slices, when asked for; empty ones are left out.
    pub slices: Vec<Slice>,
    /// What is not exact, and why, in words for a reader of the files.
    pub notes: Vec<String>,
}
