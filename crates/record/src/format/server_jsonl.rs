//! `server_metrics_export.jsonl`: raw values of each scrape, one line per changed page (FORMATS 7.6).

use std::io::Write;

use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};

use crate::server::FetchInstants;
use crate::server::exposition::Label;
use crate::server::phase::PhaseMark;
use crate::server::reading::{Bucket, MetricKind, MetricReading, Point, PointValue, Readings};

/// One scrape. Scrapes whose page equals the one before have no line.
#[derive(Clone, Copy, Debug)]
pub struct ScrapeLine<'a> {
    /// Where it was read.
    pub endpoint_url: &'a str,
    /// When it was read.
    pub instants: FetchInstants,
    /// The phase it belongs to.
    pub phase: Option<&'a PhaseMark>,
    /// What it said. Metrics named `..._info` are left out.
    pub readings: &'a Readings<'a>,
}

impl ScrapeLine<'_> {
    /// Writes the line with its line break.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub fn write(&self, mut output: impl Write) -> std::io::Result<()> {
        serde_json::to_writer(&mut output, self)?;
        output.write_all(b"\n")
    }
}

impl Serialize for ScrapeLine<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut line = serializer.serialize_map(None)?;
        line.serialize_entry("endpoint_url", self.endpoint_url)?;
        line.serialize_entry("timestamp_ns", &self.instants.first_byte_ns)?;
        line.serialize_entry("endpoint_latency_ns", &self.instants.latency_ns)?;
        line.serialize_entry("metrics", &MetricMap(self.readings))?;
        line.serialize_entry("request_sent_ns", &self.instants.request_sent_ns)?;
        line.serialize_entry("first_byte_ns", &self.instants.first_byte_ns)?;
        if let Some(phase) = self.phase {
            line.serialize_entry("benchmark_phase", &phase.kind)?;
            line.serialize_entry("phase_index", &phase.index)?;
            if let Some(index) = phase.profiling_index {
                line.serialize_entry("profiling_index", &index)?;
            }
            line.serialize_entry("phase_name", &phase.name)?;
            line.serialize_entry("phase_kind", &phase.kind)?;
        }
        line.end()
    }
}

struct MetricMap<'a>(&'a Readings<'a>);

impl Serialize for MetricMap<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for metric in &self.0.metrics {
            if metric.kind != MetricKind::Gauge || !metric.name.ends_with("_info") {
                map.serialize_entry(&*metric.name, &PointList(self.0, metric))?;
            }
        }
        map.end()
    }
}

struct PointList<'a>(&'a Readings<'a>, &'a MetricReading<'a>);

impl Serialize for PointList<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let points = self.0.points(self.1);
        let mut list = serializer.serialize_seq(Some(points.len()))?;
        for point in points {
            list.serialize_element(&OnePoint(self.0, point))?;
        }
        list.end()
    }
}

struct OnePoint<'a>(&'a Readings<'a>, &'a Point<'a>);

impl Serialize for OnePoint<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let OnePoint(readings, point) = self;
        let mut map = serializer.serialize_map(None)?;
        if !point.labels.is_empty() {
            map.serialize_entry("labels", &LabelMap(point.labels))?;
        }
        match &point.value {
            PointValue::Scalar(value) => map.serialize_entry("value", value)?,
            PointValue::Summary { sum, count } => {
                map.serialize_entry("sum", sum)?;
                map.serialize_entry("count", count)?;
            }
            PointValue::Histogram { sum, count, buckets } => {
                map.serialize_entry("buckets", &BucketMap(readings.buckets(buckets)))?;
                map.serialize_entry("sum", sum)?;
                map.serialize_entry("count", count)?;
            }
        }
        map.end()
    }
}

struct LabelMap<'a>(&'a [Label<'a>]);

impl Serialize for LabelMap<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|label| (&label.name, &label.value)))
    }
}

struct BucketMap<'a>(&'a [Bucket<'a>]);

impl Serialize for BucketMap<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|bucket| (bucket.le, bucket.count)))
    }
}
