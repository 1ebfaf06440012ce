//! The sections in print order, each with its own layout.

use std::fmt::{self, Write};
use std::str::FromStr;

use super::layout::{
    bytes, line, percentile_table, row, table_head, thousands, time, time_table, title, wrapped,
};
use crate::analysis::distribution::Summary;
use crate::analysis::insights::Verdict;
use crate::analysis::report::Report;
use crate::analysis::tail::SlowRequest;

/// A section of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// OVERVIEW
    Overview,
    /// HTTP REQUEST PHASES
    Phases,
    /// CONNECTION STATISTICS
    Connections,
    /// DNS STATISTICS
    Dns,
    /// REQUEST SEND TIME
    Send,
    /// RESPONSE TIMING - TIME TO FIRST BYTE (TTFB)
    Ttfb,
    /// RESPONSE TIMING - TIME TO LAST BYTE (TTLB)
    Ttlb,
    /// STREAMING STATISTICS
    Streaming,
    /// BANDWIDTH
    Bandwidth,
    /// TOKEN ANALYTICS
    Tokens,
    /// TOKEN-TO-RESPONSE CORRELATION
    Correlation,
    /// NETWORK EFFICIENCY INSIGHTS
    Efficiency,
    /// METRIC VALIDATION
    Validation,
    /// KEY INSIGHTS
    Insights,
    /// SLOWEST REQUESTS
    Slowest,
}

impl FromStr for Section {
    type Err = UnknownSection;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Section::ALL.into_iter().find(|section| section.name() == name).ok_or(UnknownSection)
    }
}

/// No section has this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown section (known: overview, phases, connections, dns, send, ttfb, ttlb, streaming, bandwidth, tokens, \
     correlation, efficiency, validation, insights, slowest)"
)]
pub struct UnknownSection;

impl Section {
    /// All sections in print order.
    pub const ALL: [Section; 15] = [
        Section::Overview,
        Section::Phases,
        Section::Connections,
        Section::Dns,
        Section::Send,
        Section::Ttfb,
        Section::Ttlb,
        Section::Streaming,
        Section::Bandwidth,
        Section::Tokens,
        Section::Correlation,
        Section::Efficiency,
        Section::Validation,
        Section::Insights,
        Section::Slowest,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Section::Overview => "overview",
            Section::Phases => "phases",
            Section::Connections => "connections",
            Section::Dns => "dns",
            Section::Send => "send",
            Section::Ttfb => "ttfb",
            Section::Ttlb => "ttlb",
            Section::Streaming => "streaming",
            Section::Bandwidth => "bandwidth",
            Section::Tokens => "tokens",
            Section::Correlation => "correlation",
            Section::Efficiency => "efficiency",
            Section::Validation => "validation",
            Section::Insights => "insights",
            Section::Slowest => "slowest",
        }
    }

    /// Its key in the JSON report.
    pub fn key(self) -> &'static str {
        match self {
            Section::Send => "request_send",
            Section::Efficiency => "network_efficiency",
            other => other.name(),
        }
    }

    fn title(self) -> &'static str {
        match self {
            Section::Overview => "OVERVIEW",
            Section::Phases => "HTTP REQUEST PHASES",
            Section::Connections => "CONNECTION STATISTICS",
            Section::Dns => "DNS STATISTICS",
            Section::Send => "REQUEST SEND TIME",
            Section::Ttfb => "RESPONSE TIMING - TIME TO FIRST BYTE (TTFB)",
            Section::Ttlb => "RESPONSE TIMING - TIME TO LAST BYTE (TTLB)",
            Section::Streaming => "STREAMING STATISTICS",
            Section::Bandwidth => "BANDWIDTH",
            Section::Tokens => "TOKEN ANALYTICS",
            Section::Correlation => "TOKEN-TO-RESPONSE CORRELATION",
            Section::Efficiency => "NETWORK EFFICIENCY INSIGHTS",
            Section::Validation => "METRIC VALIDATION",
            Section::Insights => "KEY INSIGHTS",
            Section::Slowest => "SLOWEST REQUESTS",
        }
    }

    /// Whether this data has anything for the section.
    pub fn applies(self, report: &Report) -> bool {
        let phased = report.overview.phased_records() > 0;
        match self {
            Section::Overview => true,
            Section::Correlation => report.correlation.is_some(),
            Section::Efficiency => report.network_efficiency.is_some(),
            Section::Validation => report.validation.is_some(),
            Section::Insights => !report.insights.is_empty(),
            Section::Slowest => report.slowest.is_some(),
            _ => phased,
        }
    }

    pub(super) fn write(self, report: &Report, out: &mut dyn Write) -> fmt::Result {
        title(out, self.title())?;
        match self {
            Section::Overview => overview(report, out),
            Section::Phases => phases(report, out),
            Section::Connections => connections(report, out),
            Section::Dns => dns(report, out),
            Section::Send => time_table(out, "Request send time", report.request_send.as_ref()),
            Section::Ttfb => {
                time_table(out, "TTFB (includes network + server processing)", report.ttfb.as_ref())
            }
            Section::Ttlb => time_table(out, "TTLB (from the end of sending)", report.ttlb.as_ref()),
            Section::Streaming => streaming(report, out),
            Section::Bandwidth => bandwidth(report, out),
            Section::Tokens => tokens(report, out),
            Section::Correlation => correlation(report, out),
            Section::Efficiency => efficiency(report, out),
            Section::Validation => validation(report, out),
            Section::Insights => insights(report, out),
            Section::Slowest => slowest(report, out),
        }
    }
}

