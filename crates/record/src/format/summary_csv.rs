//! `profile_export_aiperf.csv`: the summary as tables (FORMATS 5.1).

use std::io::{self, Write};

use super::summary_json::SummaryDocument;
use super::telemetry::TelemetryData;
use crate::metric::MetricId;
use crate::statistics::{MetricSet, MetricSummary};

/// Statistics in the order of the columns.
pub(super) const STATISTICS: [&str; 14] =
    ["avg", "min", "max", "sum", "p1", "p5", "p10", "p25", "p50", "p75", "p90", "p95", "p99", "std"];

/// A table with CRLF line ends, as RFC 4180 has it.
pub(super) fn table(writer: impl Write) -> csv::Writer<impl Write> {
    csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).flexible(true).from_writer(writer)
}

/// A figure with two decimals; nothing for one that is not known.
pub(super) fn figure(value: Option<f64>) -> String {
    value.map(|value| format!("{value:.2}")).unwrap_or_default()
}

/// Metrics sorted by tag.
pub(super) fn sorted(set: &MetricSet) -> Vec<(&str, &MetricSummary)> {
    let mut metrics: Vec<_> = set.iter().collect();
    metrics.sort_by_key(|(tag, _)| *tag);
    metrics
}

/// Name of a metric for people: the catalogue's header, or words made of the tag.
pub(super) fn header(tag: &str) -> String {
    match MetricId::from_tag(tag) {
        Some(id) => id.def().header.to_owned(),
        None => words(tag),
    }
}

fn words(tag: &str) -> String {
    let word = |word: &str| match word {
        "gpu" | "xid" | "sm" | "ecc" | "pcie" | "cpu" | "ttft" => word.to_uppercase(),
        _ => {
            let mut letters = word.chars();
            letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
        }
    };
    tag.split('_').map(word).collect::<Vec<String>>().join(" ")
}

fn label(tag: &str, unit: &str) -> String {
    match unit {
        "count" | "requests" | "" => header(tag),
        unit => format!("{} ({unit})", header(tag)),
    }
}

/// Writes the summary: distributions, single values, GPUs.
///
/// # Errors
/// The writer's own.
pub fn write_csv(document: &SummaryDocument, mut writer: impl Write) -> io::Result<()> {
    let metrics = sorted(&document.metrics);
    let mut rows = table(&mut writer);
    rows.write_record(["Metric"].into_iter().chain(STATISTICS))?;
    for (tag, summary) in metrics.iter().filter(|(_, summary)| summary.is_distribution()) {
        let figures = STATISTICS.iter().map(|name| figure(summary.stat(name)));
        rows.write_record([label(tag, &summary.unit)].into_iter().chain(figures))?;
    }
    rows.flush()?;
    drop(rows);
    writer.write_all(b"\r\n")?;
    let mut rows = table(&mut writer);
    rows.write_record(["Metric", "Value"])?;
    for (tag, summary) in metrics.iter().filter(|(_, summary)| !summary.is_distribution()) {
        rows.write_record([label(tag, &summary.unit), figure(summary.avg)])?;
    }
    rows.flush()?;
    drop(rows);
    if let Some(telemetry) = &document.telemetry_data {
        writer.write_all(b"\r\n\r\n")?;
        write_gpus(telemetry, &mut writer)?;
    }
    writer.flush()
}

fn write_gpus(telemetry: &TelemetryData, writer: &mut impl Write) -> io::Result<()> {
    let gpus = || {
        let endpoints = telemetry.endpoints.iter();
        endpoints.flat_map(|(name, endpoint)| endpoint.gpus.values().map(move |gpu| (name, gpu)))
    };
    let placed =
        gpus().any(|(_, gpu)| gpu.hostname.is_some() || gpu.namespace.is_some() || gpu.pod_name.is_some());
    let mut rows = table(writer);
    let columns = ["Endpoint", "GPU_Index", "GPU_Name", "GPU_UUID", "Platform"];
    let places: &[&str] = if placed { &["Hostname", "Namespace", "Pod Name"] } else { &[] };
    let head = columns.iter().chain(places).copied().chain(["Metric"]).chain(STATISTICS);
    rows.write_record(head)?;
    for (endpoint, gpu) in gpus() {
        for (tag, summary) in sorted(&gpu.metrics) {
            let mut row = vec![
                endpoint.clone(),
                gpu.gpu_index.to_string(),
                gpu.gpu_name.clone(),
                gpu.gpu_uuid.clone(),
                gpu.platform.clone(),
            ];
            if placed {
                let known = [&gpu.hostname, &gpu.namespace, &gpu.pod_name];
                row.extend(known.map(|place| place.clone().unwrap_or_default()));
            }
            let plain = tag.strip_prefix(&format!("{}_", gpu.platform)).unwrap_or(tag);
            row.push(label(plain, &summary.unit));
            row.extend(STATISTICS.iter().map(|name| figure(summary.stat(name))));
            rows.write_record(&row)?;
        }
    }
    rows.flush()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::format::telemetry::{GpuSummary, TelemetryEndpoint};

    #[test]
    fn gpus_have_a_row_for_each_metric() {
        let mut metrics = MetricSet::default();
        let power = MetricSummary { unit: "W".into(), avg: Some(250.128), ..MetricSummary::default() };
        metrics.insert("nvidia_power_usage", power);
        let gpu = GpuSummary {
            gpu_name: "L4, 24 GB".into(),
            platform: "nvidia".into(),
            hostname: Some("node1".into()),
            metrics,
            ..GpuSummary::default()
        };
        let endpoint = TelemetryEndpoint { gpus: BTreeMap::from([("gpu_0".to_owned(), gpu)]) };
        let telemetry = TelemetryData {
            endpoints: BTreeMap::from([("localhost:9400".to_owned(), endpoint)]),
            ..TelemetryData::default()
        };
        let document = SummaryDocument { telemetry_data: Some(telemetry), ..SummaryDocument::default() };
        let mut text = Vec::new();
        write_csv(&document, &mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert!(
            text.contains("localhost:9400,0,\"L4, 24 GB\",,nvidia,node1,,,Power Usage (W),250.13,,"),
            "{text}"
        );
        assert!(text.starts_with(
            "Metric,avg,min,max,sum,p1,p5,p10,p25,p50,p75,p90,p95,p99,std\r\n\r\nMetric,Value\r\n"
        ));
    }
}
