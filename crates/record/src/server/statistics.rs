//! Statistics of every series over a window: what `server_metrics_export.json` and `.csv` show.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::phase::{Selection, Window};
use super::reading::MetricKind;
use super::series::{Scrape, Series, Store};
use super::slice::Grid;
use super::{counter, gauge, histogram, unit};

/// All metrics of a window by name.
pub type Metrics = BTreeMap<Arc<str>, MetricStatistics>;

/// One metric over a window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricStatistics {
    /// Its type.
    #[serde(rename = "type", default = "unknown")]
    pub kind: MetricKind,
    /// `# HELP`, or nothing.
    pub description: Arc<str>,
    /// Inferred by [`unit::infer`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Its series by endpoint, then labels.
    #[serde(default)]
    pub series: Vec<SeriesStatistics>,
}

fn unknown() -> MetricKind {
    MetricKind::Unknown
}

/// One series over a window.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SeriesStatistics {
    /// Where it was read.
    #[serde(default)]
    pub endpoint_url: Arc<str>,
    /// Its labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<Arc<str>, Arc<str>>,
    /// The statistics; which ones there are depends on the type.
    #[serde(default)]
    pub stats: Stats,
    /// Of a histogram: observations of the window at or below each bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buckets: Option<Buckets>,
    /// Statistics of each time slice, with `--slice-duration`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeslices: Option<Vec<Slice>>,
}

