//! `server_metrics_export.csv`: one section for each metric type, separated by empty lines (FORMATS 7.5).
//!
//! AIPerf 0.13 begins the file with comment lines, which the documented pandas snippet does not skip; here
//! the first line is the header of the first section. Line breaks inside help texts and label values are
//! written as `\n`, so that an empty line always separates sections.

use std::collections::BTreeSet;
use std::io::Write;

use crate::server::MetricKind;
use crate::server::statistics::{Buckets, MetricStatistics, Metrics, SeriesStatistics, Stats};

type Column = (&'static str, fn(&Stats) -> Option<f64>);

const SAMPLES: &[Column] = &[
    ("avg", |s| s.avg),
    ("min", |s| s.min),
    ("max", |s| s.max),
    ("std", |s| s.std),
    ("p1", |s| s.p1),
    ("p5", |s| s.p5),
    ("p10", |s| s.p10),
    ("p25", |s| s.p25),
    ("p50", |s| s.p50),
    ("p75", |s| s.p75),
    ("p90", |s| s.p90),
    ("p95", |s| s.p95),
    ("p99", |s| s.p99),
];

const COUNTER: &[Column] = &[("total", |s| s.total), ("rate", |s| s.rate)];

const COUNTER_SLICES: &[Column] = &[
    ("rate_avg", |s| s.rate_avg),
    ("rate_min", |s| s.rate_min),
    ("rate_max", |s| s.rate_max),
    ("rate_std", |s| s.rate_std),
];

const DISTRIBUTION: &[Column] = &[
    ("count", |s| s.count.map(|count| count as f64)),
    ("count_rate", |s| s.count_rate),
    ("sum", |s| s.sum),
    ("sum_rate", |s| s.sum_rate),
    ("avg", |s| s.avg),
];

const ESTIMATES: &[Column] = &[
    ("p1_estimate", |s| s.p1_estimate),
    ("p5_estimate", |s| s.p5_estimate),
    ("p10_estimate", |s| s.p10_estimate),
    ("p25_estimate", |s| s.p25_estimate),
    ("p50_estimate", |s| s.p50_estimate),
    ("p75_estimate", |s| s.p75_estimate),
    ("p90_estimate", |s| s.p90_estimate),
    ("p95_estimate", |s| s.p95_estimate),
    ("p99_estimate", |s| s.p99_estimate),
];

/// A part of the file: its metrics, its columns.
struct Section<'m> {
    metrics: Vec<(&'m str, &'m MetricStatistics)>,
    columns: Vec<Column>,
    buckets: bool,
}

/// Writes the file.
///
/// # Errors
/// When the output cannot be written.
pub fn write(metrics: &Metrics, mut output: impl Write) -> csv::Result<()> {
    let mut first = true;
    let mut separate = |output: &mut dyn Write| -> csv::Result<()> {
        if !std::mem::take(&mut first) {
            output.write_all(b"\r\n")?;
        }
        Ok(())
    };
    let sliced =
        metrics.values().flat_map(|metric| &metric.series).any(|series| series.stats.rate_avg.is_some());
    for kind in [
        MetricKind::Gauge,
        MetricKind::Counter,
        MetricKind::Histogram,
        MetricKind::Unknown,
        MetricKind::Summary,
    ] {
        let section = Section::of(metrics, kind, sliced);
        if !section.metrics.is_empty() {
            separate(&mut output)?;
            section.write(&mut output)?;
        }
    }
    let info: Vec<_> = metrics.iter().filter(|(name, metric)| is_info(name, metric)).collect();
    if !info.is_empty() {
        separate(&mut output)?;
        let mut table = table(&mut output);
        table.write_record(["Endpoint", "Metric", "Key", "Value", "Description"])?;
        for (name, metric) in info {
            for series in &metric.series {
                for (key, value) in &series.labels {
                    let endpoint = display_endpoint(&series.endpoint_url);
                    let fields = [&endpoint, &cell(name), &cell(key), &cell(value)];
                    table.write_record(fields.into_iter().chain([&cell(&metric.description)]))?;
                }
            }
        }
        table.flush()?;
    }
    output.flush()?;
    Ok(())
}