fn percent_of(part: u64, whole: u64) -> String {
    if whole == 0 { String::new() } else { format!(" ({:.1}%)", 100.0 * part as f64 / whole as f64) }
}

fn overview(report: &Report, out: &mut dyn Write) -> fmt::Result {
    let overview = &report.overview;
    let total = overview.total_records;
    let mut count =
        |label: &str, value: u64, suffix: &str| line(out, 2, label, &thousands(value), 45, suffix);
    count("Total records:", total, "")?;
    count("Records with trace data:", overview.traced_records, &percent_of(overview.traced_records, total))?;
    if overview.phase_metric_records > 0 {
        let share = percent_of(overview.phase_metric_records, total);
        count("Records with phase metrics only:", overview.phase_metric_records, &share)?;
    }
    count("Streaming requests:", overview.streaming, "")?;
    count("Non-streaming requests:", overview.non_streaming, "")?;
    if overview.failed > 0 {
        count("Failed requests:", overview.failed, &percent_of(overview.failed, overview.phased_records()))?;
    }
    if overview.warmup_left_out > 0 {
        count("Warmup records (left out):", overview.warmup_left_out, "")?;
    }
    if overview.filtered_out > 0 {
        count("Records filtered out:", overview.filtered_out, "")?;
    }
    if report.lines.bad > 0 {
        count("Lines that are no records:", report.lines.bad, "")?;
        for bad in &report.lines.bad_lines {
            writeln!(out, "    {}:{}: {}", bad.source, bad.line, bad.reason)?;
        }
        let unnamed = report.lines.bad - report.lines.bad_lines.len() as u64;
        if unnamed > 0 {
            writeln!(out, "    and {} more", thousands(unnamed))?;
        }
    }
    Ok(())
}

fn phases(report: &Report, out: &mut dyn Write) -> fmt::Result {
    let phases = &report.phases;
    let tables = [
        ("Duration (sending + waiting + receiving)", &phases.duration),
        ("Blocked (waiting for a connection)", &phases.blocked),
        ("DNS lookup", &phases.dns_lookup),
        ("Connecting (TCP + TLS)", &phases.connecting),
        ("Connection overhead (blocked + DNS + connecting)", &phases.connection_overhead),
        ("Sending", &phases.sending),
        ("Waiting (to first body byte)", &phases.waiting),
        ("Receiving", &phases.receiving),
        ("Total", &phases.total),
    ];
    for (index, (name, summary)) in tables.into_iter().enumerate() {
        if index > 0 {
            writeln!(out)?;
        }
        time_table(out, name, summary.as_ref())?;
    }
    Ok(())
}

fn connections(report: &Report, out: &mut dyn Write) -> fmt::Result {
    let connections = &report.connections;
    line(out, 2, "Connections created:", &thousands(connections.created), 45, "")?;
    line(out, 2, "Connections reused:", &thousands(connections.reused), 45, "")?;
    if let Some(rate) = connections.reuse_rate_pct {
        line(out, 2, "Connection reuse rate:", &format!("{rate:.1}"), 45, "%")?;
    }
    writeln!(out)?;
    time_table(out, "Connection Establishment Time", connections.establishment.as_ref())?;
    let both = |summary: &Option<Summary>| summary.as_ref().is_some_and(|summary| summary.max > 0.0);
    if both(&connections.connecting) && both(&connections.queue_wait) {
        writeln!(out, "  (new connections and queue waits together; each alone below)\n")?;
        time_table(out, "New Connections Only (TCP + TLS)", connections.connecting.as_ref())?;
    }
    writeln!(out)?;
    time_table(out, "Queue Wait Time", connections.queue_wait.as_ref())
}

