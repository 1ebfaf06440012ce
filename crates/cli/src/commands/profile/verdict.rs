//! What a run's numbers are worth: the evidence gathered from everything the run knows of itself.

use anyhow::Result;
use tokmeter_engine::RunOutcome;
use tokmeter_record::MetricSet;
use tokmeter_record::metric::catalogue::{
    CLIENT_RECV_LAG, INTER_CHUNK_LATENCY, INTER_TOKEN_LATENCY, SCHEDULE_LAG, TIME_TO_FIRST_TOKEN,
};
use tokmeter_record::statistics::RunSummary;
use tokmeter_record::verdict::{Assessment, Evidence, Limits, RunVerdict, assess};

use crate::commands::calibrate::Calibration;
use crate::exit::Failure;

/// The limits as the user set them.
pub fn limits(given: &[String]) -> Result<Limits, Failure> {
    let mut limits = Limits::default();
    for text in given {
        limits.set(text).map_err(|error| Failure::usage(format!("--verdict-limit: {error}")))?;
    }
    Ok(limits)
}

/// Assesses a run.
pub fn of_run(
    summary: &RunSummary,
    outcome: &RunOutcome<()>,
    calibration: Option<&Calibration>,
    limits: &Limits,
) -> Assessment {
    let calibrated_error_p99_ms = calibration.map(|found| found.errors.time_to_first_token_ms.p99);
    assess(Evidence { calibrated_error_p99_ms, ..evidence(summary, outcome) }, limits)
}

/// This machine's own error, and the medians with it as error bar.
pub fn calibrated(calibration: &Calibration, metrics: &MetricSet) -> Vec<String> {
    let errors = &calibration.errors;
    let figures = [
        (TIME_TO_FIRST_TOKEN, "time to first token", errors.time_to_first_token_ms),
        (INTER_CHUNK_LATENCY, "inter-chunk latency", errors.inter_chunk_latency_ms),
    ];
    let figures: Vec<String> = figures
        .into_iter()
        .filter_map(|(metric, name, error)| {
            let p50 = metrics.get(metric)?.p50?;
            Some(format!("{name} {p50:.2} ms ± {:.2} ms", error.p99.abs()))
        })
        .collect();
    let mut lines = vec![format!("  own error {}", calibration.line())];
    lines.extend(calibration.remark().map(|remark| format!("  {remark}")));
    if !figures.is_empty() {
        lines.push(format!("  p50 with that error (p99): {}", figures.join(", ")));
    }
    lines
}

fn evidence(summary: &RunSummary, outcome: &RunOutcome<()>) -> Evidence {
    let (health, counts) = (&outcome.health, &outcome.counts);
    let per_elapsed = |seconds: f64| seconds / health.elapsed_seconds.max(f64::MIN_POSITIVE);
    let delivery = outcome.delivery.as_ref();
    let cache = &outcome.notes.tokens.cache;
    // Whether a cache was warm is known only where every beginning of a prompt could be remembered.
    let of_prompts = |tokens: u64| {
        (cache.requests > 0 && !outcome.notes.tokens.prefixes_overflowed)
            .then(|| tokens as f64 / cache.prompt_tokens.max(1) as f64)
    };
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get()) as f64;
    let of_records = of_summary(summary);
    let stamped = of_records.kernel_stamps.is_some_and(|share| share > 0.0);
    Evidence {
        unread_high_bytes: stamped.then_some(counts.unread_high_bytes),
        shard_busy: Some(counts.shard_busy_ppm as f64 / 1e6),
        core_wait_ms: (counts.core_wait_ns > 0).then(|| counts.core_wait_ns as f64 / 1e6),
        throttled_share: health.throttled_seconds.map(per_elapsed),
        steal_share: health.steal_seconds.map(|seconds| per_elapsed(seconds) / cores),
        decode_stalls: counts.decode_stalls,
        decode_backlog_high: counts.decode_backlog_high,
        asked_rate: delivery.and_then(|delivery| delivery.asked.scheduled_rate),
        delivered_rate: delivery.and_then(|delivery| delivery.delivered.rate),
        cached_share: of_prompts(cache.cached_tokens),
        cached_share_asked: of_prompts(cache.repeated_tokens),
        slot_waits: counts.slot_waits,
        requests: outcome.profiling().map_or(0, |phase| phase.requests),
        clock_step_ms: Some(outcome.anchors.0.drift_ns(&outcome.anchors.1) as f64 / 1e6),
        ..of_records
    }
}

/// What the records alone say, of this run or of several merged.
pub fn of_summary(summary: &RunSummary) -> Evidence {
    let metrics = &summary.metrics;
    let lag = metrics.get(CLIENT_RECV_LAG);
    Evidence {
        recv_lag_p50_ms: lag.and_then(|lag| lag.p50),
        recv_lag_p99_ms: lag.and_then(|lag| lag.p99),
        schedule_lag_p99_ms: metrics.get(SCHEDULE_LAG).and_then(|lag| lag.p99),
        first_token_p50_ms: metrics.get(TIME_TO_FIRST_TOKEN).and_then(|latency| latency.p50),
        inter_token_p50_ms: metrics.get(INTER_TOKEN_LATENCY).and_then(|gap| gap.p50),
        kernel_stamps: (summary.counts.succeeded > 0)
            .then(|| lag.and_then(|lag| lag.count).unwrap_or(0) as f64 / summary.counts.succeeded as f64),
        samples: summary.counts.succeeded,
        ..Evidence::default()
    }
}

/// The verdict and its reasons, for the console.
pub fn lines(assessment: &Assessment) -> Vec<String> {
    let percentile = match assessment.highest_percentile {
        Some(percentile) => format!("samples carry percentiles up to p{percentile}"),
        None => "too few samples for any percentile".to_owned(),
    };
    let calibrated = assessment.evidence.calibrated_error_p99_ms.is_some();
    let first = match assessment.error_bar_ms {
        Some(error) if calibrated => {
            format!("verdict: {} (calibrated client error {error:.3} ms; {percentile})", assessment.verdict)
        }
        Some(error) => {
            format!("verdict: {} (client error at most {error:.3} ms; {percentile})", assessment.verdict)
        }
        None => format!("verdict: {} ({percentile})", assessment.verdict),
    };
    let reasons = assessment.reasons.iter().map(|reason| {
        format!(
            "  {}: {} (--verdict-limit {}={})",
            reason.verdict, reason.message, reason.limit, reason.tolerated
        )
    });
    std::iter::once(first).chain(reasons).collect()
}

/// Whether `--require-valid` is broken.
pub fn refused(require_valid: bool, assessment: &Assessment) -> Option<Failure> {
    if !require_valid || assessment.verdict == RunVerdict::Valid {
        return None;
    }
    let reasons: Vec<_> = assessment.reasons.iter().map(|reason| reason.message.as_str()).collect();
    Some(Failure {
        exit: crate::exit::Exit::NotValid,
        message: format!("--require-valid: the run is {}: {}", assessment.verdict, reasons.join("; ")),
        fix: Some("give the client more room or more samples, or set --verdict-limit".to_owned()),
    })
}
