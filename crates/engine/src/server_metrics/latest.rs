//! What the servers said last, for displays of a run in progress.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokmeter_record::analysis::gauges::{GaugeKind, kind_of};
use tokmeter_record::server::Readings;
use tokmeter_record::server::reading::PointValue;

/// The newest values of the gauges we know. Clones share them; the collector writes, a display reads.
#[derive(Clone, Debug, Default)]
pub struct LatestGauges(Arc<Mutex<BTreeMap<(String, String), f64>>>);

impl LatestGauges {
    /// Takes the gauges of a page; label sets are summed, of cache use the largest counts.
    pub(super) fn set(&self, url: &str, readings: &Readings<'_>) {
        for metric in &readings.metrics {
            let Some(kind) = kind_of(&metric.name) else { continue };
            let values = readings.points(metric).iter().filter_map(|point| match point.value {
                PointValue::Scalar(value) => Some(value),
                _ => None,
            });
            if let Some(value) = values.reduce(|a, b| join(kind, a, b)) {
                let mut gauges = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                gauges.insert((url.to_owned(), metric.name.clone().into_owned()), value);
            }
        }
    }

    /// The gauges over all servers: meaning, name and value.
    pub fn read(&self) -> Vec<(GaugeKind, String, f64)> {
        let gauges = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: BTreeMap<(GaugeKind, &str), f64> = BTreeMap::new();
        for ((_, name), value) in gauges.iter() {
            let Some(kind) = kind_of(name) else { continue };
            all.entry((kind, name)).and_modify(|sum| *sum = join(kind, *sum, *value)).or_insert(*value);
        }
        all.into_iter().map(|((kind, name), value)| (kind, name.to_owned(), value)).collect()
    }
}

fn join(kind: GaugeKind, a: f64, b: f64) -> f64 {
    if kind == GaugeKind::CacheUse { a.max(b) } else { a + b }
}

#[cfg(test)]
mod tests {
    use tokmeter_record::server::Page;
    use tokmeter_record::server::exposition::Limits;

    use super::*;

    #[test]
    fn servers_are_summed_and_the_fullest_cache_counts() {
        let latest = LatestGauges::default();
        let set = |url: &str, text: &str| {
            let page = Page::parse(text.as_bytes(), Default::default(), &Limits::default()).unwrap();
            latest.set(url, &Readings::of(&page));
        };
        set("a", "vllm:num_requests_running{e=\"0\"} 2\nvllm:num_requests_running{e=\"1\"} 3\nother 9\n");
        set("b", "vllm:num_requests_running 4\nvllm:kv_cache_usage_perc 0.5\n");
        set("c", "vllm:kv_cache_usage_perc 0.25\n");
        set("b", "vllm:num_requests_running 1\n");
        let read: Vec<(GaugeKind, f64)> =
            latest.read().into_iter().map(|(kind, _, value)| (kind, value)).collect();
        assert_eq!(read, [(GaugeKind::Running, 6.0), (GaugeKind::CacheUse, 0.5)]);
    }
}
