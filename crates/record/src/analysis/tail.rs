//! Why the slowest requests were slow: the phase that is out of line with the median, and what was special about
//! the request, its connection and the server at that moment.

use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, HashMap};

use serde::Serialize;

use crate::analysis::columns::{Column, Rows, Summaries};
use crate::analysis::gauges::{GaugeAt, GaugeKind, GaugeSeries};
use crate::analysis::line::Line;
use crate::analysis::observation::{Facts, Observation};
use crate::analysis::report::Report;

mod lift;

pub use lift::Lift;

/// Connections whose opening instant is remembered, to tell the age of a slow request's connection.
const REMEMBERED_CONNECTIONS: usize = 200_000;

/// A phase of a slow request beside the same phase of the others.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PhaseShare {
    /// Name of the phase.
    pub phase: &'static str,
    /// Its duration in this request, ms.
    pub value_ms: f64,
    /// Its median, ms; 0 when most requests do not have it.
    pub median_ms: f64,
    /// Share of what this request took beyond the median, %.
    pub excess_pct: f64,
}

/// One of the slowest requests, explained.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SlowRequest {
    /// Where it stands: the input.
    pub source: String,
    /// Where it stands: the line, from 1.
    pub line: u64,
    /// `x_request_id`, to find it in server logs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub x_request_id: Option<String>,
    /// `conversation_id`, to find its input in inputs.json.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversation_id: Option<String>,
    /// Turn within the conversation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub turn_index: Option<u32>,
    /// Its latency, ms.
    pub latency_ms: f64,
    /// Its latency over the median latency.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub times_median: Option<f64>,
    /// Phases, the most out of line first.
    pub phases: Vec<PhaseShare>,
    /// Why, in words, the most telling first.
    pub reasons: Vec<String>,
    /// Input tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_tokens: Option<u64>,
    /// Output tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<u64>,
    /// Whether it opened its connection.
    pub new_connection: bool,
    /// Which request of its connection it was, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_request_number: Option<u64>,
    /// Age of its connection when it began, ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_age_ms: Option<f64>,
    /// Attempts that failed before.
    pub failed_attempts: u64,
    /// Longest gap between two chunks, ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub longest_gap_ms: Option<f64>,
    /// The chunk before that gap, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub longest_gap_after_chunk: Option<u64>,
    /// Chunks or events that arrived together with the one before.
    pub coalesced: u64,
    /// How late the client itself read, at worst, ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_recv_lag_ms: Option<f64>,
    /// How late it started behind the schedule, ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_delay_ms: Option<f64>,
    /// Status code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Type of its error, when it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What the server said of itself when it began.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gauges: Vec<GaugeAt>,
}

/// The slowest requests and what they have in common.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TailReport {
    /// Median latency, ms: what the slow ones are compared with.
    pub median_latency_ms: f64,
    /// The slowest first.
    pub requests: Vec<SlowRequest>,
    /// What is more frequent among the slowest 1 % than among the others.
    pub lifts: Vec<Lift>,
}

/// What is kept of a candidate while lines are read.
#[derive(Clone, Debug)]
struct Candidate {
    latency: u64,
    row: Observation,
    source: String,
    line: u64,
    x_request_id: Option<String>,
    conversation_id: Option<String>,
    turn_index: Option<u32>,
    connection_id: Option<u64>,
    failed_attempts: u64,
    longest_gap: Option<(f64, u64)>,
    coalesced: u64,
    client_recv_lag: Option<u64>,
    error: Option<String>,
}

impl Candidate {
    fn key(&self) -> (u64, Reverse<(&str, u64)>) {
        (self.latency, Reverse((self.source.as_str(), self.line)))
    }
}

impl PartialEq for Candidate {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Candidate {}
impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

/// The slowest requests so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Slowest {
    wanted: usize,
    heap: BinaryHeap<Reverse<Candidate>>,
    /// When each connection was opened, ns.
    opened: HashMap<u64, u64>,
}

impl Slowest {
    pub(crate) fn new(wanted: usize) -> Self {
        Slowest { wanted, ..Slowest::default() }
    }

    pub(crate) fn offer(&mut self, row: &Observation, line: &Line, source: &str, number: u64) {
        if self.wanted == 0 {
            return;
        }
        let connection_id = line.trace.as_ref().and_then(|trace| trace.connection.as_ref()?.connection_id);
        if let (Some(id), Some(opened)) =
            (connection_id, line.trace.as_ref().and_then(|trace| trace.tcp_connect_end_ns))
            && self.opened.len() < REMEMBERED_CONNECTIONS
        {
            self.opened.entry(id).or_insert(opened);
        }
        let Some(latency) = row.latency() else { return };
        if self.heap.len() >= self.wanted && self.heap.peek().is_some_and(|least| latency < least.0.latency) {
            return;
        }
        self.push(candidate(row, line, source, number, latency, connection_id));
    }

    pub(crate) fn merge(&mut self, other: Slowest) {
        for (id, opened) in other.opened {
            self.opened.entry(id).and_modify(|known| *known = (*known).min(opened)).or_insert(opened);
        }
        for Reverse(candidate) in other.heap {
            self.push(candidate);
        }
    }

