//! Files of each phase, when a run has more than one (FORMATS 10): `phase_manifest.json` and `phases/NAME/`.

use std::fs;
use std::io::Write;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tokmeter_engine::run::PhaseReport;
use tokmeter_record::BenchmarkPhase;
use tokmeter_record::format::{SummaryDocument, summary_csv};
use tokmeter_record::statistics::Window;

use super::{Finished, files};

/// Version of the manifest.
const SCHEMA_VERSION: u32 = 1;

/// Writes the files; none for a run of one phase. `whole` is the summary of the run.
pub fn write(finished: &Finished, whole: &SummaryDocument) -> Result<()> {
    let phases = &finished.outcome.phases;
    if phases.len() < 2 {
        return Ok(());
    }
    let directory = finished.settings.names.directory();
    let mut entries = Vec::new();
    for (index, report) in phases.iter().enumerate() {
        let summary = summary(finished, whole, report);
        let place = directory.join("phases").join(&report.name);
        fs::create_dir_all(&place).with_context(|| format!("cannot create {}", place.display()))?;
        files::replace(&place.join("profile_export_aiperf.json"), |file| summary.write(file))?;
        files::replace(&place.join("profile_export_aiperf.csv"), |file| {
            summary_csv::write_csv(&summary, file)
        })?;
        entries.push(entry(finished, report, index, &summary));
    }
    let manifest = json!({"schema_version": SCHEMA_VERSION, "phases": entries});
    files::replace(&directory.join("phase_manifest.json"), |mut file| {
        serde_json::to_writer_pretty(&mut file, &manifest)?;
        file.write_all(b"\n")?;
        file.flush()
    })
}

/// The run's summary with the metrics of one phase.
fn summary(finished: &Finished, whole: &SummaryDocument, report: &PhaseReport) -> SummaryDocument {
    if report.phase == BenchmarkPhase::Profiling {
        return SummaryDocument { warmup_metrics: None, ..whole.clone() };
    }
    let measured = &finished.summary;
    let of_phase = tokmeter_record::statistics::RunSummary {
        metrics: measured.warmup_metrics.clone().unwrap_or_default(),
        counts: measured.warmup_counts,
        ..Default::default()
    };
    let window = Window::new(report.start, report.end);
    SummaryDocument {
        benchmark_id: whole.benchmark_id.clone(),
        input_config: whole.input_config.clone(),
        run_info: whole.run_info.clone(),
        was_cancelled: whole.was_cancelled,
        is_complete: whole.is_complete,
        incomplete_reason: whole.incomplete_reason.clone(),
        ..SummaryDocument::of(&of_phase, &window)
    }
}

fn entry(finished: &Finished, report: &PhaseReport, index: usize, summary: &SummaryDocument) -> Value {
    let profiling = report.phase == BenchmarkPhase::Profiling;
    let counts = match profiling {
        true => finished.summary.counts,
        false => finished.summary.warmup_counts,
    };
    let path = |name: &str| format!("phases/{}/{name}", report.name);
    json!({
        "phase_index": index,
        "phase_kind": report.phase.as_str(),
        "phase_name": report.name,
        "profiling_index": profiling.then_some(0),
        "start_ns": report.start.0,
        "end_ns": report.end.0,
        "successful_request_count": counts.succeeded,
        "error_request_count": counts.failed,
        "total_request_count": counts.completed(),
        "was_cancelled": finished.outcome.was_cancelled,
        // Errors are told apart for the measured phase only.
        "error_summary": profiling.then_some(&summary.error_summary),
        "metrics_json": path("profile_export_aiperf.json"),
        "metrics_csv": path("profile_export_aiperf.csv"),
        "server_metrics_json": Value::Null,
    })
}
