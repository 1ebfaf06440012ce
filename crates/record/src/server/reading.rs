//! What a page says, under the rules of the server-metrics files (AIPerf 0.13, FORMATS 7.1).
//!
//! * a counter's name loses `_total`; an OpenMetrics info is a gauge named `..._info`; a state set is a
//!   gauge; a gauge histogram, whose buckets go up and down, becomes the gauges `_bucket`, `_gsum`, `_gcount`;
//! * skipped: families named `..._created`, `..._uptime` or `..._uptime_...`, and `_created` samples;
//! * values that are not finite are dropped, and with them the whole histogram they belong to;
//! * of duplicate series the last one counts;
//! * of a summary, sum and count are kept; its quantiles span the server's lifetime and say nothing of a run.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::exposition::{Family, FamilyKind, Label, Page, Part, Sample};

/// The type of a metric in the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MetricKind {
    /// A value that goes up and down.
    Gauge,
    /// A total that only grows.
    Counter,
    /// Cumulative buckets, sum and count.
    Histogram,
    /// Sum and count.
    Summary,
    /// No type given; statistics as for a gauge.
    Unknown,
}

impl MetricKind {
    /// The name in files.
    pub fn as_str(self) -> &'static str {
        match self {
            MetricKind::Gauge => "gauge",
            MetricKind::Counter => "counter",
            MetricKind::Histogram => "histogram",
            MetricKind::Summary => "summary",
            MetricKind::Unknown => "unknown",
        }
    }
}

/// One bucket of a histogram at one scrape.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket<'p> {
    /// Upper bound as written: `0.05`, `+Inf`.
    pub le: &'p str,
    /// Upper bound.
    pub bound: f64,
    /// Observations at or below it since the server started.
    pub count: f64,
}

/// The value of a series at one scrape.
#[derive(Clone, Debug, PartialEq)]
pub enum PointValue {
    /// Gauge, counter, unknown.
    Scalar(f64),
    /// Histogram; buckets are in [`Readings::buckets`], by ascending bound, the last one `+Inf`.
    Histogram {
        /// Sum of all observations.
        sum: f64,
        /// Number of observations.
        count: f64,
        /// Where its buckets are.
        buckets: Range<usize>,
    },
    /// Summary.
    Summary {
        /// Sum of all observations.
        sum: f64,
        /// Number of observations.
        count: f64,
    },
}

/// One series at one scrape.
#[derive(Clone, Debug, PartialEq)]
pub struct Point<'p> {
    /// Labels in page order.
    pub labels: &'p [Label<'p>],
    /// Its value.
    pub value: PointValue,
}

/// One metric at one scrape.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricReading<'p> {
    /// Name in the files, unique within the page.
    pub name: Cow<'p, str>,
    /// Its type.
    pub kind: MetricKind,
    /// `# HELP`, or nothing.
    pub description: &'p str,
    points: Range<usize>,
}

/// Why values of a metric are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Dropped {
    /// NaN or an infinity.
    #[error("has values that are not finite, which are left out")]
    NotFinite,
    /// A histogram or summary without sum or count, or with a bound that is no number.
    #[error("has incomplete histograms or summaries, which are left out")]
    Incomplete,
}

/// A page under the rules of the files.
#[derive(Clone, Debug, Default)]
pub struct Readings<'p> {
    /// Metrics that have points, in page order.
    pub metrics: Vec<MetricReading<'p>>,
    /// Metrics of which something was dropped.
    pub dropped: Vec<(String, Dropped)>,
    points: Vec<Point<'p>>,
    buckets: Vec<Bucket<'p>>,
}

