//! Trace analysis of finished runs: the figures of seed 001, what they mean, and why the slowest requests were slow.
//!
//! An [`Analysis`] is fed lines of `profile_export.jsonl` (ours or AIPerf's, with or without `trace_data`) in one
//! pass and holds a fixed-size row for each record up to a bound; beyond it, histograms. Parts that were fed
//! apart, by several threads or machines, are merged without loss. [`Analysis::finish`] gives a [`Report`], which
//! serialises to JSON and is laid out as text by [`text::write`] and as CSV by [`table::write_csv`].
//!
//! ```
//! use tokmeter_record::analysis::{Analysis, Options};
//!
//! let mut analysis = Analysis::new(Options::default());
//! let line = br#"{"metadata":{"request_start_ns":1},"metrics":{"request_latency":{"value":5.0,"unit":"ms"}}}"#;
//! analysis.line("example", 1, line);
//! assert_eq!(analysis.finish().overview.total_records, 1);
//! ```

mod columns;
pub mod compare;
pub mod confidence;
pub mod distribution;
mod figures;
pub mod filter;
pub mod gate;
pub mod gauges;
pub mod insights;
mod line;
mod observation;
pub mod quantity;
pub mod report;
pub mod run_file;
pub mod run_sample;
pub mod slo;
pub mod source;
pub mod statistic;
pub mod table;
pub mod tail;
pub mod text;
pub mod verdict;

pub use distribution::Summary;
pub use filter::Filter;
pub use report::Report;

use columns::Rows;
use distribution::Distribution;
use gauges::GaugeSeries;
use line::{Layout, Line};
use observation::{Facts, LineReader, Observation};
use report::{BadLine, GapSource, LineCounts, Overview};
use tail::Slowest;

/// Bad lines that are named; the others are only counted.
const NAMED_BAD_LINES: usize = 10;

/// Longest line that is read; a longer one is counted as bad instead of filling memory.
pub const MAX_LINE_BYTES: usize = 64 * 1024 * 1024;

/// What to analyse and how much to keep.
#[derive(Clone, Debug)]
pub struct Options {
    /// Only records for which this holds.
    pub filter: Option<Filter>,
    /// Whether warmup records enter the figures.
    pub include_warmup: bool,
    /// How many of the slowest requests to explain.
    pub slowest: usize,
    /// Records kept one by one (about 120 bytes each); beyond it every figure comes from histograms with an error
    /// of at most 0.1 %.
    pub exact_records: usize,
    /// Inter-chunk gaps and chunk sizes kept one by one.
    pub exact_chunks: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            filter: None,
            include_warmup: false,
            slowest: 0,
            exact_records: 1_200_000,
            exact_chunks: 1_000_000,
        }
    }
}

impl Options {
    /// These options for one of `parts` readers, whose results are merged: the bounds are shared among them.
    pub fn shared_by(&self, parts: usize) -> Options {
        let parts = parts.max(1);
        Options {
            exact_records: self.exact_records / parts,
            exact_chunks: self.exact_chunks / parts,
            ..self.clone()
        }
    }
}

/// Counts that need no row.
#[derive(Clone, Debug, Default)]
struct Counts {
    overview: Overview,
    created: u64,
    reused: u64,
    dns_resolutions: u64,
    dns_hits: u64,
    chunk_array_records: u64,
    gap_metric_records: u64,
    coalesced: u64,
    aiohttp: u64,
}

/// An analysis in progress.
#[derive(Clone, Debug)]
pub struct Analysis {
    options: Options,
    reader: LineReader,
    layout: Layout,
    sources: Vec<String>,
    lines: LineCounts,
    counts: Counts,
    rows: Rows,
    gaps: Distribution,
    chunk_sizes: Distribution,
    slowest: Slowest,
}

