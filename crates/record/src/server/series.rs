//! The store of a run's scrapes: every series once, and of its values only the changes.
//!
//! Memory: a scrape costs 32 bytes, a change of a series 4 bytes and 8 for each of its columns (1 for a
//! scalar, 2 for a summary, 2 + buckets for a histogram); an unchanged series costs nothing. When all of it
//! exceeds [`StoreLimits::bytes`], every second scrape is forgotten ([`Store::halvings`]). Totals do not
//! suffer from that, since counters and histograms are kept cumulative; gauges lose time resolution.

mod coarsen;
mod fetches;
mod track;

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use super::exposition::Label;
use super::phase::{PhaseMark, Selection, Window};
use super::reading::{Dropped, MetricKind, Point, PointValue, Readings};
use crate::time::WallNs;

pub use fetches::Fetches;
pub use track::Track;

/// How much a store keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreLimits {
    /// Series of all endpoints together; further ones are left out and counted.
    pub series: usize,
    /// Bytes for scrapes and values; see the module's documentation.
    pub bytes: usize,
}

impl Default for StoreLimits {
    fn default() -> Self {
        StoreLimits { series: 200_000, bytes: 256 << 20 }
    }
}

/// Number of an endpoint in its store, in the order they were added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EndpointId(pub(crate) u32);

/// The instants of one fetch of a metrics page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FetchInstants {
    /// The request was sent.
    pub request_sent_ns: WallNs,
    /// First byte of the response: the time of the samples.
    pub first_byte_ns: WallNs,
    /// From sending the request to the last byte of the body, ns.
    pub latency_ns: u64,
}

/// One scrape that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scrape {
    /// First byte of the response.
    pub timestamp_ns: WallNs,
    /// The request was sent.
    pub request_sent_ns: WallNs,
    /// The phase it belongs to: an index into [`Store::phases`].
    pub phase: Option<u16>,
}

/// One metrics page that is read again and again.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// The URL it was configured with, without user and password.
    pub configured_url: Arc<str>,
    /// The URL its pages come from, which differs when the page turned out to be elsewhere.
    pub url: Arc<str>,
    /// Counts and times of its fetches.
    pub fetches: Fetches,
    scrapes: Vec<Scrape>,
    /// Its series in the order they were first seen, which is nearly always the order of the page.
    layout: Vec<u32>,
    body_hash: Option<u64>,
}

impl Endpoint {
    /// The scrapes that are kept, oldest first.
    pub fn scrapes(&self) -> &[Scrape] {
        &self.scrapes
    }
}

/// A metric: name, type, help.
#[derive(Clone, Debug)]
pub struct Metric {
    /// Name in the files.
    pub name: Arc<str>,
    /// Its type.
    pub kind: MetricKind,
    /// `# HELP` of the first page that had it.
    pub description: Arc<str>,
}

/// One metric with one label set at one endpoint.
#[derive(Clone, Debug)]
pub struct Series {
    /// Where it was read.
    pub endpoint: EndpointId,
    /// Its metric: an index into [`Store::metrics`].
    pub metric: u32,
    /// Its labels in page order.
    pub labels: Box<[(Arc<str>, Arc<str>)]>,
    /// Upper bounds of a histogram as written, ascending, the last one `+Inf`; empty otherwise.
    pub bounds: Arc<[Arc<str>]>,
    /// Its values.
    pub track: Track,
    position: usize,
    seen: u64,
}

/// Something worth telling the user, once.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Notice {
    /// Values of a metric were left out.
    #[error("metric {0:?} {1}")]
    Dropped(String, Dropped),
    /// A counter, histogram or summary started again; what it had counted before is kept.
    #[error("metric {0:?} was reset; increases before and after the reset are added up")]
    Reset(Arc<str>),
    /// The limit of series is reached.
    #[error("more than {0} series; further ones are left out")]
    TooManySeries(usize),
    /// The limit of memory was reached.
    #[error("server metrics exceeded {0} bytes; every second older scrape was forgotten")]
    Halved(usize),
}

