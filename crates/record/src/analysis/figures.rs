//! From rows and counts to the figures of the report (contract ANALYZE 2).

use crate::analysis::columns::Column;
use crate::analysis::distribution::Summary;
use crate::analysis::gauges::GaugeSeries;
use crate::analysis::report::{
    Bandwidth, Connections, Correlation, Dns, GapSource, NetworkEfficiency, Phases, Report, Streaming,
    Tokens, Validation,
};
use crate::analysis::{Analysis, insights, tail};

const NS_PER_MS: f64 = 1e6;

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| 100.0 * part as f64 / whole as f64)
}

/// Builds the report of everything an analysis has seen.
pub(super) fn report(analysis: Analysis, gauges: &GaugeSeries) -> Report {
    let Analysis { counts, rows, gaps, chunk_sizes, lines, sources, slowest, .. } = analysis;
    let summaries = rows.summaries();
    let plain = |column: Column| summaries.of(column).cloned();
    let ms = |column| plain(column).map(|summary| summary.divided(NS_PER_MS, "ms"));

    let connecting = ms(Column::Connecting);
    let phases = Phases {
        duration: ms(Column::Duration),
        blocked: ms(Column::Blocked),
        dns_lookup: ms(Column::DnsLookup),
        connecting: connecting.clone(),
        connection_overhead: ms(Column::ConnectionOverhead),
        sending: ms(Column::Sending),
        waiting: ms(Column::Ttfb),
        receiving: ms(Column::Receiving),
        total: ms(Column::Total),
    };
    let connections = Connections {
        created: counts.created,
        reused: counts.reused,
        reuse_rate_pct: share(counts.reused, counts.created + counts.reused),
        establishment: ms(Column::Establishment),
        connecting,
        queue_wait: phases.blocked.clone(),
    };
    let dns = Dns {
        resolutions: counts.dns_resolutions,
        cache_hits: counts.dns_hits,
        hit_rate_pct: share(counts.dns_hits, counts.dns_hits + counts.dns_resolutions),
        resolution_time: phases.dns_lookup.clone(),
    };
    let chunk_size = chunk_sizes.summary("B");
    let streaming = Streaming {
        chunks_per_request: plain(Column::ChunksPerRequest),
        inter_chunk_latency: gaps.summary("ns").map(|summary| summary.divided(NS_PER_MS, "ms")),
        gap_source: counts.gap_source(),
        coalesced: counts.coalesced,
        average_chunk_size: if chunk_size.is_none() { plain(Column::AverageChunkBytes) } else { None },
        chunk_size,
    };
    let bandwidth =
        Bandwidth { request_size: plain(Column::RequestBytes), response_size: plain(Column::ResponseBytes) };
    let tokens = Tokens {
        input: plain(Column::InputTokens),
        output: plain(Column::OutputTokens),
        throughput: plain(Column::TokenRate),
        time_per_token: ms(Column::TimePerToken),
        bytes_per_token: plain(Column::BytesPerToken),
        chunks_per_token: plain(Column::ChunksPerToken),
    };
    let ttfb = phases.waiting.clone();
    let mut report = Report {
        sources,
        lines,
        correlation: correlation(&tokens, &streaming, &bandwidth, ttfb.as_ref()),
        network_efficiency: efficiency(ttfb.as_ref(), ms(Column::Transfer)),
        validation: validation(plain(Column::LatencyDifference), plain(Column::TtftDifference)),
        request_send: phases.sending.clone(),
        ttlb: ms(Column::Ttlb),
        ttfb,
        overview: counts.overview.clone(),
        phases,
        connections,
        dns,
        streaming,
        bandwidth,
        tokens,
        insights: Vec::new(),
        slowest: None,
        notes: Vec::new(),
    };
    report.notes = notes(&report, &rows, counts.aiohttp);
    report.insights = insights::of(&report);
    report.slowest = tail::explain(slowest, &rows, &summaries, &report, gauges);
    report
}

fn correlation(
    tokens: &Tokens,
    streaming: &Streaming,
    bandwidth: &Bandwidth,
    ttfb: Option<&Summary>,
) -> Option<Correlation> {
    ttfb?;
    let output = tokens.output.as_ref().filter(|output| output.sum > 0.0)?;
    let gaps = streaming.inter_chunk_latency.as_ref()?;
    let avg_chunks_per_token = tokens.chunks_per_token.as_ref().map(|summary| summary.avg);
    let total_response_bytes = bandwidth.response_size.as_ref().map_or(0.0, |summary| summary.sum);
    Some(Correlation {
        avg_tokens_per_second: tokens.throughput.as_ref()?.avg,
        avg_time_per_token_ms: tokens.time_per_token.as_ref()?.avg,
        avg_output_tokens: output.avg,
        avg_inter_chunk_latency_ms: gaps.avg,
        avg_chunks_per_token,
        avg_tokens_per_chunk: avg_chunks_per_token.filter(|mean| *mean > 0.0).map(|mean| 1.0 / mean),
        avg_bytes_per_token: tokens.bytes_per_token.as_ref().map(|summary| summary.avg),
        total_response_bytes,
        total_output_tokens: output.sum,
        overall_bytes_per_token: (total_response_bytes > 0.0).then(|| total_response_bytes / output.sum),
    })
}

fn efficiency(ttfb: Option<&Summary>, transfer: Option<Summary>) -> Option<NetworkEfficiency> {
    let (processing, transfer) = (ttfb?.avg, transfer?.avg);
    (processing > 0.0).then(|| NetworkEfficiency {
        server_processing_ms: processing,
        network_transfer_ms: transfer,
        transfer_ratio: transfer / processing,
    })
}

fn validation(latency: Option<Summary>, ttft: Option<Summary>) -> Option<Validation> {
    if latency.is_none() && ttft.is_none() {
        return None;
    }
    Some(Validation {
        latency_difference_pct: latency.map(|summary| 100.0 * summary.avg),
        ttft_difference_pct: ttft.map(|summary| 100.0 * summary.avg),
    })
}

fn notes(report: &Report, rows: &crate::analysis::columns::Rows, aiohttp: u64) -> Vec<String> {
    let mut notes = Vec::new();
    if !rows.is_exact() {
        notes.push(
            "there are more records than are kept one by one: percentiles come from histograms with an error of \
             at most 0.1 %"
                .to_owned(),
        );
    } else if report.streaming.inter_chunk_latency.as_ref().is_some_and(|gaps| gaps.approximate) {
        notes.push(
            "percentiles of chunks come from a histogram with an error of at most 0.1 %; all others are exact"
                .to_owned(),
        );
    }
    if report.overview.phase_metric_records > 0 {
        notes.push(format!(
            "{} records have no trace_data: their phases come from the http_req_* metrics",
            report.overview.phase_metric_records
        ));
    }
    match report.streaming.gap_source {
        Some(GapSource::InterChunkLatencyMetric) => notes.push(
            "response_chunks is empty: inter-chunk latency is the metric inter_chunk_latency (gaps between content \
             events), and the sizes of single chunks are not recorded"
                .to_owned(),
        ),
        Some(GapSource::Mixed) => notes.push(
            "some records have response_chunks (gaps between reads), others only inter_chunk_latency (gaps \
             between content events)"
                .to_owned(),
        ),
        _ => {}
    }
    if aiohttp > 0 && report.connections.created > 0 {
        notes.push(
            "aiohttp traces start sending before the connection is set up: their send time contains blocked, DNS \
             and connecting"
                .to_owned(),
        );
    }
    notes
}
