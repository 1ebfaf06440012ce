//! The metrics of one gateway: families made from the catalogue, series made on first use, text on request.

mod cell;
mod labels;
mod text;

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, PoisonError, RwLock};

pub use cell::{Counter, Exemplar, Gauge, Histogram};
pub use labels::Bounds;
pub use text::Format;

use crate::catalogue::{Kind, Metric, MetricSpec, catalogue};
use crate::tracker::{BackendSeries, EndpointSeries};
use labels::LabelSpace;

/// All metrics of one gateway. Cheap to share behind an [`Arc`]; every method may be called from any thread.
#[derive(Debug)]
pub struct Metrics {
    families: Vec<Family>,
    labels: LabelSpace,
    endpoints: RwLock<HashMap<Arc<str>, Arc<EndpointSeries>>>,
    backends: RwLock<HashMap<[Arc<str>; 3], Arc<BackendSeries>>>,
}

#[derive(Debug)]
struct Family {
    spec: &'static MetricSpec,
    series: RwLock<HashMap<Box<[Arc<str>]>, Series>>,
}

#[derive(Clone, Debug)]
enum Series {
    Counter(Arc<Counter>),
    Gauge(Arc<Gauge>),
    Histogram(Arc<Histogram>),
}

impl Metrics {
    /// Metrics without any series yet, whose label values stay within `bounds`.
    pub fn new(bounds: Bounds) -> Self {
        let families = catalogue().map(|spec| Family { spec, series: RwLock::new(HashMap::new()) }).collect();
        Metrics {
            families,
            labels: LabelSpace::new(bounds),
            endpoints: RwLock::default(),
            backends: RwLock::default(),
        }
    }

    /// The label value to use for a provider: itself when known, else `other`, which is counted.
    pub fn provider(&self, name: &str) -> Arc<str> {
        self.bounded("provider", self.labels.provider(name))
    }

    /// The label value to use for a model.
    pub fn model(&self, name: &str) -> Arc<str> {
        self.bounded("model", self.labels.model(name))
    }

    /// The label value to use for an endpoint: a route template, never a raw path.
    pub fn endpoint(&self, route: &str) -> Arc<str> {
        self.bounded("endpoint", self.labels.endpoint(route))
    }

    /// The label value to use for an operation.
    pub fn operation(&self, name: &str) -> Arc<str> {
        self.bounded("operation", self.labels.operation(name))
    }

    /// The label value to use for a stage.
    pub fn stage(&self, name: &str) -> Arc<str> {
        self.bounded("stage", self.labels.stage(name))
    }

    fn bounded(&self, label: &str, value: Option<Arc<str>>) -> Arc<str> {
        value.unwrap_or_else(|| {
            self.counter(Metric::LabelOverflow, &[&Arc::from(label)]).add(1);
            self.labels.other()
        })
    }

    /// The counter of a family with these label values, in the catalogue's order.
    ///
    /// A family of another kind gives a counter that `/metrics` does not show.
    pub fn counter(&self, metric: Metric, labels: &[&Arc<str>]) -> Arc<Counter> {
        match self.series(metric, labels) {
            Series::Counter(counter) => counter,
            _ => Arc::default(),
        }
    }

    /// The gauge of a family with these label values, in the catalogue's order.
    pub fn gauge(&self, metric: Metric, labels: &[&Arc<str>]) -> Arc<Gauge> {
        match self.series(metric, labels) {
            Series::Gauge(gauge) => gauge,
            _ => Arc::default(),
        }
    }

    /// The histogram of a family with these label values, in the catalogue's order.
    pub fn histogram(&self, metric: Metric, labels: &[&Arc<str>]) -> Arc<Histogram> {
        match self.series(metric, labels) {
            Series::Histogram(histogram) => histogram,
            _ => Arc::new(Histogram::new(metric.spec())),
        }
    }

    fn series(&self, metric: Metric, labels: &[&Arc<str>]) -> Series {
        let family = &self.families[metric as usize];
        debug_assert_eq!(labels.len(), family.spec.labels.len(), "labels of {}", family.spec.name);
        let key: Box<[Arc<str>]> = labels.iter().map(|label| Arc::clone(label)).collect();
        let known = family.series.read().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        known.unwrap_or_else(|| {
            let mut series = family.series.write().unwrap_or_else(PoisonError::into_inner);
            series.entry(key).or_insert_with(|| Series::new(family.spec)).clone()
        })
    }

    /// The series of an endpoint, bounded.
    pub(crate) fn endpoint_series(&self, route: &str) -> Arc<EndpointSeries> {
        let endpoint = self.endpoint(route);
        kept(&self.endpoints, Arc::clone(&endpoint), || EndpointSeries::new(self, endpoint))
    }

    /// The series of a provider and model at an endpoint whose label is bounded already.
    pub(crate) fn backend_series(
        &self,
        provider: &str,
        model: &str,
        endpoint: &Arc<str>,
    ) -> Arc<BackendSeries> {
        let (provider, model) = (self.provider(provider), self.model(model));
        let key = [Arc::clone(&provider), Arc::clone(&model), Arc::clone(endpoint)];
        kept(&self.backends, key, || BackendSeries::new(self, provider, model, endpoint))
    }

    /// The page for a scraper.
    pub fn render(&self, format: Format) -> String {
        text::render(self, format)
    }

    /// Sum of all series of a counter family, for tests and logs.
    pub fn total(&self, metric: Metric) -> u64 {
        let series = self.families[metric as usize].series.read().unwrap_or_else(PoisonError::into_inner);
        series
            .values()
            .map(|series| match series {
                Series::Counter(counter) => counter.value(),
                Series::Gauge(gauge) => gauge.value().max(0.0) as u64,
                Series::Histogram(histogram) => histogram.count(),
            })
            .sum()
    }
}

fn kept<K: Eq + Hash, V>(kept: &RwLock<HashMap<K, Arc<V>>>, key: K, make: impl FnOnce() -> V) -> Arc<V> {
    let known = kept.read().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
    known.unwrap_or_else(|| {
        let mut kept = kept.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(kept.entry(key).or_insert_with(|| Arc::new(make())))
    })
}

impl Series {
    fn new(spec: &'static MetricSpec) -> Self {
        match spec.kind {
            Kind::Counter => Series::Counter(Arc::default()),
            Kind::Gauge => Series::Gauge(Arc::default()),
            Kind::Histogram => Series::Histogram(Arc::new(Histogram::new(spec))),
        }
    }
}