fn dns(report: &Report, out: &mut dyn Write) -> fmt::Result {
    let dns = &report.dns;
    line(out, 2, "DNS resolutions performed:", &thousands(dns.resolutions), 44, "")?;
    line(out, 2, "DNS cache hits:", &thousands(dns.cache_hits), 45, "")?;
    if let Some(rate) = dns.hit_rate_pct {
        line(out, 2, "DNS cache hit rate:", &format!("{rate:.1}"), 44, "%")?;
    }
    if dns.resolution_time.is_some() {
        writeln!(out)?;
        time_table(out, "DNS Resolution Time", dns.resolution_time.as_ref())?;
    }
    Ok(())
}

/// Min, max, mean and median of a figure whose values `show` prints.
fn median_table(
    out: &mut dyn Write,
    name: &str,
    summary: Option<&Summary>,
    end: usize,
    show: impl Fn(f64) -> String,
) -> fmt::Result {
    let Some(summary) = summary.filter(|summary| summary.max > 0.0) else {
        return writeln!(out, "{name}:\n  No data available");
    };
    table_head(out, name)?;
    for (label, value) in
        [("Min", summary.min), ("Max", summary.max), ("Mean", summary.avg), ("Median", summary.median)]
    {
        row(out, label, &show(value), end)?;
    }
    Ok(())
}

fn streaming(report: &Report, out: &mut dyn Write) -> fmt::Result {
    let streaming = &report.streaming;
    let whole = |value: f64| format!("{value:.0}");
    median_table(out, "Chunks per Request", streaming.chunks_per_request.as_ref(), 40, whole)?;
    writeln!(out)?;
    time_table(out, "Inter-Chunk Latency (ICL)", streaming.inter_chunk_latency.as_ref())?;
    if streaming.coalesced > 0 {
        line(out, 2, "Zero gaps (arrived together):", &thousands(streaming.coalesced), 41, "")?;
    }
    writeln!(out)?;
    let size = |value: f64| bytes(value, 1);
    match (&streaming.chunk_size, &streaming.average_chunk_size) {
        (None, Some(average)) => {
            median_table(out, "Average Chunk Size of a Response", Some(average), 42, size)
        }
        (None, None) => writeln!(out, "Chunk Size:\n  not recorded"),
        (chunk_size, _) => median_table(out, "Chunk Size", chunk_size.as_ref(), 42, size),
    }
}

fn bandwidth(report: &Report, out: &mut dyn Write) -> fmt::Result {
    let tables = [
        ("Request Size", &report.bandwidth.request_size),
        ("Response Size", &report.bandwidth.response_size),
    ];
    for (index, (name, summary)) in tables.into_iter().enumerate() {
        if index > 0 {
            writeln!(out)?;
        }
        median_table(out, name, summary.as_ref(), 42, |value| bytes(value, 1))?;
        if let Some(summary) = summary.as_ref().filter(|summary| summary.max > 0.0) {
            row(out, "Total", &bytes(summary.sum, 1), 42)?;
        }
    }
    Ok(())
}

fn token_table(out: &mut dyn Write, name: &str, summary: Option<&Summary>) -> fmt::Result {
    writeln!(out)?;
    let Some(summary) = summary.filter(|summary| summary.max > 0.0) else {
        return writeln!(out, "{name}:\n  No data available");
    };
    table_head(out, name)?;
    row(out, "Min", &format!("{:.0}", summary.min), 43)?;
    row(out, "Max", &format!("{:.0}", summary.max), 43)?;
    row(out, "Mean", &format!("{:.0}", summary.avg), 43)?;
    row(out, "Median", &format!("{:.2}", summary.median), 44)?;
    row(out, "Total", &format!("{:.0}", summary.sum), 43)
}