/// Every scrape of a run. See the module's documentation.
#[derive(Debug, Default)]
pub struct Store {
    limits: StoreLimits,
    endpoints: Vec<Endpoint>,
    metrics: Vec<Metric>,
    metric_ids: HashMap<(MetricKind, String), u32>,
    series: Vec<Series>,
    series_ids: HashMap<String, u32>,
    strings: HashSet<Arc<str>>,
    phases: Vec<PhaseMark>,
    hasher: RandomState,
    bytes: usize,
    generation: u64,
    halvings: u32,
    dropped_series: u64,
    notices: Vec<Notice>,
    noticed: HashSet<(String, u8)>,
}

impl Store {
    /// An empty store.
    pub fn new(limits: StoreLimits) -> Self {
        Store { limits, ..Store::default() }
    }

    /// Adds an endpoint. User and password of the URL are removed.
    pub fn endpoint(&mut self, url: &str) -> EndpointId {
        let url: Arc<str> = without_credentials(url).into();
        if let Some(at) = self.endpoints.iter().position(|known| known.configured_url == url) {
            return EndpointId(at as u32);
        }
        self.endpoints.push(Endpoint {
            configured_url: Arc::clone(&url),
            url,
            fetches: Fetches::default(),
            scrapes: Vec::new(),
            layout: Vec::new(),
            body_hash: None,
        });
        EndpointId(self.endpoints.len() as u32 - 1)
    }

    /// Notes that the page of an endpoint turned out to be elsewhere.
    pub fn move_endpoint(&mut self, endpoint: EndpointId, url: &str) {
        self.endpoints[endpoint.0 as usize].url = without_credentials(url).into();
    }

    /// The URL the pages of an endpoint come from.
    pub fn endpoint_url(&self, endpoint: EndpointId) -> Arc<str> {
        Arc::clone(&self.endpoints[endpoint.0 as usize].url)
    }

    /// A phase begins. Scrapes whose request is sent from its start on belong to it, also those that were added
    /// before this was told, until the next phase begins.
    pub fn begin_phase(&mut self, phase: PhaseMark) {
        let index = u16::try_from(self.phases.len()).ok();
        for endpoint in &mut self.endpoints {
            let newest = endpoint.scrapes.iter_mut().rev();
            newest
                .take_while(|scrape| scrape.request_sent_ns >= phase.start_ns)
                .for_each(|s| s.phase = index);
        }
        self.phases.push(phase);
    }

    /// The load of the newest phase ended; scrapes still belong to it, so that its last results are seen.
    pub fn end_phase(&mut self, end_ns: WallNs) {
        if let Some(phase) = self.phases.last_mut() {
            phase.end_ns = Some(end_ns);
        }
    }

    /// The phase a request sent at this instant belongs to.
    pub fn phase_at(&self, sent_ns: WallNs) -> Option<usize> {
        self.phases.iter().rposition(|phase| phase.start_ns <= sent_ns)
    }

    /// Whether a body is byte for byte (by hash) the one before at this endpoint; remembers it.
    pub fn is_repeat(&mut self, endpoint: EndpointId, body: &[u8]) -> bool {
        let hash = self.hasher.hash_one(body);
        self.endpoints[endpoint.0 as usize].body_hash.replace(hash) == Some(hash)
    }

    /// Adds a scrape whose body equals the one before.
    pub fn add_repeat(&mut self, endpoint: EndpointId, instants: &FetchInstants) {
        self.add_scrape(endpoint, instants, false);
        self.keep_within_limit();
    }

    /// Adds a scrape.
    pub fn add(&mut self, endpoint: EndpointId, instants: &FetchInstants, readings: &Readings<'_>) {
        let scrape = self.add_scrape(endpoint, instants, true);
        self.generation += 1;
        for (metric, why) in &readings.dropped {
            self.notice_once(metric, *why as u8, || Notice::Dropped(metric.clone(), *why));
        }
        let mut row = Vec::new();
        let mut cursor = 0;
        for metric in &readings.metrics {
            let id = self.metric_id(&metric.name, metric.kind, metric.description);
            for point in readings.points(metric) {
                fill_row(&mut row, point, readings);
                let Some(series) = self.series_id(endpoint, id, point, readings, &mut cursor) else {
                    continue;
                };
                let series = &mut self.series[series as usize];
                series.seen = self.generation;
                let pushed = series.track.push(scrape, &row);
                self.bytes += pushed.bytes;
                if pushed.reset {
                    self.notice_once(&metric.name, u8::MAX, || Notice::Reset(metric.name.as_ref().into()));
                }
            }
        }
        for &id in &self.endpoints[endpoint.0 as usize].layout {
            let series = &mut self.series[id as usize];
            if series.seen != self.generation {
                self.bytes += series.track.gap(scrape);
            }
        }
        self.keep_within_limit();
    }