macro_rules! stats {
    ($($(#[$doc:meta])* $name:ident: $type:ty,)*) => {
        /// Statistics of a series. Absent when the type has no such statistic, or it has no finite value.
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
        pub struct Stats {
            $($(#[$doc])* #[serde(default, skip_serializing_if = "Option::is_none")] pub $name: Option<$type>,)*
        }
    };
}

stats! {
    /// Counter: increase over the window.
    total: f64,
    /// Counter: increase per second.
    rate: f64,
    /// Counter: mean of the rates of complete slices.
    rate_avg: f64,
    /// Counter: lowest rate of a complete slice.
    rate_min: f64,
    /// Counter: highest rate of a complete slice.
    rate_max: f64,
    /// Counter: sample standard deviation of the rates of complete slices.
    rate_std: f64,
    /// Histogram, summary: observations in the window.
    count: u64,
    /// Histogram, summary: their sum.
    sum: f64,
    /// Gauge: mean of the samples. Histogram, summary: sum / count.
    avg: f64,
    /// Gauge: lowest sample.
    min: f64,
    /// Gauge: highest sample.
    max: f64,
    /// Gauge: sample standard deviation (n - 1); 0 for one sample.
    std: f64,
    /// Gauge: 1st percentile of the samples.
    p1: f64,
    /// Gauge: 5th percentile of the samples.
    p5: f64,
    /// Gauge: 10th percentile of the samples.
    p10: f64,
    /// Gauge: 25th percentile of the samples.
    p25: f64,
    /// Gauge: median of the samples.
    p50: f64,
    /// Gauge: 75th percentile of the samples.
    p75: f64,
    /// Gauge: 90th percentile of the samples.
    p90: f64,
    /// Gauge: 95th percentile of the samples.
    p95: f64,
    /// Gauge: 99th percentile of the samples.
    p99: f64,
    /// Histogram, summary: observations per second.
    count_rate: f64,
    /// Histogram, summary: sum per second.
    sum_rate: f64,
    /// Histogram: estimate of the 1st percentile.
    p1_estimate: f64,
    /// Histogram: estimate of the 5th percentile.
    p5_estimate: f64,
    /// Histogram: estimate of the 10th percentile.
    p10_estimate: f64,
    /// Histogram: estimate of the 25th percentile.
    p25_estimate: f64,
    /// Histogram: estimate of the median.
    p50_estimate: f64,
    /// Histogram: estimate of the 75th percentile.
    p75_estimate: f64,
    /// Histogram: estimate of the 90th percentile.
    p90_estimate: f64,
    /// Histogram: estimate of the 95th percentile.
    p95_estimate: f64,
    /// Histogram: estimate of the 99th percentile.
    p99_estimate: f64,
    /// How often the series started again from zero within the window. Not in AIPerf's files.
    resets: u64,
}

/// Statistics of one time slice.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Slice {
    /// Begin, ns since the epoch.
    pub start_ns: u64,
    /// End, ns since the epoch.
    pub end_ns: u64,
    /// False for the last slice when the window ended before it was full; absent otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_complete: Option<bool>,
    /// Counter: increase in the slice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<f64>,
    /// Counter: increase per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// Histogram, summary: observations in the slice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// Histogram, summary: their sum.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sum: Option<f64>,
    /// Gauge: mean of the samples. Histogram, summary: sum / count, 0 without observations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub avg: Option<f64>,
    /// Gauge: lowest sample.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// Gauge: highest sample.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// Histogram: observations of the slice at or below each bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buckets: Option<Buckets>,
}

/// Bounds as the server writes them, ascending, with observations: differences over time, cumulative over
/// the bounds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Buckets(pub Vec<(Arc<str>, u64)>);

impl Serialize for Buckets {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (le, count) in &self.0 {
            map.serialize_entry(le, count)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Buckets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Buckets;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a map from bucket bound to count")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Buckets, A::Error> {
                let mut buckets = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    buckets.push(entry);
                }
                Ok(Buckets(buckets))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

/// A series, its scrapes and the window: what the statistics of each type are computed from.
pub(crate) struct Scope<'s> {
    pub series: &'s Series,
    pub scrapes: &'s [Scrape],
    pub selection: &'s Selection,
    pub grid: Option<&'s Grid>,
}

impl Scope<'_> {
    /// What cumulative values are measured against: the last row before the window. A series that was absent
    /// then, though its page was read, has counted nothing yet (servers show some families only after the
    /// first request). Without an earlier scrape it is the first row of the window.
    pub fn reference(&self) -> Vec<f64> {
        let track = &self.series.track;
        let row = match self.selection.reference {
            Some(reference) => track.known_at(reference),
            None => track.at(self.selection.first),
        };
        row.map_or_else(|| vec![0.0; track.width()], <[f64]>::to_vec)
    }

    /// The scrape after which changes count.
    pub fn after(&self) -> u32 {
        self.selection.reference.unwrap_or(self.selection.first)
    }

    /// The cumulative row at an instant within the window; none before the series first appears.
    pub fn cumulative_at(&self, instant_ns: u64) -> Option<&[f64]> {
        let until = self.scrapes.partition_point(|scrape| scrape.timestamp_ns.0 <= instant_ns) as u32;
        let scrape = until.saturating_sub(1).clamp(self.selection.first, self.selection.last);
        self.series.track.known_at(scrape)
    }

    /// Times the series was reset in the window, when it was.
    pub fn resets(&self) -> Option<u64> {
        let resets = self.series.track.resets_between(self.after(), self.selection.last);
        (resets > 0).then_some(resets)
    }
}

/// A value for a file: none when it is not finite.
pub(super) fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

/// Sample standard deviation (n - 1); 0 for fewer than two values.
pub(super) fn sample_deviation(values: &[f64], mean: f64) -> f64 {
    if values.len() < 2 {
        return 0.0;
    }
    let squares: f64 = values.iter().map(|value| (value - mean) * (value - mean)).sum();
    (squares / (values.len() - 1) as f64).sqrt()
}

impl Store {
    /// Statistics of every series that was seen in a window, with time slices of `slice_ns` when given.
    pub fn statistics(&self, window: Window, slice_ns: Option<u64>) -> Metrics {
        let mut metrics = Metrics::new();
        let selections: Vec<_> = (0..self.endpoints().len() as u32)
            .map(|endpoint| {
                let selection = self.select(super::EndpointId(endpoint), window)?;
                let grid = slice_ns.and_then(|step| Grid::new(&selection, step));
                Some((selection, grid))
            })
            .collect();
        for series in self.series() {
            let Some((selection, grid)) = &selections[series.endpoint.0 as usize] else { continue };
            if !series.track.is_present(selection.first, selection.last) {
                continue;
            }
            let endpoint = &self.endpoints()[series.endpoint.0 as usize];
            let scope = Scope { series, scrapes: endpoint.scrapes(), selection, grid: grid.as_ref() };
            let metric = &self.metrics()[series.metric as usize];
            let computed = match metric.kind {
                MetricKind::Gauge | MetricKind::Unknown => gauge::statistics(&scope),
                MetricKind::Counter => Some(counter::statistics(&scope)),
                MetricKind::Histogram | MetricKind::Summary => Some(histogram::statistics(&scope)),
            };
            let Some(mut computed) = computed else { continue };
            computed.endpoint_url = Arc::clone(&endpoint.url);
            computed.labels = series.labels.iter().cloned().collect();
            metrics
                .entry(Arc::clone(&metric.name))
                .or_insert_with(|| MetricStatistics {
                    kind: metric.kind,
                    description: Arc::clone(&metric.description),
                    unit: unit::infer(&metric.name, &metric.description).map(str::to_owned),
                    series: Vec::new(),
                })
                .series
                .push(computed);
        }
        for metric in metrics.values_mut() {
            metric.series.sort_by(|a, b| (&a.endpoint_url, &a.labels).cmp(&(&b.endpoint_url, &b.labels)));
        }
        metrics
    }
}