/// Min, max and median with `decimals`, the mean with one more, the decimal points in one column.
fn per_token_table(
    out: &mut dyn Write,
    name: &str,
    summary: Option<&Summary>,
    decimals: usize,
    unit: &str,
) -> fmt::Result {
    writeln!(out)?;
    let Some(summary) = summary.filter(|summary| summary.max > 0.0) else {
        return writeln!(out, "{name}:\n  No data available");
    };
    table_head(out, name)?;
    let end = 40 + decimals + unit.len();
    let show = |value: f64, decimals: usize| format!("{value:.decimals$}{unit}");
    row(out, "Min", &show(summary.min, decimals), end)?;
    row(out, "Max", &show(summary.max, decimals), end)?;
    row(out, "Mean", &show(summary.avg, decimals + 1), end + 1)?;
    row(out, "Median", &show(summary.median, decimals), end)
}

fn tokens(report: &Report, out: &mut dyn Write) -> fmt::Result {
    let tokens = &report.tokens;
    token_table(out, "Input Tokens", tokens.input.as_ref())?;
    token_table(out, "Output Tokens", tokens.output.as_ref())?;
    writeln!(out)?;
    let rate = |value: f64| format!("{value:.2}");
    percentile_table(out, "Token Throughput (tokens/second)", tokens.throughput.as_ref(), 42, rate)?;
    writeln!(out)?;
    percentile_table(out, "Time per Output Token", tokens.time_per_token.as_ref(), 43, time)?;
    per_token_table(out, "Bytes per Token (network efficiency)", tokens.bytes_per_token.as_ref(), 1, "B")?;
    per_token_table(out, "Chunks per Token (streaming granularity)", tokens.chunks_per_token.as_ref(), 3, "")
}

fn correlation(report: &Report, out: &mut dyn Write) -> fmt::Result {
    let Some(found) = &report.correlation else {
        return writeln!(out, "  No data available");
    };
    let optional = |value: Option<f64>, show: &dyn Fn(f64) -> String| value.map_or("-".to_owned(), show);
    let groups: [(&str, Vec<(&str, String)>); 3] = [
        (
            "Token Generation Performance",
            vec![
                ("Avg tokens/second:", format!("{:.2}", found.avg_tokens_per_second)),
                ("Avg time/token:", time(found.avg_time_per_token_ms)),
            ],
        ),
        (
            "Streaming Characteristics",
            vec![
                ("Avg output tokens:", format!("{:.2}", found.avg_output_tokens)),
                ("Avg inter-chunk latency:", time(found.avg_inter_chunk_latency_ms)),
                (
                    "Avg chunks per token:",
                    optional(found.avg_chunks_per_token, &|value| format!("{value:.3}")),
                ),
                (
                    "Avg tokens per chunk:",
                    optional(found.avg_tokens_per_chunk, &|value| format!("{value:.2}")),
                ),
            ],
        ),
        (
            "Network Efficiency",
            vec![
                ("Avg bytes per token:", optional(found.avg_bytes_per_token, &|value| bytes(value, 2))),
                ("Total response bytes:", bytes(found.total_response_bytes, 2)),
                ("Total output tokens:", thousands(found.total_output_tokens as u64)),
                ("Overall bytes/token:", optional(found.overall_bytes_per_token, &|value| bytes(value, 2))),
            ],
        ),
    ];
    for (name, figures) in groups {
        writeln!(out, "\n  {name}:")?;
        for (label, value) in figures {
            line(out, 4, label, &value, 46, "")?;
        }
    }
    Ok(())
}

fn efficiency(report: &Report, out: &mut dyn Write) -> fmt::Result {
    let Some(found) = &report.network_efficiency else {
        return writeln!(out, "  No data available");
    };
    writeln!(out, "\n  Average breakdown:")?;
    line(out, 4, "Server processing + TTFB:", &time(found.server_processing_ms), 47, "")?;
    line(out, 4, "Network transfer time:", &time(found.network_transfer_ms), 47, "")?;
    line(out, 4, "Transfer/Processing ratio:", &format!("{:.2}x", found.transfer_ratio), 47, "")
}

/// Mean relative differences below 1 % are excellent, below 5 % good (contract ANALYZE 2.13).
fn agreement(pct: f64) -> &'static str {
    match pct {
        pct if pct < 1.0 => "excellent",
        pct if pct < 5.0 => "good",
        _ => "metrics and trace differ",
    }
}