impl<'m> Section<'m> {
    fn of(metrics: &'m Metrics, kind: MetricKind, sliced: bool) -> Section<'m> {
        let columns = match kind {
            MetricKind::Gauge | MetricKind::Unknown => SAMPLES.to_vec(),
            MetricKind::Counter if sliced => [COUNTER, COUNTER_SLICES].concat(),
            MetricKind::Counter => COUNTER.to_vec(),
            MetricKind::Histogram => [DISTRIBUTION, ESTIMATES].concat(),
            MetricKind::Summary => DISTRIBUTION.to_vec(),
        };
        Section {
            metrics: metrics
                .iter()
                .filter(|(name, metric)| metric.kind == kind && !is_info(name, metric))
                .map(|(name, metric)| (&**name, metric))
                .collect(),
            columns,
            buckets: kind == MetricKind::Histogram,
        }
    }

    fn write(&self, output: &mut dyn Write) -> csv::Result<()> {
        let labels: BTreeSet<&str> = self
            .metrics
            .iter()
            .flat_map(|(_, metric)| &metric.series)
            .flat_map(|series| series.labels.keys().map(|label| &**label))
            .collect();
        let mut header: Vec<String> = ["Endpoint", "Type", "Metric", "Unit"].map(str::to_owned).into();
        header.extend(self.columns.iter().map(|(name, _)| (*name).to_owned()));
        let mut tail = vec!["Description".to_owned()];
        tail.extend(self.buckets.then(|| "buckets".to_owned()));
        for label in &labels {
            // A label may bear the name of a column; two equal names would merge in a data frame.
            let taken = header.iter().chain(&tail).any(|column| column == label);
            header.push(cell(label) + if taken { "_label" } else { "" });
        }
        header.extend(tail);
        let mut table = table(output);
        table.write_record(&header)?;
        for (name, metric) in &self.metrics {
            for series in &metric.series {
                table.write_record(self.row(name, metric, series, &labels))?;
            }
        }
        table.flush()?;
        Ok(())
    }

    fn row(
        &self,
        name: &str,
        metric: &MetricStatistics,
        series: &SeriesStatistics,
        labels: &BTreeSet<&str>,
    ) -> Vec<String> {
        let mut row = vec![
            display_endpoint(&series.endpoint_url),
            metric.kind.as_str().to_owned(),
            cell(name),
            metric.unit.clone().unwrap_or_default(),
        ];
        row.extend(self.columns.iter().map(|(name, value)| match (value(&series.stats), *name) {
            (None, _) => String::new(),
            (Some(count), "count") => format!("{count:.0}"),
            (Some(value), _) => format!("{value:.4}"),
        }));
        row.extend(labels.iter().map(|label| series.labels.get(*label).map(|v| cell(v)).unwrap_or_default()));
        row.push(cell(&metric.description));
        if self.buckets {
            row.push(series.buckets.as_ref().map(bucket_list).unwrap_or_default());
        }
        row
    }
}

fn table<W: Write>(output: W) -> csv::Writer<W> {
    csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(output)
}

/// Information as labels: gauges named `..._info`.
fn is_info(name: &str, metric: &MetricStatistics) -> bool {
    metric.kind == MetricKind::Gauge && name.ends_with("_info")
}

fn bucket_list(buckets: &Buckets) -> String {
    let entries: Vec<String> = buckets.0.iter().map(|(le, count)| format!("{le}={count}")).collect();
    entries.join(";")
}

/// Host, port and path of an endpoint; scheme and a final `/metrics` are left out.
fn display_endpoint(url: &str) -> String {
    let bare = url.split_once("://").map_or(url, |(_, rest)| rest);
    bare.strip_suffix("/metrics").unwrap_or(bare).to_owned()
}

/// Text of a server in a cell: on one line, and never a formula to a spreadsheet (OWASP, CSV injection), which a
/// leading apostrophe prevents. Numbers stay what they are.
fn cell(text: &str) -> String {
    let line = text.replace('\r', "\\r").replace('\n', "\\n");
    let line = line.replace(|c: char| c.is_control() && c != '\t', "\u{fffd}");
    let formula = line.starts_with(['=', '+', '-', '@', '\t']) && line.parse::<f64>().is_err();
    if formula { format!("'{line}") } else { line }
}

#[cfg(test)]
mod tests {
    use super::cell;

    #[test]
    fn no_cell_is_a_formula() {
        for (text, written) in [
            ("=1+1", "'=1+1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("-cmd", "'-cmd"),
            ("-1.5", "-1.5"),
            ("+Inf", "+Inf"),
            ("plain = text", "plain = text"),
            ("\u{1b}[31mred", "\u{fffd}[31mred"),
            ("two\nlines", "two\\nlines"),
        ] {
            assert_eq!(cell(text), written);
        }
    }
}
