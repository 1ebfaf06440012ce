//! The files of `deploy/`: Grafana dashboard and Prometheus rules, made from the [catalogue](crate::catalogue), so
//! that no panel and no rule can ask for a metric or a label that does not exist.
//!
//! `cargo run --package tokmeter-gateway --example deploy` writes them; a test holds the checked-in files to it.

mod dashboard;
mod query;
mod rules;

pub use dashboard::dashboard;
pub use rules::{alert_rules, recording_rules};

/// All generated files: path below the root of the repository, content.
pub fn files() -> [(&'static str, String); 3] {
    [
        ("deploy/grafana/performance-monitoring.json", dashboard()),
        ("deploy/prometheus/recording-rules.yml", recording_rules()),
        ("deploy/prometheus/alert-rules.yml", alert_rules()),
    ]
}

#[cfg(test)]
mod tests;
