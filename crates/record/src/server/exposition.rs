//! A zero-copy reader of Prometheus' text exposition format (0.0.4, 1.0.0) and of OpenMetrics.
//!
//! One bad line costs that line, never the page: it becomes a [`Problem`]. Only a page that is not
//! exposition at all (JSON, HTML, garbage) is refused, with [`NotExposition`]. Names and label values borrow
//! from the page; only text with escapes is copied.
//!
//! Grammar: <https://prometheus.io/docs/instrumenting/exposition_formats/>, OpenMetrics 1.0, and the quoted
//! UTF-8 names of Prometheus 3 (`{"my.metric",label="x"} 1`).

mod assemble;
mod json;
mod label;
mod line;
mod problem;

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

pub use problem::{Fault, Limits, NotExposition, Problem, Problems};

/// What a `Content-Type` says about a metrics page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Media {
    /// Prometheus text, or nothing known.
    #[default]
    Text,
    /// `application/openmetrics-text`: timestamps are seconds, HELP knows `\"`, the page ends at `# EOF`.
    OpenMetrics,
    /// `application/json`: no metrics page; its body need not be read.
    Json,
}

impl Media {
    /// Reads the media type of a `Content-Type` value; parameters do not matter.
    pub fn from_content_type(value: &str) -> Media {
        let essence = value.split(';').next().unwrap_or_default().trim();
        if essence.eq_ignore_ascii_case("application/json") {
            Media::Json
        } else if essence.eq_ignore_ascii_case("application/openmetrics-text") {
            Media::OpenMetrics
        } else {
            Media::Text
        }
    }
}

/// The type of a family, from its `# TYPE` line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FamilyKind {
    /// A value that goes up and down.
    Gauge,
    /// A total that only grows, until its process restarts.
    Counter,
    /// Cumulative buckets, sum and count.
    Histogram,
    /// Buckets of a present state: they go up and down (OpenMetrics).
    GaugeHistogram,
    /// Quantiles, sum and count.
    Summary,
    /// Labels as the message, value 1 (OpenMetrics).
    Info,
    /// One boolean for each state (OpenMetrics).
    StateSet,
    /// `untyped`, `unknown`, or no `# TYPE` line.
    #[default]
    Unknown,
}

impl FamilyKind {
    pub(crate) fn from_name(name: &str) -> Option<FamilyKind> {
        Some(match name {
            "gauge" => FamilyKind::Gauge,
            "counter" => FamilyKind::Counter,
            "histogram" => FamilyKind::Histogram,
            "gaugehistogram" => FamilyKind::GaugeHistogram,
            "summary" => FamilyKind::Summary,
            "info" => FamilyKind::Info,
            "stateset" => FamilyKind::StateSet,
            "untyped" | "unknown" => FamilyKind::Unknown,
            _ => return None,
        })
    }

    /// The name OpenMetrics uses.
    pub fn as_str(self) -> &'static str {
        match self {
            FamilyKind::Gauge => "gauge",
            FamilyKind::Counter => "counter",
            FamilyKind::Histogram => "histogram",
            FamilyKind::GaugeHistogram => "gaugehistogram",
            FamilyKind::Summary => "summary",
            FamilyKind::Info => "info",
            FamilyKind::StateSet => "stateset",
            FamilyKind::Unknown => "unknown",
        }
    }
}

impl fmt::Display for FamilyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The role of one sample line within its family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// The value itself: gauges, counters (with or without `_total`), info, states, unknown.
    Value,
    /// `_bucket` of a histogram; its `le` is [`Page::edge`].
    Bucket,
    /// `_sum` (`_gsum` of a gauge histogram).
    Sum,
    /// `_count` (`_gcount` of a gauge histogram).
    Count,
    /// A quantile of a summary; its `quantile` is [`Page::edge`].
    Quantile,
    /// `_created`: when the series began, seconds since the epoch.
    Created,
}

