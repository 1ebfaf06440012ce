//! What servers reported, as tables: statistics of a window, or one page.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokmeter_record::format::telemetry::TelemetryData;
use tokmeter_record::server::statistics::{Metrics, SeriesStatistics};
use tokmeter_record::server::{MetricKind, Page};

use super::number::{grouped, integer};
use super::{harmless_cut, table};

/// Widest name of a series.
const NAME: usize = 64;

/// A section: its title, its kinds, its statistics.
struct Section {
    title: &'static str,
    kinds: &'static [MetricKind],
    header: &'static [&'static str],
}

const SECTIONS: [Section; 3] = [
    Section {
        title: "Gauges",
        kinds: &[MetricKind::Gauge, MetricKind::Unknown],
        header: &["Series", "avg", "min", "max", "p99"],
    },
    Section { title: "Counters", kinds: &[MetricKind::Counter], header: &["Series", "total", "per second"] },
    Section {
        title: "Histograms and summaries (percentiles are estimates)",
        kinds: &[MetricKind::Histogram, MetricKind::Summary],
        header: &["Series", "count", "avg", "p50", "p90", "p99"],
    },
];

/// Tables of gauges, counters and histograms. Series that stayed at zero are counted, not shown.
pub fn statistics(metrics: &Metrics, width: u16) -> String {
    let mut still = 0;
    let mut parts: Vec<String> = Vec::new();
    for section in &SECTIONS {
        let mut rows = Vec::new();
        for (name, metric) in metrics.iter().filter(|(_, metric)| section.kinds.contains(&metric.kind)) {
            let varying = varying_labels(&metric.series);
            for series in &metric.series {
                match figures(metric.kind, series) {
                    Some(figures) => {
                        let name = series_name(name, metric.unit.as_deref(), series, &varying);
                        rows.push([vec![name], figures].concat());
                    }
                    None => still += 1,
                }
            }
        }
        if !rows.is_empty() {
            parts.push(table::render(section.title, section.header, &rows, width));
        }
    }
    if still > 0 {
        parts.push(format!("{} series stayed at zero\n", integer(still)));
    }
    parts.join("\n")
}

/// The figures of a series; none when nothing happened in it.
fn figures(kind: MetricKind, series: &SeriesStatistics) -> Option<Vec<String>> {
    let stats = &series.stats;
    let happened = |value: Option<f64>| value.is_some_and(|value| value != 0.0);
    let cells = match kind {
        MetricKind::Gauge | MetricKind::Unknown => {
            if !happened(stats.min) && !happened(stats.max) {
                return None;
            }
            vec![stats.avg, stats.min, stats.max, stats.p99]
        }
        MetricKind::Counter => {
            if !happened(stats.total) {
                return None;
            }
            vec![stats.total, stats.rate]
        }
        MetricKind::Histogram | MetricKind::Summary => {
            let count = stats.count.filter(|count| *count > 0)?;
            vec![Some(count as f64), stats.avg, stats.p50_estimate, stats.p90_estimate, stats.p99_estimate]
        }
    };
    Some(cells.into_iter().map(|value| value.map_or_else(|| "-".to_owned(), figure)).collect())
}

/// Small numbers keep three digits: latencies of engines are in seconds.
fn figure(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        small if small < 0.1 => format!("{value:.3e}"),
        middle if middle < 10.0 => format!("{value:.4}"),
        _ => grouped(value),
    }
}

/// Labels whose value is not the same for all series of a metric.
fn varying_labels(series: &[SeriesStatistics]) -> Vec<&Arc<str>> {
    let mut values: BTreeMap<&Arc<str>, Option<&Arc<str>>> = BTreeMap::new();
    let first = series.first();
    for other in series {
        for (name, value) in &other.labels {
            let known = first.and_then(|first| first.labels.get(name));
            let same = known == Some(value) && values.get(name).is_none_or(Option::is_some);
            values.insert(name, same.then_some(value));
        }
    }
    let absent = |name: &Arc<str>| series.iter().any(|series| !series.labels.contains_key(name));
    values.into_iter().filter(|(name, same)| same.is_none() || absent(name)).map(|(name, _)| name).collect()
}

