//! The tables at the end of a run.

use tokmeter_record::metric::catalogue::{self, Group};
use tokmeter_record::metric::{MetricDef, MetricId};
use tokmeter_record::statistics::{ErrorCount, MetricSet, MetricSummary};

use super::number::{grouped, integer};
use super::{harmless_cut, table};

const STATISTICS: [&str; 7] = ["avg", "min", "max", "p99", "p90", "p50", "std"];

/// The tables of all console groups, in their order.
pub fn metrics(set: &MetricSet, title: &str, width: u16) -> String {
    let groups = [
        (Group::Effective, "Effective (time-weighted, from the intended instant)"),
        (Group::Active, "Active (time-weighted, while there was work)"),
        (Group::Usage, "Usage (token counts by the server)"),
        (Group::SpecDecode, "Speculative decoding"),
        (Group::GpuNvidia, "GPU energy (NVIDIA)"),
        (Group::GpuAmd, "GPU energy (AMD)"),
        (Group::Default, title),
    ];
    let tables = groups.into_iter().filter_map(|(group, title)| {
        let rows = rows(set, |def| def.group == group);
        (!rows.is_empty()).then(|| metric_table(title, &rows, width))
    });
    tables.collect::<Vec<_>>().join("\n")
}

/// The table of HTTP phases (`--show-trace-timing`).
pub fn http_trace(set: &MetricSet, width: u16) -> String {
    let rows = rows(set, |def| def.flags.contains(catalogue::Flags::HTTP_TRACE));
    metric_table("HTTP trace timing", &rows, width)
}

/// How long bytes lay in the kernel before they were read, for the line at the end; empty without kernel stamps.
pub fn receive_lag(set: &MetricSet) -> String {
    let lag = set.get(catalogue::CLIENT_RECV_LAG);
    let of = |name: &str| lag.and_then(|lag| lag.stat(name));
    match (of("p50"), of("p99")) {
        (Some(p50), Some(p99)) => format!("; receive lag p50 {p50:.3} ms, p99 {p99:.3} ms"),
        _ => String::new(),
    }
}

/// The errors of the run, the most frequent first.
pub fn errors(errors: &[ErrorCount], width: u16) -> String {
    const SHOWN: usize = 10;
    let mut rows: Vec<Vec<String>> = errors
        .iter()
        .take(SHOWN)
        .map(|error| {
            let details = &error.error_details;
            let code = details.code.map_or_else(String::new, |code| code.to_string());
            vec![
                harmless_cut(details.kind.as_deref().unwrap_or("error"), 28),
                code,
                integer(error.count),
                harmless_cut(&details.message, usize::from(width).saturating_sub(56).max(20)),
            ]
        })
        .collect();
    if errors.len() > SHOWN {
        let rest: u64 = errors[SHOWN..].iter().map(|error| error.count).sum();
        rows.push(vec![
            "other".into(),
            String::new(),
            integer(rest),
            format!("{} more kinds", errors.len() - SHOWN),
        ]);
    }
    table::render("Errors", &["Type", "Code", "Count", "Message"], &rows, width)
}

fn rows(set: &MetricSet, wanted: impl Fn(&MetricDef) -> bool) -> Vec<(&'static MetricDef, &MetricSummary)> {
    let known = set.iter().filter_map(|(tag, summary)| Some((MetricId::from_tag(tag)?.def(), summary)));
    let mut rows: Vec<_> = known.filter(|(def, _)| wanted(def)).collect();
    rows.sort_by_key(|(def, _)| (def.order.is_none(), def.order));
    rows
}

fn metric_table(title: &str, rows: &[(&MetricDef, &MetricSummary)], width: u16) -> String {
    let header: Vec<&str> = ["Metric"].into_iter().chain(STATISTICS).collect();
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|(def, summary)| {
            let figures = STATISTICS.iter().map(|name| summary.stat(name).map_or("N/A".into(), grouped));
            [label(def)].into_iter().chain(figures).collect()
        })
        .collect();
    table::render(title, &header, &cells, width)
}

fn label(def: &MetricDef) -> String {
    match def.unit {
        "count" | "requests" => def.header.to_owned(),
        unit => format!("{} ({unit})", def.header),
    }
}
