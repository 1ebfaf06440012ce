//! What a run counts about itself beside the metrics: token sources, retries, coalesced reads, oddities.

use std::collections::BTreeMap;

use serde::Serialize;
use tokmeter_record::trace::StampSource;
use tokmeter_record::{BenchmarkPhase, RequestRecord};

use crate::decode::{Notes, TokenSource};
use crate::truth::TokenTruth;

/// Counts over all profiling records of a run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RunNotes {
    /// Records by the source of their token counts.
    pub token_sources: BTreeMap<TokenSource, u64>,
    /// Streams that ended with `[DONE]`, but without a finish reason.
    pub done_without_finish: u64,
    /// Events of all streams.
    pub events: u64,
    /// Events that shared their read with an earlier one: their stamp is the last segment's.
    pub coalesced_events: u64,
    /// Reads that held more than one event.
    pub coalesced_reads: u64,
    /// Events with content.
    pub content_events: u64,
    /// Events with content that shared their read with the one before: their distance is not known.
    pub coalesced_content_events: u64,
    /// Answers by the source of their receive stamps, the worst of each answer.
    pub stamp_sources: BTreeMap<StampSource, u64>,
    /// Requests that were sent again on a new connection, because a kept-alive one was dead.
    pub retried_requests: u64,
    /// Lengths and cache, asked and measured; told apart from these counts.
    #[serde(skip)]
    pub tokens: TokenTruth,
}

impl RunNotes {
    /// Share of the reads with events that held more than one, 0 to 1.
    pub fn coalesced_read_share(&self) -> f64 {
        let reads = self.events.saturating_sub(self.coalesced_events);
        if reads == 0 { 0.0 } else { self.coalesced_reads as f64 / reads as f64 }
    }

    pub(crate) fn add(&mut self, record: &RequestRecord, notes: &Notes) {
        if record.metadata.benchmark_phase != BenchmarkPhase::Profiling {
            return;
        }
        if let Some(source) = notes.token_source {
            *self.token_sources.entry(source).or_default() += 1;
        }
        self.content_events += u64::from(notes.content_events);
        self.coalesced_content_events += u64::from(notes.coalesced_content_events);
        if let Some(source) = notes.stamp_source {
            *self.stamp_sources.entry(source).or_default() += 1;
        }
        self.done_without_finish += u64::from(notes.done_without_finish);
        self.events += u64::from(notes.events);
        self.coalesced_events += u64::from(notes.coalesced_events);
        self.coalesced_reads += u64::from(notes.coalesced_reads);
        self.retried_requests += u64::from(notes.retried);
        if let Some(tokens) = &notes.tokens {
            self.tokens.add(tokens);
        }
    }
}