    fn push(&mut self, candidate: Candidate) {
        self.heap.push(Reverse(candidate));
        if self.heap.len() > self.wanted {
            self.heap.pop();
        }
    }
}

fn candidate(
    row: &Observation,
    line: &Line,
    source: &str,
    number: u64,
    latency: u64,
    connection_id: Option<u64>,
) -> Candidate {
    let owned =
        |text: &Option<crate::analysis::line::Text>| text.as_ref().map(|text| text.0.clone().into_owned());
    let gaps: Vec<f64> = match &line.trace {
        Some(trace) if !trace.response_chunks.is_empty() => {
            trace.response_chunks.windows(2).map(|pair| pair[1].0.saturating_sub(pair[0].0) as f64).collect()
        }
        _ => {
            let slot = crate::analysis::line::TAGS.iter().position(|tag| *tag == "inter_chunk_latency");
            let list = slot.and_then(|slot| line.metrics.list(slot)).unwrap_or_default();
            list.into_iter().map(|ms| ms * 1e6).collect()
        }
    };
    let longest_gap = gaps
        .iter()
        .enumerate()
        .max_by(|a, b| a.1.total_cmp(b.1))
        .map(|(index, gap)| (*gap, index as u64 + 1));
    Candidate {
        latency,
        row: *row,
        source: source.to_owned(),
        line: number,
        x_request_id: owned(&line.metadata.x_request_id),
        conversation_id: owned(&line.metadata.conversation_id),
        turn_index: line.metadata.turn_index,
        connection_id,
        failed_attempts: line.trace.as_ref().map_or(0, |trace| trace.attempts.len() as u64),
        longest_gap,
        coalesced: gaps.iter().filter(|gap| **gap == 0.0).count() as u64,
        client_recv_lag: line.trace.as_ref().and_then(|trace| trace.client_recv_lag_ns),
        error: line.error.as_ref().and_then(|error| owned(&error.kind)),
    }
}

