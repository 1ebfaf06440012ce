//! `/metrics` in both text formats: Prometheus 0.0.4, and OpenMetrics 1.0 for a scraper that asks for exemplars.

use std::fmt::Write;
use std::sync::{Arc, PoisonError};
use std::time::UNIX_EPOCH;

use super::{Exemplar, Family, Histogram, Metrics, Series};
use crate::catalogue::{Kind, MetricSpec};

/// A text format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text format 0.0.4. Has no exemplars.
    Prometheus,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
}

impl Format {
    /// The format for an `Accept` header: OpenMetrics when it is named with the highest quality, which is what
    /// Prometheus asks for.
    pub fn negotiate(accept: &str) -> Self {
        let (mut open_metrics, mut plain) = (0.0_f32, 0.0_f32);
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default();
            let parameters: Vec<&str> = parts.collect();
            let quality =
                parameters.iter().find_map(|part| part.strip_prefix("q=")?.parse().ok()).unwrap_or(1.0);
            match media {
                "application/openmetrics-text" => open_metrics = open_metrics.max(quality),
                "text/plain" | "text/*" | "*/*" => plain = plain.max(quality),
                _ => {}
            }
        }
        if open_metrics > 0.0 && open_metrics >= plain { Format::OpenMetrics } else { Format::Prometheus }
    }

    /// Value of `Content-Type`.
    pub const fn content_type(self) -> &'static str {
        match self {
            Format::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

pub(super) fn render(metrics: &Metrics, format: Format) -> String {
    let mut page = String::with_capacity(16 * 1024);
    for family in &metrics.families {
        render_family(&mut page, family, format);
    }
    if format == Format::OpenMetrics {
        page.push_str("# EOF\n");
    }
    page
}

fn render_family(page: &mut String, family: &Family, format: Format) {
    let series = family.series.read().unwrap_or_else(PoisonError::into_inner);
    let mut series: Vec<(Box<[Arc<str>]>, Series)> =
        series.iter().map(|(labels, series)| (labels.clone(), series.clone())).collect();
    if series.is_empty() {
        return;
    }
    series.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    let spec = family.spec;
    // OpenMetrics names the family of a counter without `_total`.
    let name = match (format, spec.kind) {
        (Format::OpenMetrics, Kind::Counter) => spec.name.trim_end_matches("_total"),
        _ => spec.name,
    };
    let _ = writeln!(page, "# HELP {name} {}", spec.help);
    let _ = writeln!(page, "# TYPE {name} {}", spec.kind.as_str());
    for (labels, series) in &series {
        match series {
            Series::Counter(counter) => sample(page, spec, "", labels, None, counter.value() as f64),
            Series::Gauge(gauge) => sample(page, spec, "", labels, None, gauge.value()),
            Series::Histogram(histogram) => render_histogram(page, spec, labels, histogram, format),
        }
    }
}

fn render_histogram(
    page: &mut String,
    spec: &MetricSpec,
    labels: &[Arc<str>],
    histogram: &Histogram,
    format: Format,
) {
    let buckets = histogram.cumulative();
    let bounds = spec.buckets.iter().map(|bound| bound_text(*bound, format)).chain(["+Inf".to_owned()]);
    for ((count, exemplar), bound) in buckets.iter().zip(bounds) {
        write_name(page, spec, "_bucket", labels, Some(&bound));
        let _ = write!(page, " {count}");
        if let (Format::OpenMetrics, Some(exemplar)) = (format, exemplar) {
            write_exemplar(page, exemplar);
        }
        page.push('\n');
    }
    sample(page, spec, "_sum", labels, None, histogram.sum());
    sample(page, spec, "_count", labels, None, buckets.last().map_or(0, |bucket| bucket.0) as f64);
}

/// OpenMetrics wants whole bounds as floats (`1.0`), the older format takes either; both as Prometheus writes them.
fn bound_text(bound: f64, format: Format) -> String {
    match format {
        Format::OpenMetrics if bound.fract() == 0.0 => format!("{bound:.1}"),
        _ => bound.to_string(),
    }
}

fn sample(
    page: &mut String,
    spec: &MetricSpec,
    suffix: &str,
    labels: &[Arc<str>],
    bound: Option<&str>,
    value: f64,
) {
    write_name(page, spec, suffix, labels, bound);
    let _ = writeln!(page, " {value}");
}

fn write_name(page: &mut String, spec: &MetricSpec, suffix: &str, labels: &[Arc<str>], bound: Option<&str>) {
    page.push_str(spec.name);
    page.push_str(suffix);
    let bound = bound.map(|bound| ("le", bound));
    let pairs = spec.labels.iter().copied().zip(labels.iter().map(|value| &**value)).chain(bound);
    // A label without a value is a label that is not there.
    let mut separator = '{';
    for (name, value) in pairs.filter(|(_, value)| !value.is_empty()) {
        page.push(separator);
        separator = ',';
        page.push_str(name);
        page.push_str("=\"");
        for char in value.chars() {
            match char {
                '\\' => page.push_str("\\\\"),
                '"' => page.push_str("\\\""),
                '\n' => page.push_str("\\n"),
                char => page.push(char),
            }
        }
        page.push('"');
    }
    if separator == ',' {
        page.push('}');
    }
}

fn write_exemplar(page: &mut String, exemplar: &Exemplar) {
    let at = exemplar.at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let _ = write!(
        page,
        " # {{trace_id=\"{}\"}} {} {}.{:03}",
        exemplar.trace_id,
        exemplar.value,
        at.as_secs(),
        at.subsec_millis()
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Metric;
    use crate::metrics::Bounds;
    use crate::tracker::TraceId;

    fn page(format: Format) -> String {
        let metrics = Metrics::new(Bounds { models: vec!["m\"1".into()], learned: 0, ..Bounds::default() });
        let (other, model) = (metrics.provider("unknown"), metrics.model("m\"1"));
        let ttfc = metrics.histogram(Metric::TimeToFirstChunk, &[&other, &model]);
        let trace = TraceId::of_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
        ttfc.observe_traced(300_000_000, trace.as_ref());
        metrics.render(format)
    }

    #[test]
    fn the_prometheus_page_has_names_labels_and_no_exemplars() {
        let page = page(Format::Prometheus);
        assert!(page.contains("# TYPE time_to_first_chunk_seconds histogram\n"), "{page}");
        let bucket = "time_to_first_chunk_seconds_bucket{provider=\"other\",model=\"m\\\"1\",le=\"0.5\"} 1\n";
        assert!(page.contains(bucket), "{page}");
        assert!(page.contains("_bucket{provider=\"other\",model=\"m\\\"1\",le=\"1\"} 1\n"), "{page}");
        assert!(page.contains("gateway_label_overflow_total{label=\"provider\"} 1\n"), "{page}");
        assert!(!page.contains("trace_id") && !page.contains("EOF"), "{page}");
    }

    #[test]
    fn the_open_metrics_page_has_exemplars_and_an_end() {
        let page = page(Format::OpenMetrics);
        assert!(
            page.contains("# TYPE gateway_label_overflow counter\ngateway_label_overflow_total{"),
            "{page}"
        );
        assert!(
            page.contains("le=\"0.5\"} 1 # {trace_id=\"0af7651916cd43dd8448eb211c80319c\"} 0.3 "),
            "{page}"
        );
        assert!(page.contains("le=\"1.0\"} 1\n"), "{page}");
        assert!(page.ends_with("# EOF\n"), "{page}");
    }

    #[test]
    fn the_accept_header_decides() {
        let prometheus = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
                          text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
        assert_eq!(Format::negotiate(prometheus), Format::OpenMetrics);
        assert_eq!(Format::negotiate("text/plain;version=0.0.4"), Format::Prometheus);
        assert_eq!(Format::negotiate("application/openmetrics-text;q=0.1,text/plain"), Format::Prometheus);
        assert_eq!(Format::negotiate(""), Format::Prometheus);
        assert_eq!(Format::negotiate("application/openmetrics-text;q=0"), Format::Prometheus);
    }
}