impl Analysis {
    /// An analysis of nothing yet.
    pub fn new(options: Options) -> Self {
        let tags = options.filter.as_ref().map(Filter::tags).unwrap_or_default();
        Analysis {
            reader: LineReader::new(tags.iter().map(String::as_str)),
            layout: Layout::default(),
            sources: Vec::new(),
            lines: LineCounts::default(),
            counts: Counts::default(),
            rows: Rows::new(options.exact_records),
            gaps: Distribution::new(options.exact_chunks),
            chunk_sizes: Distribution::new(options.exact_chunks),
            slowest: Slowest::new(options.slowest),
            options,
        }
    }

    /// Feeds whole lines: `block` ends at a line end or at the end of the input, `first_line` (from 1) is the number
    /// of its first line in `source`.
    pub fn block(&mut self, source: &str, first_line: u64, block: &[u8]) {
        let mut rest = block;
        let mut number = first_line;
        while !rest.is_empty() {
            let (line, next) = match memchr::memchr(b'\n', rest) {
                Some(end) => (&rest[..end], &rest[end + 1..]),
                None => (rest, &rest[rest.len()..]),
            };
            self.line(source, number, line);
            rest = next;
            number += 1;
        }
    }

    /// Feeds one line, without its line end. A line that is no record is counted and named, never an error.
    pub fn line(&mut self, source: &str, number: u64, line: &[u8]) {
        if line.trim_ascii().is_empty() {
            self.lines.blank += 1;
            return;
        }
        match Line::parse(line, &self.reader.wanted, &mut self.layout) {
            Ok(parsed) => {
                self.lines.records += 1;
                self.record(source, number, &parsed);
            }
            Err(error) => self.bad_line(source, number, describe(&error)),
        }
    }

    /// Counts and, if it is among the first, names a line that cannot be read.
    pub fn bad_line(&mut self, source: &str, number: u64, reason: String) {
        self.lines.bad += 1;
        if self.lines.bad_lines.len() < NAMED_BAD_LINES {
            self.lines.bad_lines.push(BadLine { source: source.to_owned(), line: number, reason });
        }
    }

    /// Names an input, in the order in which they shall be shown.
    pub fn source(&mut self, name: &str) {
        self.sources.push(name.to_owned());
    }

    /// Adds everything another part has seen. Merge parts in a fixed order for reproducible lists of bad lines.
    pub fn merge(&mut self, other: Analysis) {
        self.options.exact_records += other.options.exact_records;
        self.options.exact_chunks += other.options.exact_chunks;
        self.lines.records += other.lines.records;
        self.lines.blank += other.lines.blank;
        self.lines.bad += other.lines.bad;
        self.lines.bad_lines.extend(other.lines.bad_lines);
        self.lines.bad_lines.sort_unstable();
        self.lines.bad_lines.truncate(NAMED_BAD_LINES);
        for source in other.sources {
            if !self.sources.contains(&source) {
                self.sources.push(source);
            }
        }
        self.counts.merge(&other.counts);
        self.rows.merge(other.rows, self.options.exact_records);
        self.gaps.merge(other.gaps, self.options.exact_chunks);
        self.chunk_sizes.merge(other.chunk_sizes, self.options.exact_chunks);
        self.slowest.merge(other.slowest);
    }

    /// The report.
    pub fn finish(self) -> Report {
        self.finish_with(&GaugeSeries::default())
    }

    /// The report, with what the server said of itself at the time of the slowest requests.
    pub fn finish_with(self, gauges: &GaugeSeries) -> Report {
        figures::report(self, gauges)
    }

    fn record(&mut self, source: &str, number: u64, line: &Line) {
        let row = Observation::of(line, &self.reader.slots);
        let overview = &mut self.counts.overview;
        if row.facts.has(Facts::WARMUP) && !self.options.include_warmup {
            overview.warmup_left_out += 1;
            return;
        }
        if let Some(filter) = &self.options.filter
            && !filter.matches(&|field| filter::value(field, &row, line, &self.reader.wanted))
        {
            overview.filtered_out += 1;
            return;
        }
        overview.total_records += 1;
        if row.has_phases() {
            self.counts.phased(&row);
            self.chunks(line);
        }
        self.slowest.offer(&row, line, source, number);
        self.rows.push(row);
    }