impl<'p> Readings<'p> {
    /// Applies the rules to a page.
    pub fn of<'a: 'p>(page: &'p Page<'a>) -> Readings<'p> {
        let mut readings = Readings::default();
        let mut names = HashSet::with_capacity(page.families.len());
        for family in &page.families {
            if !skipped(&family.name) && !page.samples(family).is_empty() {
                readings.family(page, family, &mut names);
            }
        }
        readings
    }

    /// The series of a metric.
    pub fn points(&self, metric: &MetricReading<'p>) -> &[Point<'p>] {
        &self.points[metric.points.clone()]
    }

    /// The buckets of a histogram.
    pub fn buckets(&self, range: &Range<usize>) -> &[Bucket<'p>] {
        &self.buckets[range.clone()]
    }

    fn family<'a: 'p>(
        &mut self,
        page: &'p Page<'a>,
        family: &'p Family<'a>,
        names: &mut HashSet<Cow<'p, str>>,
    ) {
        let samples = page.samples(family);
        let scalar = |part: Part| samples.iter().filter(move |s| s.part == part);
        match family.kind {
            FamilyKind::Gauge | FamilyKind::StateSet | FamilyKind::Unknown | FamilyKind::Counter => {
                let kind = match family.kind {
                    FamilyKind::Counter if MISTYPED_COUNTERS.contains(&&*family.name) => MetricKind::Gauge,
                    FamilyKind::Counter => MetricKind::Counter,
                    FamilyKind::Unknown => MetricKind::Unknown,
                    _ => MetricKind::Gauge,
                };
                self.scalars(page, family, Cow::Borrowed(&*family.name), kind, scalar(Part::Value), names);
            }
            FamilyKind::Info => {
                let name = with_suffix(family, "_info");
                self.scalars(page, family, name, MetricKind::Gauge, scalar(Part::Value), names);
            }
            FamilyKind::GaugeHistogram => {
                for (part, suffix) in
                    [(Part::Bucket, "_bucket"), (Part::Sum, "_gsum"), (Part::Count, "_gcount")]
                {
                    let name = with_suffix(family, suffix);
                    self.scalars(page, family, name, MetricKind::Gauge, scalar(part), names);
                }
            }
            FamilyKind::Histogram | FamilyKind::Summary => self.distributions(page, family, names),
        }
    }

    fn scalars<'a: 'p>(
        &mut self,
        page: &'p Page<'a>,
        family: &'p Family<'a>,
        name: Cow<'p, str>,
        kind: MetricKind,
        samples: impl Iterator<Item = &'p Sample<'a>>,
        names: &mut HashSet<Cow<'p, str>>,
    ) {
        let start = self.points.len();
        let mut infinite = false;
        for sample in samples {
            if sample.value.is_finite() {
                let value = PointValue::Scalar(sample.value);
                self.points.push(Point { labels: page.all_labels(sample), value });
            } else {
                infinite = true;
            }
        }
        keep_last(&mut self.points, start);
        let dropped = infinite.then_some(Dropped::NotFinite);
        self.metric(family, name, kind, start, dropped, names);
    }

    fn distributions<'a: 'p>(
        &mut self,
        page: &'p Page<'a>,
        family: &'p Family<'a>,
        names: &mut HashSet<Cow<'p, str>>,
    ) {
        let start = self.points.len();
        let mut dropped = None;
        for group in groups(page, page.samples(family)) {
            let value = match family.kind {
                FamilyKind::Summary => group.summary(),
                _ => group.histogram(page, &mut self.buckets),
            };
            match value {
                Ok(value) => self.points.push(Point { labels: group.labels, value }),
                Err(why) => dropped = Some(why),
            }
        }
        let kind =
            if family.kind == FamilyKind::Summary { MetricKind::Summary } else { MetricKind::Histogram };
        self.metric(family, Cow::Borrowed(&*family.name), kind, start, dropped, names);
    }

    fn metric<'a: 'p>(
        &mut self,
        family: &'p Family<'a>,
        mut name: Cow<'p, str>,
        kind: MetricKind,
        start: usize,
        dropped: Option<Dropped>,
        names: &mut HashSet<Cow<'p, str>>,
    ) {
        // `foo_total` (counter) beside `foo` (gauge): the later one keeps its full name.
        if names.contains(&name) {
            name = Cow::Borrowed(&*family.declared);
        }
        if names.contains(&name) {
            name = Cow::Owned(format!("{name}_{}", kind.as_str()));
        }
        if let Some(why) = dropped {
            self.dropped.push((name.clone().into_owned(), why));
        }
        if self.points.len() > start {
            let description = family.help.as_deref().unwrap_or_default();
            names.insert(name.clone());
            self.metrics.push(MetricReading { name, kind, description, points: start..self.points.len() });
        }
    }
}

/// Maxima that their server calls counters: as counters they would have a meaningless total.
const MISTYPED_COUNTERS: [&str; 1] = ["llamacpp:n_tokens_max"];

/// Families that no file shows.
fn skipped(name: &str) -> bool {
    name.ends_with("_created") || name.ends_with("_uptime") || name.contains("_uptime_")
}

fn with_suffix<'p>(family: &'p Family<'_>, suffix: &str) -> Cow<'p, str> {
    if family.name.ends_with(suffix) {
        Cow::Borrowed(&*family.name)
    } else {
        Cow::Owned(format!("{}{suffix}", family.name))
    }
}

/// A label set, equal whatever the order of its labels.
fn identity<'p>(labels: &'p [Label<'p>]) -> Vec<(&'p str, &'p str)> {
    let mut pairs: Vec<_> = labels.iter().map(|label| (&*label.name, &*label.value)).collect();
    pairs.sort_unstable();
    pairs
}

