//! Building blocks of PromQL over the catalogue.

use crate::catalogue::Metric;

/// Which series and over which time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Over {
    /// Label matchers without braces; may be empty.
    pub filter: &'static str,
    /// Length of the range: `5m`, `$__rate_interval`.
    pub window: &'static str,
}

impl Over {
    /// All series.
    pub const fn all(window: &'static str) -> Self {
        Over { filter: "", window }
    }
}

/// `name{filter}`, with braces only where there is a filter.
pub(super) fn selector(metric: Metric, suffix: &str, filter: &str) -> String {
    let name = metric.spec().name;
    match filter {
        "" => format!("{name}{suffix}"),
        _ => format!("{name}{suffix}{{{filter}}}"),
    }
}

/// `sum(rate(...)) by (...)` of a counter, or of one part (`_bucket`, `_sum`, `_count`) of a histogram.
pub(super) fn rate(metric: Metric, suffix: &str, by: &[&str], over: Over) -> String {
    let rate = format!("rate({}[{}])", selector(metric, suffix, over.filter), over.window);
    match by {
        [] => format!("sum({rate})"),
        _ => format!("sum({rate}) by ({})", by.join(", ")),
    }
}

/// Quantile of a histogram by labels, in the seed's form.
pub(super) fn quantile(q: f64, metric: Metric, by: &[&str], over: Over) -> String {
    let by: Vec<&str> = ["le"].iter().chain(by).copied().collect();
    format!("histogram_quantile({q}, {})", rate(metric, "_bucket", &by, over))
}

/// Mean of a histogram by labels.
pub(super) fn mean(metric: Metric, by: &[&str], over: Over) -> String {
    format!("{} / {}", rate(metric, "_sum", by, over), rate(metric, "_count", by, over))
}

/// Matchers for the dashboard's variables, of the labels that the metric has.
pub(super) fn variables(metric: Metric) -> &'static str {
    match metric.spec().labels {
        ["gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model", ..] => {
            r#"gen_ai_provider_name=~"$provider", gen_ai_request_model=~"$model""#
        }
        ["provider", "model", "endpoint", ..] => {
            r#"provider=~"$provider", model=~"$model", endpoint=~"$endpoint""#
        }
        ["provider", "model", ..] => r#"provider=~"$provider", model=~"$model""#,
        ["endpoint"] | ["stage", "endpoint"] => r#"endpoint=~"$endpoint""#,
        _ => "",
    }
}
