//! The figures of a measurement as text, for the table and the page alike.

use tokmeter_engine::tax::{Cell, Finding, Interval, TaxReport};

/// Columns; all times in ms.
pub const HEADER: [&str; 8] = [
    "Stage (ms)",
    "direct p50",
    "through p50",
    "direct p99",
    "through p99",
    "added p50",
    "added mean",
    "added p99",
];

/// One line of a table.
pub struct Row {
    /// As many as [`HEADER`] has, and the finding behind the stage's name.
    pub cells: [String; 8],
    /// What was found.
    pub finding: Finding,
}

/// What a cell measured.
pub fn title(cell: &Cell) -> String {
    format!("{} in flight, bodies of {} bytes: {} pairs", cell.concurrency, cell.body_bytes, cell.pairs)
}

/// The stages of a cell.
pub fn rows(cell: &Cell) -> Vec<Row> {
    let row = |figures: &tokmeter_engine::tax::StageFigures| Row {
        cells: [
            format!("{}: {}", figures.stage.as_str(), figures.finding.as_str()),
            ms(figures.direct.p50),
            ms(figures.through.p50),
            ms(figures.direct.p99),
            ms(figures.through.p99),
            interval(&figures.added_p50),
            interval(&figures.added_mean),
            interval(&figures.added_p99),
        ],
        finding: figures.finding,
    };
    cell.stages.iter().map(row).collect()
}

/// What failed in a cell, if anything did.
pub fn failures(cell: &Cell) -> Option<String> {
    let reason = cell.first_failure.as_ref()?;
    Some(format!(
        "failed: {} direct, {} through the gateway; the first {reason}",
        cell.direct_failures, cell.through_failures
    ))
}

/// How to read the figures.
pub fn legend(report: &TaxReport) -> String {
    format!(
        "added p50 and mean: within pairs; added p99: difference of the p99s. [intervals] at {:.2} %, so that all rows \
         hold together with {:.2} %",
        100.0 * report.interval_confidence,
        100.0 * report.confidence
    )
}

fn ms(value: f64) -> String {
    format!("{value:.3}")
}

fn interval(interval: &Interval) -> String {
    match (interval.low, interval.high) {
        (Some(low), Some(high)) => format!("{:+.3} [{low:+.3}, {high:+.3}]", interval.estimate),
        _ => format!("{:+.3} [?]", interval.estimate),
    }
}