    fn chunks(&mut self, line: &Line) {
        let mut gap = |ns: f64| {
            if ns > 0.0 {
                self.gaps.add(ns);
            } else {
                self.counts.coalesced += 1;
            }
        };
        let chunks = line.trace.as_ref().map_or(&[][..], |trace| &trace.response_chunks);
        if !chunks.is_empty() {
            self.counts.chunk_array_records += 1;
            for pair in chunks.windows(2) {
                gap(pair[1].0.saturating_sub(pair[0].0) as f64);
            }
            for chunk in chunks {
                self.chunk_sizes.add(chunk.1 as f64);
            }
        } else if let Some(gaps_ms) = line.metrics.list(self.reader.slots.chunk_gaps) {
            self.counts.gap_metric_records += 1;
            gaps_ms.iter().for_each(|ms| gap(ms * 1e6));
        }
    }
}

impl Counts {
    fn phased(&mut self, row: &Observation) {
        let facts = row.facts;
        let overview = &mut self.overview;
        overview.traced_records += u64::from(facts.has(Facts::TRACED));
        overview.phase_metric_records += u64::from(facts.has(Facts::PHASE_METRICS));
        overview.streaming += u64::from(row.chunks.get().is_some_and(|count| count > 1));
        overview.non_streaming += u64::from(row.chunks.get() == Some(1));
        overview.failed += u64::from(facts.has(Facts::FAILED));
        self.created += u64::from(facts.has(Facts::CREATED));
        self.reused += u64::from(facts.has(Facts::REUSED));
        self.dns_resolutions += u64::from(row.dns.get().is_some());
        self.dns_hits += u64::from(facts.has(Facts::DNS_HIT));
        self.aiohttp += u64::from(facts.has(Facts::AIOHTTP));
    }

    fn merge(&mut self, other: &Counts) {
        let (own, others) = (&mut self.overview, &other.overview);
        for (own, other) in [
            (&mut own.total_records, others.total_records),
            (&mut own.warmup_left_out, others.warmup_left_out),
            (&mut own.filtered_out, others.filtered_out),
            (&mut own.traced_records, others.traced_records),
            (&mut own.phase_metric_records, others.phase_metric_records),
            (&mut own.streaming, others.streaming),
            (&mut own.non_streaming, others.non_streaming),
            (&mut own.failed, others.failed),
            (&mut self.created, other.created),
            (&mut self.reused, other.reused),
            (&mut self.dns_resolutions, other.dns_resolutions),
            (&mut self.dns_hits, other.dns_hits),
            (&mut self.chunk_array_records, other.chunk_array_records),
            (&mut self.gap_metric_records, other.gap_metric_records),
            (&mut self.coalesced, other.coalesced),
            (&mut self.aiohttp, other.aiohttp),
        ] {
            *own += other;
        }
    }

    fn gap_source(&self) -> Option<GapSource> {
        match (self.chunk_array_records > 0, self.gap_metric_records > 0) {
            (true, true) => Some(GapSource::Mixed),
            (true, false) => Some(GapSource::ResponseChunks),
            (false, true) => Some(GapSource::InterChunkLatencyMetric),
            (false, false) => None,
        }
    }
}

/// Why a line is no record: the column first, because the parser only ever sees one line.
fn describe(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let reason = text.split(" at line ").next().unwrap_or(&text);
    if error.column() == 0 { reason.to_owned() } else { format!("column {}: {reason}", error.column()) }
}

/// The unit that files give a metric; `None` for a metric that is not in the catalogue.
pub(crate) fn metric_unit(tag: &str) -> Option<&'static str> {
    crate::metric::MetricId::from_tag(tag).map(|id| id.def().unit)
}
