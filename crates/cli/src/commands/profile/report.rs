//! What is printed at the end of a run.

use std::io::{self, Write};

use anyhow::Result;
use tokmeter_record::ErrorClass;
use tokmeter_record::statistics::RunSummary;

use super::super::gate::write_checks;
use super::{Finished, asked, files, ranks, server_metrics, verdict};
use crate::args::profile::ProfileArgs;
use crate::console::number::integer;
use crate::console::{harmless, side_by_side, summary, width};

/// Prints tables, remarks and where the files are.
pub fn print(args: &ProfileArgs, finished: &Finished) -> Result<()> {
    let width = width();
    let mut out = io::stdout().lock();
    out.write_all(tables(args, finished, width).as_bytes())?;
    for remark in remarks(finished) {
        writeln!(out, "note: {}", harmless(&remark))?;
    }
    if !finished.checks.is_empty() {
        writeln!(out)?;
        write_checks(&finished.checks, false, &mut out)?;
    }
    let directory = finished.settings.names.directory();
    writeln!(out, "\nfiles in {}", directory.display())?;
    for (name, bytes) in files::listing(&finished.settings)? {
        writeln!(out, "  {name} ({})", size(bytes))?;
    }
    Ok(())
}

/// One of several runs: its outcome, what to know of it, and where its files are.
pub fn print_brief(finished: &Finished) -> Result<()> {
    let mut out = io::stdout().lock();
    write!(out, "  {}", headline(finished))?;
    for remark in remarks(finished) {
        writeln!(out, "  note: {}", harmless(&remark))?;
    }
    if !finished.checks.is_empty() {
        write_checks(&finished.checks, false, &mut out)?;
    }
    writeln!(out, "  files in {}", finished.settings.names.directory().display())?;
    Ok(())
}

/// All tables as text.
pub fn tables(args: &ProfileArgs, finished: &Finished, width: u16) -> String {
    let title = args.endpoint.endpoint_type.metadata().metrics_title;
    let mut parts = vec![summary::metrics(&finished.summary.metrics, &format!("tokmeter | {title}"), width)];
    if args.output.show_trace_timing {
        parts.push(summary::http_trace(&finished.summary.metrics, width));
    }
    if !finished.summary.errors.is_empty() {
        parts.push(summary::errors(&finished.summary.errors, width));
    }
    if let Some(collected) = &finished.server_metrics {
        let sides = server_metrics::side_by_side(collected, &finished.summary.metrics);
        parts.extend((!sides.is_empty()).then(|| side_by_side::tables(&sides, width)));
    }
    parts.push(headline(finished) + &asked::headline(finished).unwrap_or_default());
    let mut lines = verdict::lines(&finished.verdict);
    if let Some(calibration) = &finished.calibration {
        lines.extend(verdict::calibrated(calibration, &finished.summary.metrics));
    }
    parts.push(lines.join("\n") + "\n");
    parts.join("\n")
}

fn headline(finished: &Finished) -> String {
    let counts = finished.summary.counts;
    let cancelled = match counts.cancelled {
        0 => String::new(),
        cancelled => format!(", {} cancelled", integer(cancelled)),
    };
    let lag = summary::receive_lag(&finished.summary.metrics);
    format!(
        "{} requests: {} succeeded, {} failed{cancelled}; {:.1} s, client used {:.0} % of the machine{lag}\n",
        integer(counts.completed()),
        integer(counts.succeeded),
        integer(counts.failed - counts.cancelled),
        finished.outcome.health.elapsed_seconds,
        finished.outcome.health.cpu_share * 100.0,
    )
}

/// What a reader should know before believing the numbers.
fn remarks(finished: &Finished) -> Vec<String> {
    let mut remarks = finished.summary.notes.clone();
    remarks.extend(asked::remarks(finished));
    remarks.extend(ranks::late(finished));
    let notes = &finished.outcome.notes;
    if notes.token_sources.len() > 1 {
        let sources: Vec<_> =
            notes.token_sources.iter().map(|(source, n)| format!("{} by {source:?}", integer(*n))).collect();
        remarks.push(format!("token counts have different sources: {}", sources.join(", ")));
    }
    if notes.done_without_finish > 0 {
        remarks.push(format!(
            "{} streams ended with [DONE] but without a finish reason: some servers cut answers that way",
            integer(notes.done_without_finish)
        ));
    }
    // Ends of streams are often written together; what matters is content.
    if notes.coalesced_content_events * 10 > notes.content_events {
        remarks.push(format!(
            "{:.0} % of events with content shared a read with the one before; their instants are those of the \
             last segment",
            notes.coalesced_content_events as f64 * 100.0 / notes.content_events as f64
        ));
    }
    if notes.retried_requests > 0 {
        remarks.push(format!(
            "{} requests were sent again because the server had closed the kept-alive connection",
            integer(notes.retried_requests)
        ));
    }
    if finished.outcome.counts.decode_stalls > 0 {
        remarks.push("requests waited for this machine to read answers: the client is the limit".to_owned());
    }
    remarks
}

/// Whether no request reached the server.
pub fn all_unreachable(summary: &RunSummary) -> bool {
    summary.errors.iter().all(|error| {
        matches!(
            error.error_details.class,
            Some(ErrorClass::Dns | ErrorClass::ConnectionRefused | ErrorClass::Unreachable | ErrorClass::Tls)
        )
    })
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}