    fn add_scrape(&mut self, endpoint: EndpointId, instants: &FetchInstants, update: bool) -> u32 {
        let phase = self.phase_at(instants.request_sent_ns).and_then(|phase| u16::try_from(phase).ok());
        let endpoint = &mut self.endpoints[endpoint.0 as usize];
        endpoint.fetches.add(instants, update);
        endpoint.scrapes.push(Scrape {
            timestamp_ns: instants.first_byte_ns,
            request_sent_ns: instants.request_sent_ns,
            phase,
        });
        self.bytes += size_of::<Scrape>();
        endpoint.scrapes.len() as u32 - 1
    }

    fn metric_id(&mut self, name: &str, kind: MetricKind, description: &str) -> u32 {
        if let Some(&id) = self.metric_ids.get(&(kind, name.to_owned())) {
            return id;
        }
        // Two endpoints may give one name two types; names stay unique in the files.
        let mut shown = name.to_owned();
        while self.metrics.iter().any(|known| *known.name == *shown) {
            shown = format!("{shown}_{}", kind.as_str());
        }
        let id = self.metrics.len() as u32;
        let (shown, description) = (self.intern(&shown), self.intern(description));
        self.metrics.push(Metric { name: shown, kind, description });
        self.metric_ids.insert((kind, name.to_owned()), id);
        id
    }

    /// Finds or makes a series. The series expected at this place of the page is tried first, so that a page
    /// of the usual shape needs no hashing.
    fn series_id(
        &mut self,
        endpoint: EndpointId,
        metric: u32,
        point: &Point<'_>,
        readings: &Readings<'_>,
        cursor: &mut usize,
    ) -> Option<u32> {
        let layout = &self.endpoints[endpoint.0 as usize].layout;
        if let Some(&expected) = layout.get(*cursor) {
            let series = &self.series[expected as usize];
            if series.metric == metric && series.matches(point.labels) && series.has_bounds(point, readings) {
                *cursor += 1;
                return Some(expected);
            }
        }
        let key = key(endpoint, metric, point.labels);
        if let Some(&known) = self.series_ids.get(&key)
            && self.series[known as usize].has_bounds(point, readings)
        {
            *cursor = self.series[known as usize].position + 1;
            return Some(known);
        }
        if self.series.len() >= self.limits.series {
            self.dropped_series += 1;
            let limit = self.limits.series;
            self.notice_once("", 0, || Notice::TooManySeries(limit));
            return None;
        }
        let id = self.series.len() as u32;
        let labels = point.labels.iter().map(|l| (self.intern(&l.name), self.intern(&l.value))).collect();
        let bounds: Vec<_> = bounds_of(point, readings).map(|le| self.intern(le)).collect();
        let kind = self.metrics[metric as usize].kind;
        let width = match kind {
            MetricKind::Histogram => 2 + bounds.len(),
            MetricKind::Summary => 2,
            _ => 1,
        };
        let layout = &mut self.endpoints[endpoint.0 as usize].layout;
        let position = layout.len();
        layout.push(id);
        self.bytes += size_of::<Series>() + key.len();
        self.series.push(Series {
            endpoint,
            metric,
            labels,
            bounds: bounds.into(),
            track: Track::new(width, kind),
            position,
            seen: 0,
        });
        self.series_ids.insert(key, id);
        *cursor = position + 1;
        Some(id)
    }

    fn intern(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.strings.get(text) {
            return Arc::clone(known);
        }
        let new: Arc<str> = text.into();
        self.bytes += text.len() + 2 * size_of::<usize>();
        self.strings.insert(Arc::clone(&new));
        new
    }

    fn notice_once(&mut self, metric: &str, kind: u8, notice: impl FnOnce() -> Notice) {
        if self.noticed.insert((metric.to_owned(), kind)) {
            self.notices.push(notice());
        }
    }

