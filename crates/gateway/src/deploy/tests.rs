//! The generated files: as checked in, and about metrics that exist.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::*;
use crate::catalogue::{self, Kind};

/// Words of PromQL that are neither metric nor label.
const WORDS: [&str; 14] = [
    "histogram_quantile",
    "sum",
    "rate",
    "increase",
    "topk",
    "avg",
    "absent",
    "by",
    "on",
    "ignoring",
    "group_left",
    "and",
    "or",
    "le",
];

/// The words of an expression outside of strings, and whether a `{`, `[` or `)` follows: how names end.
fn words(expression: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = expression;
    while let Some(begin) = rest.find(|c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '"' | '[' | '$'))
    {
        rest = &rest[begin..];
        let skipped = match rest.as_bytes()[0] {
            b'"' => rest[1..].find('"').map_or(rest.len(), |end| end + 2),
            b'[' => rest.find(']').map_or(rest.len(), |end| end + 1),
            _ => rest
                .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '$')))
                .unwrap_or(rest.len()),
        };
        let word = &rest[..skipped];
        if !word.starts_with(['"', '[']) {
            words.push(word.to_owned());
        }
        rest = &rest[skipped..];
    }
    words
}

/// The metric behind the name of a series; the suffix must be one that its kind has.
fn metric_of(series: &str) -> Option<&'static catalogue::MetricSpec> {
    if let Some(spec) = catalogue::find(series) {
        return (spec.kind != Kind::Histogram).then_some(spec);
    }
    let base = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| series.strip_suffix(suffix))?;
    catalogue::find(base).filter(|spec| spec.kind == Kind::Histogram)
}

/// All faults of an expression, given the names that recording rules make.
fn faults(expression: &str, recorded: &BTreeSet<String>) -> Vec<String> {
    let words: Vec<String> =
        words(expression).into_iter().filter(|word| !WORDS.contains(&word.as_str())).collect();
    let specs: Vec<_> = words.iter().filter_map(|word| metric_of(word)).collect();
    let known_label = |word: &str| specs.iter().any(|spec| spec.labels.contains(&word));
    let about_something = !specs.is_empty() || words.iter().any(|word| recorded.contains(word));
    words
        .iter()
        .filter(|word| metric_of(word).is_none() && !known_label(word) && !recorded.contains(*word))
        .map(|word| format!("`{word}` in {expression}"))
        .chain((!about_something).then(|| format!("no metric in {expression}")))
        .collect()
}

fn expressions(yaml: &str) -> Vec<String> {
    let lines: Vec<&str> = yaml.lines().collect();
    lines
        .windows(2)
        .filter(|pair| pair[0].trim() == "expr: |-")
        .map(|pair| pair[1].trim().to_owned())
        .collect()
}

fn recorded() -> BTreeSet<String> {
    let names = recording_rules();
    let names = names.lines().filter_map(|line| line.trim().strip_prefix("- record: "));
    names.map(str::to_owned).collect()
}

fn panels() -> Vec<Value> {
    let dashboard: Value = serde_json::from_str(&dashboard()).unwrap();
    dashboard["panels"].as_array().unwrap().clone()
}

#[test]
fn the_files_are_the_generated_ones() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for (path, text) in files() {
        let there = std::fs::read_to_string(root.join(path)).unwrap();
        assert!(there == text, "{path}: run `cargo run --package tokmeter-gateway --example deploy`");
    }
}

#[test]
fn no_query_asks_for_what_does_not_exist() {
    let recorded = recorded();
    let mut checked = 0;
    for yaml in [recording_rules(), alert_rules()] {
        for expression in expressions(&yaml) {
            assert_eq!(faults(&expression, &recorded), Vec::<String>::new());
            checked += 1;
        }
    }
    for panel in panels() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            assert_eq!(faults(target["expr"].as_str().unwrap(), &recorded), Vec::<String>::new());
            checked += 1;
        }
    }
    assert!(checked > 60, "{checked}");
}

#[test]
fn the_check_of_queries_can_fail() {
    let recorded = recorded();
    for wrong in [
        "sum(rate(backend_ttfb_second_bucket[5m])) by (le)",
        "sum(rate(backend_ttfb_seconds_total[5m]))",
        "sum(backend_ttfb_seconds)",
        "rate(gateway_requests_total_count[5m])",
        r#"rate(gateway_requests_total{status="ok"}[5m])"#,
        "sum(rate(gateway_requests_total[5m])) by (stages)",
        "gateway:requests_failed:ratio_rate7m > 1",
        "vector(0)",
    ] {
        assert!(!faults(wrong, &recorded).is_empty(), "{wrong}");
    }
}

#[test]
fn the_dashboard_has_the_seeds_panels_first_and_nothing_overlaps() {
    let panels = panels();
    let titles: Vec<_> = panels.iter().map(|panel| panel["title"].as_str().unwrap()).collect();
    let begins = [
        "Backend API TTFB",
        "Streaming duration",
        "Frontend processing",
        "Request stage breakdown",
        "Time distribution by stage",
        "Top 10 slowest",
        "Backend TTFB p95",
        "Streaming p95",
        "Frontend p95",
        "Backend response share",
    ];
    for (title, begin) in titles.iter().zip(begins) {
        assert!(title.starts_with(begin), "{title}");
    }
    let mut taken = BTreeSet::new();
    let mut ids = BTreeSet::new();
    for panel in &panels {
        assert!(ids.insert(panel["id"].as_u64()));
        let place = |name: &str| panel["gridPos"][name].as_u64().unwrap();
        assert!(place("x") + place("w") <= 24);
        for x in place("x")..place("x") + place("w") {
            for y in place("y")..place("y") + place("h") {
                assert!(taken.insert((x, y)), "{} overlaps", panel["title"]);
            }
        }
    }
    // The share is a percentage of 0 to 100, and so are its limits.
    let share = &panels[9]["fieldConfig"]["defaults"];
    assert_eq!(share["unit"], "percent");
    assert_eq!(share["thresholds"]["steps"][1]["value"], 70.0);
}

#[test]
fn quantile_limits_are_where_buckets_can_tell() {
    // The bound of the late first token is a bucket of its metric, and no alert asks beyond the last bucket.
    let rules = recording_rules();
    assert!(rules.contains(r#"gen_ai_server_time_to_first_token_seconds_bucket{le="2.5"}"#));
    assert!(crate::Metric::GenAiTimeToFirstToken.spec().buckets.contains(&2.5));
    for line in expressions(&alert_rules()).iter().filter(|line| line.starts_with("histogram_quantile")) {
        let spec = words(line).iter().find_map(|word| metric_of(word)).unwrap();
        let limit = line.split(" > ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
        let limit: f64 = limit.parse().unwrap();
        assert!(limit < *spec.buckets.last().unwrap(), "{line}");
    }
}