fn series_name(name: &str, unit: Option<&str>, series: &SeriesStatistics, varying: &[&Arc<str>]) -> String {
    let labels = varying.iter().filter_map(|name| Some(format!("{name}={}", series.labels.get(*name)?)));
    let labels = labels.collect::<Vec<_>>().join(",");
    let labels = if labels.is_empty() { labels } else { format!("{{{labels}}}") };
    let unit = unit.map_or_else(String::new, |unit| format!(" ({unit})"));
    harmless_cut(&format!("{name}{labels}{unit}"), NAME)
}

/// GPUs: a line for each metric of each.
pub fn gpus(telemetry: &TelemetryData, width: u16) -> String {
    let mut rows = Vec::new();
    for (endpoint, gpus) in &telemetry.endpoints {
        for gpu in gpus.gpus.values() {
            for (tag, summary) in gpu.metrics.iter() {
                let cell = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), figure);
                let name = format!("{endpoint} gpu {} {tag} ({})", gpu.gpu_index, summary.unit);
                let figures = [summary.avg, summary.min, summary.max, summary.p99].map(cell);
                rows.push([vec![harmless_cut(&name, NAME)], figures.to_vec()].concat());
            }
        }
    }
    table::render("GPUs", &["Metric", "avg", "min", "max", "p99"], &rows, width)
}

/// The families of one page and the lines that could not be read.
pub fn page(page: &Page<'_>, width: u16) -> String {
    let rows: Vec<Vec<String>> = page
        .families
        .iter()
        .map(|family| {
            vec![
                harmless_cut(&family.name, NAME),
                family.kind.to_string(),
                integer(page.samples(family).len() as u64),
            ]
        })
        .collect();
    let title = format!(
        "{} families, {} samples",
        integer(page.families.len() as u64),
        integer(page.sample_count() as u64)
    );
    let mut text = table::render(&title, &["Family", "type", "samples"], &rows, width);
    for problem in &page.problems.kept {
        text.push_str(&format!("not read: {}\n", harmless_cut(&problem.to_string(), usize::from(width))));
    }
    let rest = page.problems.total.saturating_sub(page.problems.kept.len() as u64);
    if rest > 0 {
        text.push_str(&format!("not read: {} more lines\n", integer(rest)));
    }
    text
}

#[cfg(test)]
mod tests {
    use tokmeter_record::WallNs;
    use tokmeter_record::server::exposition::Limits;
    use tokmeter_record::server::{FetchInstants, Media, Readings, Store, StoreLimits, Window};

    use super::*;

    fn between(pages: [&str; 2]) -> Metrics {
        let mut store = Store::new(StoreLimits::default());
        let endpoint = store.endpoint("http://h/metrics");
        for (second, text) in (1..).zip(pages) {
            let page = Page::parse(text.as_bytes(), Media::Text, &Limits::default()).unwrap();
            let at = WallNs(second * 1_000_000_000);
            let instants = FetchInstants { request_sent_ns: at, first_byte_ns: at, latency_ns: 1 };
            store.add(endpoint, &instants, &Readings::of(&page));
        }
        store.statistics(Window::Whole, None)
    }

    #[test]
    fn what_happened_is_shown_and_the_rest_counted() {
        let page = |n: u32| {
            format!(
                "# TYPE a_seconds gauge\na_seconds{{m=\"x\",e=\"0\"}} 0.005\na_seconds{{m=\"x\",e=\"1\"}} {n}\n\
                 # TYPE idle_total counter\nidle_total 7\n# TYPE busy_total counter\nbusy_total {}\n",
                n * 1000
            )
        };
        let text = statistics(&between([&page(1), &page(3)]), 120);
        let words = |begin: &str| {
            let line = text.lines().map(str::trim_start).find(|line| line.starts_with(begin)).expect(begin);
            line[begin.len()..].split_whitespace().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(words("a_seconds{e=0} (seconds)"), ["5.000e-3", "5.000e-3", "5.000e-3", "5.000e-3"]);
        assert_eq!(words("a_seconds{e=1} (seconds)")[..3], ["2.0000", "1.0000", "3.0000"]);
        assert_eq!(words("busy"), ["2,000.00", "2,000.00"]);
        assert!(text.ends_with("1 series stayed at zero\n") && !text.contains("idle"), "{text}");
    }

    #[test]
    fn a_page_shows_its_bad_lines() {
        let parsed = Page::parse(b"# TYPE a gauge\na 1\nb{ 2\n", Media::Text, &Limits::default()).unwrap();
        let text = page(&parsed, 100);
        assert!(text.starts_with("1 families, 1 samples"), "{text}");
        assert!(text.contains("not read: "), "{text}");
    }
}