    /// What should be told to the user since the last call.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// All endpoints, in the order they were added.
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// All metrics, in the order they were first seen.
    pub fn metrics(&self) -> &[Metric] {
        &self.metrics
    }

    /// All series, in the order they were first seen.
    pub fn series(&self) -> &[Series] {
        &self.series
    }

    /// All phases, oldest first.
    pub fn phases(&self) -> &[PhaseMark] {
        &self.phases
    }

    /// How often every second scrape was forgotten to stay within the memory limit.
    pub fn halvings(&self) -> u32 {
        self.halvings
    }

    /// Points that were left out because of the limit of series.
    pub fn dropped_series(&self) -> u64 {
        self.dropped_series
    }

    /// Estimated bytes in use.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The scrapes of an endpoint that a window selects.
    pub fn select(&self, endpoint: EndpointId, window: Window) -> Option<Selection> {
        Selection::of(&self.endpoints[endpoint.0 as usize].scrapes, window)
    }
}

impl Series {
    /// Its labels, sorted by name.
    pub fn sorted_labels(&self) -> Vec<(&Arc<str>, &Arc<str>)> {
        let mut labels: Vec<_> = self.labels.iter().map(|(name, value)| (name, value)).collect();
        labels.sort_unstable();
        labels
    }

    fn matches(&self, labels: &[Label<'_>]) -> bool {
        self.labels.len() == labels.len()
            && self.labels.iter().zip(labels).all(|(own, new)| *own.0 == *new.name && *own.1 == *new.value)
    }

    fn has_bounds(&self, point: &Point<'_>, readings: &Readings<'_>) -> bool {
        match &point.value {
            PointValue::Histogram { buckets, .. } => {
                buckets.len() == self.bounds.len()
                    && readings.buckets(buckets).iter().zip(&*self.bounds).all(|(new, own)| *new.le == **own)
            }
            _ => true,
        }
    }
}

fn bounds_of<'r>(point: &Point<'_>, readings: &'r Readings<'_>) -> impl Iterator<Item = &'r str> {
    let buckets = match &point.value {
        PointValue::Histogram { buckets, .. } => readings.buckets(buckets),
        _ => &[],
    };
    buckets.iter().map(|bucket| bucket.le)
}

/// Columns of a point: the value; or sum and count; or sum, count and buckets.
fn fill_row(row: &mut Vec<f64>, point: &Point<'_>, readings: &Readings<'_>) {
    row.clear();
    match &point.value {
        PointValue::Scalar(value) => row.push(*value),
        PointValue::Summary { sum, count } => row.extend([*sum, *count]),
        PointValue::Histogram { sum, count, buckets } => {
            row.extend([*sum, *count]);
            row.extend(readings.buckets(buckets).iter().map(|bucket| bucket.count));
        }
    }
}

/// Identity of a series as text; lengths make it unambiguous.
fn key(endpoint: EndpointId, metric: u32, labels: &[Label<'_>]) -> String {
    use std::fmt::Write;
    let mut pairs: Vec<_> = labels.iter().map(|label| (&*label.name, &*label.value)).collect();
    pairs.sort_unstable();
    let mut key = format!("{}:{metric}", endpoint.0);
    for (name, value) in pairs {
        let _ = write!(key, "|{}:{name}={}:{value}", name.len(), value.len());
    }
    key
}

/// A URL without `user:password@` and without values of its query, as it may be shown and written.
pub fn without_credentials(url: &str) -> String {
    let start = url.find("://").map_or(0, |at| at + 3);
    let authority_end = url[start..].find(['/', '?', '#']).map_or(url.len(), |at| start + at);
    let mut shown = match url[start..authority_end].rfind('@') {
        Some(at) => format!("{}{}", &url[..start], &url[start + at + 1..]),
        None => url.to_owned(),
    };
    // Which parameter of a metrics page is a key is anyone's guess: their names stay, their values do not.
    if let Some(query) = shown.find('?') {
        let names = shown[query + 1..].split('&').map(|pair| match pair.split_once('=') {
            Some((name, _)) => format!("{name}=<redacted>"),
            None => pair.to_owned(),
        });
        let names = names.collect::<Vec<_>>().join("&");
        shown.truncate(query + 1);
        shown.push_str(&names);
    }
    shown
}

#[cfg(test)]
mod tests;