/// Medians of all records, ns, that slow ones are compared with.
struct Medians {
    latency: f64,
    phases: [(&'static str, f64); 6],
    input_tokens: Option<f64>,
    output_tokens: Option<f64>,
    gap: Option<f64>,
}

impl Medians {
    fn of(summaries: &Summaries, report: &Report) -> Option<Medians> {
        let latency = summaries.of(Column::Latency)?;
        let all = latency.count;
        // A phase that most requests do not have at all is usually 0.
        let phase = |column| {
            summaries.of(column).filter(|summary| 2 * summary.count >= all).map_or(0.0, |summary| summary.p50)
        };
        Some(Medians {
            latency: latency.p50,
            phases: [
                ("blocked", phase(Column::Blocked)),
                ("dns_lookup", phase(Column::DnsLookup)),
                ("connecting", phase(Column::Connecting)),
                ("sending", phase(Column::Sending)),
                ("waiting", phase(Column::Ttfb)),
                ("receiving", phase(Column::Receiving)),
            ],
            input_tokens: report.tokens.input.as_ref().map(|tokens| tokens.p50),
            output_tokens: report.tokens.output.as_ref().map(|tokens| tokens.p50),
            gap: report.streaming.inter_chunk_latency.as_ref().map(|gaps| gaps.p50 * 1e6),
        })
    }
}

/// Explains the slowest requests; `None` when none were asked for or there is nothing to explain.
pub(super) fn explain(
    slowest: Slowest,
    rows: &Rows,
    summaries: &Summaries,
    report: &Report,
    gauges: &GaugeSeries,
) -> Option<TailReport> {
    if slowest.wanted == 0 {
        return None;
    }
    let medians = Medians::of(summaries, report)?;
    let mut candidates: Vec<Candidate> =
        slowest.heap.into_iter().map(|Reverse(candidate)| candidate).collect();
    candidates.sort_by(|a, b| b.cmp(a));
    let requests = candidates
        .into_iter()
        .map(|candidate| slow_request(candidate, &medians, &slowest.opened, gauges))
        .collect();
    Some(TailReport { median_latency_ms: medians.latency / 1e6, requests, lifts: lift::of(rows) })
}

fn slow_request(
    candidate: Candidate,
    medians: &Medians,
    opened: &HashMap<u64, u64>,
    gauges: &GaugeSeries,
) -> SlowRequest {
    let row = candidate.row;
    let values = [
        row.blocked.get(),
        row.dns.get(),
        row.connecting.get(),
        row.sending.get(),
        row.ttfb.get(),
        row.receiving(),
    ];
    let excess = candidate.latency as f64 - medians.latency;
    let mut phases: Vec<PhaseShare> = medians
        .phases
        .iter()
        .zip(values)
        .filter_map(|((phase, median), value)| {
            let value = value? as f64;
            let share = if excess > 0.0 { 100.0 * (value - median) / excess } else { 0.0 };
            Some(PhaseShare { phase, value_ms: value / 1e6, median_ms: median / 1e6, excess_pct: share })
        })
        .collect();
    phases.sort_by(|a, b| b.excess_pct.total_cmp(&a.excess_pct));
    let opened_ns = candidate.connection_id.and_then(|id| opened.get(&id).copied());
    let age = opened_ns.filter(|opened| *opened <= row.start_ns).map(|opened| row.start_ns - opened);
    let mut request = SlowRequest {
        latency_ms: candidate.latency as f64 / 1e6,
        times_median: (medians.latency > 0.0).then(|| candidate.latency as f64 / medians.latency),
        phases,
        reasons: Vec::new(),
        input_tokens: row.input_tokens.get(),
        output_tokens: row.output_tokens.get(),
        new_connection: row.facts.has(Facts::CREATED),
        connection_request_number: row.request_number.get(),
        connection_age_ms: age.map(|ns| ns as f64 / 1e6),
        failed_attempts: candidate.failed_attempts,
        longest_gap_ms: candidate.longest_gap.map(|(gap, _)| gap / 1e6),
        longest_gap_after_chunk: candidate.longest_gap.map(|(_, chunk)| chunk),
        coalesced: candidate.coalesced,
        client_recv_lag_ms: candidate.client_recv_lag.map(|ns| ns as f64 / 1e6),
        start_delay_ms: row.start_delay.get().map(|ns| ns as f64 / 1e6),
        status: (row.status != 0).then_some(row.status),
        error: candidate.error,
        gauges: if row.start_ns > 0 { gauges.at(row.start_ns) } else { Vec::new() },
        source: candidate.source,
        line: candidate.line,
        x_request_id: candidate.x_request_id,
        conversation_id: candidate.conversation_id,
        turn_index: candidate.turn_index,
    };
    request.reasons = reasons(&request, medians);
    request
}

/// A latency below this many times the median is ordinary and gets no reasons.
const WORTH_EXPLAINING: f64 = 1.1;

/// A count of tokens that is out of line: at least this many times the median.
const OUT_OF_LINE: f64 = 1.5;

fn reasons(request: &SlowRequest, medians: &Medians) -> Vec<String> {
    let mut reasons = Vec::new();
    let excess = request.latency_ms - medians.latency / 1e6;
    if request.times_median.is_some_and(|times| times < WORTH_EXPLAINING) {
        return reasons;
    }
    let times = |value: f64, median: f64| format!("{:.1}x the median", value / median);
    let input = request.input_tokens.zip(medians.input_tokens).map(|(own, median)| (own as f64, median));
    let output = request.output_tokens.zip(medians.output_tokens).map(|(own, median)| (own as f64, median));
    for phase in request.phases.iter().filter(|phase| phase.excess_pct >= 10.0) {
        let median = if phase.median_ms > 0.0 {
            times(phase.value_ms, phase.median_ms)
        } else {
            "usually none".to_owned()
        };
        let mut reason = format!(
            "{} took {:.2}ms ({median}): {:.0}% of the excess",
            phase.phase,
            phase.value_ms,
            phase.excess_pct.min(100.0)
        );
        match phase.phase {
            "waiting" => {
                if let Some((own, median)) =
                    input.filter(|(own, median)| *median > 0.0 && own / median >= OUT_OF_LINE)
                {
                    reason.push_str(&format!("; its input of {own} tokens is {}", times(own, median)));
                }
            }
            "receiving" => {
                match output.filter(|(own, median)| *median > 0.0 && own / median >= OUT_OF_LINE) {
                    Some((own, median)) => {
                        reason.push_str(&format!("; its output of {own} tokens is {}", times(own, median)));
                    }
                    None => {
                        if let (Some(gap), Some(after)) =
                            (request.longest_gap_ms, request.longest_gap_after_chunk)
                            && gap >= excess * 0.25
                        {
                            let median = medians.gap.filter(|gap| *gap > 0.0);
                            let beside =
                                median.map_or(String::new(), |ns| format!(" ({})", times(gap, ns / 1e6)));
                            reason.push_str(&format!("; one gap of {gap:.2}ms{beside} after chunk {after}"));
                        }
                    }
                }
            }
            _ => {}
        }
        reasons.push(reason);
    }
    for gauge in &request.gauges {
        let out_of_line = match gauge.kind {
            GaugeKind::Queue => gauge.value > 0.0 && gauge.value >= gauge.median * OUT_OF_LINE,
            GaugeKind::Running => false,
            GaugeKind::CacheUse => gauge.value >= 0.95,
        };
        if out_of_line {
            reasons
                .push(format!("{} was {} when it began (median {})", gauge.name, gauge.value, gauge.median));
        }
    }
    if request.failed_attempts > 0 {
        reasons.push(format!("{} attempt(s) failed before this one", request.failed_attempts));
    }
    if let Some(lag) = request.client_recv_lag_ms.filter(|lag| *lag >= excess * 0.1) {
        reasons
            .push(format!("the client itself read up to {lag:.2}ms late: part of this is not the server's"));
    }
    if let Some(error) = &request.error {
        reasons.push(format!("it failed: {error}"));
    }
    if reasons.is_empty() && request.phases.is_empty() {
        reasons.push("no trace_data and no http_req_* metrics: the phases are unknown".to_owned());
    }
    reasons
}