fn validation(report: &Report, out: &mut dyn Write) -> fmt::Result {
    let Some(found) = &report.validation else {
        return writeln!(out, "  No data available");
    };
    writeln!(out, "\n  Mean relative difference of metrics and trace:")?;
    for (label, pct) in [
        ("request_latency:", found.latency_difference_pct),
        ("time_to_first_token:", found.ttft_difference_pct),
    ] {
        if let Some(pct) = pct {
            line(out, 4, label, &format!("{pct:.2}%"), 46, &format!("  {}", agreement(pct)))?;
        }
    }
    Ok(())
}

fn insights(report: &Report, out: &mut dyn Write) -> fmt::Result {
    for insight in &report.insights {
        let mark = match insight.verdict {
            Verdict::Good => "good",
            Verdict::Neutral => "info",
            Verdict::Attention => "LOOK",
        };
        let figure = match insight.unit {
            "%" => format!("{:.1}%", insight.figure),
            "x" => format!("{:.2}x", insight.figure),
            "ms" => time(insight.figure),
            "B/token" => bytes(insight.figure, 2),
            _ => format!("{:.2}", insight.figure),
        };
        line(out, 2, &format!("[{mark}] {}:", insight.title), &figure, 68, "")?;
        wrapped(out, "         ", "         ", insight.meaning)?;
        if !insight.advice.is_empty() {
            wrapped(out, "         -> ", "            ", insight.advice)?;
        }
    }
    Ok(())
}

fn slowest(report: &Report, out: &mut dyn Write) -> fmt::Result {
    let Some(tail) = &report.slowest else {
        return writeln!(out, "  not asked for (--slowest N)");
    };
    writeln!(out, "  Median latency of all requests: {}", time(tail.median_latency_ms))?;
    for (index, request) in tail.requests.iter().enumerate() {
        writeln!(out)?;
        slow_request(index + 1, request, out)?;
    }
    if !tail.lifts.is_empty() {
        writeln!(out, "\n  More frequent among the slowest 1% than among the others:")?;
        for lift in &tail.lifts {
            let times = lift.lift.map_or("only there".to_owned(), |lift| format!("{lift:.1}x"));
            let shares = format!("  ({:.1}% against {:.1}%)", lift.among_slowest_pct, lift.among_others_pct);
            line(out, 4, &format!("{}:", lift.name), &times, 66, &shares)?;
        }
    }
    Ok(())
}

fn slow_request(rank: usize, request: &SlowRequest, out: &mut dyn Write) -> fmt::Result {
    let times = request.times_median.map_or(String::new(), |times| format!(", {times:.1}x the median"));
    let id = request.x_request_id.as_deref().unwrap_or("no x_request_id");
    writeln!(out, "  {rank}. {}{times}  {id}", time(request.latency_ms))?;
    writeln!(out, "     {}:{}", request.source, request.line)?;
    let phases: Vec<String> = request
        .phases
        .iter()
        .filter(|phase| phase.value_ms > 0.0)
        .map(|phase| format!("{} {} (median {})", phase.phase, time(phase.value_ms), time(phase.median_ms)))
        .collect();
    if !phases.is_empty() {
        wrapped(out, "     phases: ", "       ", &phases.join(", "))?;
    }
    wrapped(out, "     request: ", "       ", &circumstances(request).join(", "))?;
    for reason in &request.reasons {
        wrapped(out, "     -> ", "        ", reason)?;
    }
    Ok(())
}

fn circumstances(request: &SlowRequest) -> Vec<String> {
    let mut facts = Vec::new();
    if let Some(tokens) = request.input_tokens {
        facts.push(format!("{tokens} input tokens"));
    }
    if let Some(tokens) = request.output_tokens {
        facts.push(format!("{tokens} output tokens"));
    }
    if request.new_connection {
        facts.push("new connection".to_owned());
    } else if let Some(number) = request.connection_request_number {
        facts.push(format!("request {number} of its connection"));
    }
    if let Some(age) = request.connection_age_ms {
        facts.push(format!("connection {} old", time(age)));
    }
    if request.failed_attempts > 0 {
        facts.push(format!("{} failed attempts", request.failed_attempts));
    }
    if request.coalesced > 0 {
        facts.push(format!("{} chunks arrived with the one before", request.coalesced));
    }
    if let Some(status) = request.status {
        facts.push(format!("status {status}"));
    }
    if let Some(delay) = request.start_delay_ms {
        facts.push(format!("started {} behind the schedule", time(delay)));
    }
    facts.extend(request.gauges.iter().map(|gauge| format!("{} {}", gauge.name, gauge.value)));
    facts
}