/// One label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label<'a> {
    /// Label name.
    pub name: Cow<'a, str>,
    /// Label value, unescaped.
    pub value: Cow<'a, str>,
}

/// One sample line.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample<'a> {
    /// Its role in the family.
    pub part: Part,
    /// The value; NaN and infinities as the page has them.
    pub value: f64,
    /// Time stamp of the page itself, ns since the epoch; most pages have none.
    pub timestamp_ns: Option<i64>,
    /// Line of the page, from 1.
    pub line: u32,
    family: u32,
    labels: u32,
    label_count: u16,
    page: std::marker::PhantomData<&'a str>,
}

/// An exemplar: one observation behind a bucket or counter.
#[derive(Clone, Debug, PartialEq)]
pub struct Exemplar<'a> {
    /// Line of the sample it belongs to.
    pub line: u32,
    /// Its labels, usually a trace id.
    pub labels: Vec<Label<'a>>,
    /// The observed value.
    pub value: f64,
    /// When it was observed, ns since the epoch.
    pub timestamp_ns: Option<i64>,
}

/// A metric family: its metadata and its samples.
#[derive(Clone, Debug, PartialEq)]
pub struct Family<'a> {
    /// Family name; a counter's has lost its `_total`.
    pub name: Cow<'a, str>,
    /// The name as the `# TYPE` line, or the sample, has it.
    pub declared: Cow<'a, str>,
    /// Its type.
    pub kind: FamilyKind,
    /// Whether a `# TYPE` line said so.
    pub typed: bool,
    /// `# HELP`, unescaped.
    pub help: Option<Cow<'a, str>>,
    /// `# UNIT` (OpenMetrics).
    pub unit: Option<Cow<'a, str>>,
    samples: Range<u32>,
}

/// A parsed page. Families are in the order of their first mention; their samples in page order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page<'a> {
    /// The families, also those without samples.
    pub families: Vec<Family<'a>>,
    /// Exemplars, by line.
    pub exemplars: Vec<Exemplar<'a>>,
    /// What could not be read.
    pub problems: Problems,
    samples: Vec<Sample<'a>>,
    labels: Vec<Label<'a>>,
}

impl<'a> Page<'a> {
    /// Parses a page.
    ///
    /// # Errors
    /// [`NotExposition`] when the page is something else: JSON, HTML, or more bad lines than good ones and no
    /// `# TYPE` or `# HELP` at all. An empty page is a page without families.
    pub fn parse(body: &'a [u8], media: Media, limits: &Limits) -> Result<Page<'a>, NotExposition> {
        assemble::page(body, media, limits)
    }

    /// The samples of a family.
    pub fn samples(&self, family: &Family<'a>) -> &[Sample<'a>] {
        &self.samples[family.samples.start as usize..family.samples.end as usize]
    }

    /// The labels of a sample in page order, without the `le` of a bucket and the `quantile` of a quantile.
    pub fn labels(&self, sample: &Sample<'a>) -> &[Label<'a>] {
        let start = sample.labels as usize;
        &self.labels[start..start + usize::from(sample.label_count)]
    }

    /// The labels of a sample with its `le` or `quantile`, which comes last.
    pub fn all_labels(&self, sample: &Sample<'a>) -> &[Label<'a>] {
        let start = sample.labels as usize;
        let edge = usize::from(matches!(sample.part, Part::Bucket | Part::Quantile));
        &self.labels[start..start + usize::from(sample.label_count) + edge]
    }

    /// The `le` of a bucket or the `quantile` of a quantile, as written.
    pub fn edge(&self, sample: &Sample<'a>) -> Option<&str> {
        match sample.part {
            Part::Bucket | Part::Quantile => {
                self.labels.get(sample.labels as usize + usize::from(sample.label_count)).map(|l| &*l.value)
            }
            _ => None,
        }
    }

    /// Number of sample lines.
    pub fn sample_count(&self) -> usize {
        self.samples.len()
    }
}

#[cfg(test)]
mod tests;