/// Removes from `points[start..]` all but the last point of each label set; the first position stays.
fn keep_last(points: &mut Vec<Point<'_>>, start: usize) {
    if points.len() - start < 2 {
        return;
    }
    let mut seen = HashMap::with_capacity(points.len() - start);
    let mut write = start;
    for read in start..points.len() {
        match seen.entry(identity(points[read].labels)) {
            std::collections::hash_map::Entry::Occupied(entry) => {
                let first: usize = *entry.get();
                points[first].value = points[read].value.clone();
            }
            std::collections::hash_map::Entry::Vacant(entry) => {
                entry.insert(write);
                points.swap(write, read);
                write += 1;
            }
        }
    }
    points.truncate(write);
}

/// The lines of one histogram or summary.
struct Group<'p, 'a> {
    labels: &'p [Label<'p>],
    sum: Option<f64>,
    count: Option<f64>,
    buckets: Vec<&'p Sample<'a>>,
}

/// Brings the lines of one label set together, wherever they stand in the family.
fn groups<'p, 'a: 'p>(page: &'p Page<'a>, samples: &'p [Sample<'a>]) -> Vec<Group<'p, 'a>> {
    let mut groups: Vec<Group<'p, 'a>> = Vec::new();
    let mut index: HashMap<Vec<(&'p str, &'p str)>, usize> = HashMap::new();
    let mut current = usize::MAX;
    for sample in samples {
        if matches!(sample.part, Part::Created | Part::Quantile | Part::Value) {
            continue;
        }
        let labels = page.labels(sample);
        // Nearly always the lines of one label set follow each other.
        if groups.get(current).is_none_or(|group| group.labels != labels) {
            let next = groups.len();
            current = *index.entry(identity(labels)).or_insert(next);
            if current == next {
                groups.push(Group { labels, sum: None, count: None, buckets: Vec::new() });
            }
        }
        let group = &mut groups[current];
        match sample.part {
            Part::Sum => group.sum = Some(sample.value),
            Part::Count => group.count = Some(sample.value),
            _ => group.buckets.push(sample),
        }
    }
    groups
}

impl<'p, 'a: 'p> Group<'p, 'a> {
    fn summary(&self) -> Result<PointValue, Dropped> {
        let (sum, count) = (self.sum.ok_or(Dropped::Incomplete)?, self.count.ok_or(Dropped::Incomplete)?);
        if sum.is_finite() && count.is_finite() {
            Ok(PointValue::Summary { sum, count })
        } else {
            Err(Dropped::NotFinite)
        }
    }

    fn histogram(&self, page: &'p Page<'a>, arena: &mut Vec<Bucket<'p>>) -> Result<PointValue, Dropped> {
        let start = arena.len();
        let value = self.append(page, arena, start);
        if value.is_err() {
            arena.truncate(start);
        }
        value
    }

    fn append(
        &self,
        page: &'p Page<'a>,
        arena: &mut Vec<Bucket<'p>>,
        start: usize,
    ) -> Result<PointValue, Dropped> {
        let mut ascending = true;
        for sample in &self.buckets {
            let le = page.edge(sample).unwrap_or_default();
            let bound: f64 = le.parse().map_err(|_| Dropped::Incomplete)?;
            if bound.is_nan() || bound == f64::NEG_INFINITY {
                return Err(Dropped::Incomplete);
            }
            ascending &= arena[start..].last().is_none_or(|last| last.bound < bound);
            arena.push(Bucket { le, bound, count: sample.value });
        }
        if !ascending {
            sort_keeping_last(arena, start);
        }
        let infinite =
            arena[start..].last().filter(|last| last.bound == f64::INFINITY).map(|last| last.count);
        let count = self.count.or(infinite).ok_or(Dropped::Incomplete)?;
        if infinite.is_none() {
            arena.push(Bucket { le: "+Inf", bound: f64::INFINITY, count });
        }
        let sum = self.sum.ok_or(Dropped::Incomplete)?;
        if !(sum.is_finite() && count.is_finite() && arena[start..].iter().all(|b| b.count.is_finite())) {
            return Err(Dropped::NotFinite);
        }
        Ok(PointValue::Histogram { sum, count, buckets: start..arena.len() })
    }
}

/// Orders buckets by bound; of equal bounds the one that came last stays.
fn sort_keeping_last(arena: &mut Vec<Bucket<'_>>, start: usize) {
    arena[start..].sort_by(|a, b| a.bound.total_cmp(&b.bound));
    let mut write = start;
    for read in start..arena.len() {
        if write > start && arena[write - 1].bound == arena[read].bound {
            write -= 1;
        }
        arena[write] = arena[read];
        write += 1;
    }
    arena.truncate(write);
}

#[cfg(test)]
mod tests;
