//! Every metric with tag, header, unit, kind, order, console group, conditions, formula and source.
//!
//! Names, units, orders and groups are AIPerf's (so that its readers and a user's scripts find what they
//! look for); metrics that only tokmeter has are marked [`Source::Tokmeter`]. There is one constant for each
//! tag, in upper case: `time_to_first_token` is [`TIME_TO_FIRST_TOKEN`].

mod table;

pub use table::*;

/// How a metric comes to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// One value for each request; summarised as a distribution.
    Record,
    /// One running value of the whole run.
    Aggregate,
    /// Computed at the end from other metrics.
    Derived,
    /// Time-weighted over the run (sweep line).
    TimeWeighted,
}

/// What the value of one record looks like in files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ValueType {
    /// An integer: tokens and counts.
    Int,
    /// A float: times, rates, ratios.
    Float,
    /// A list of floats, one for each event.
    List,
}

/// Table of the console a metric is printed in. The order of the variants is the order of the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Group {
    /// Time-weighted over the whole window, and latency from the intended instant.
    Effective,
    /// Time-weighted over the time in which there was work.
    Active,
    /// Token counts the server reported.
    Usage,
    /// Speculative decoding.
    SpecDecode,
    /// Energy of NVIDIA GPUs.
    GpuNvidia,
    /// Energy of AMD GPUs.
    GpuAmd,
    /// The main table.
    Default,
    /// In files only (or in the HTTP trace table).
    None,
}

/// Who defined the metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// AIPerf 0.13.0, see METRICS.md.
    Aiperf,
    /// Ours.
    Tokmeter,
}

/// Conditions and properties of a metric: a set of the constants below.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags(u32);

impl Flags {
    /// None of them.
    pub const NONE: Flags = Flags(0);
    /// Only for streamed answers.
    pub const STREAMING: Flags = Flags(1);
    /// Only for endpoints that generate tokens.
    pub const PRODUCES_TOKENS: Flags = Flags(1 << 1);
    /// Only for endpoints whose input is tokenised.
    pub const TOKENIZES_INPUT: Flags = Flags(1 << 2);
    /// Compares our count with the server's: off with `--use-server-token-count`.
    pub const USAGE_DIFF: Flags = Flags(1 << 3);
    /// Only with `--goodput`.
    pub const GOODPUT: Flags = Flags(1 << 4);
    /// From the instants of the transport.
    pub const HTTP_TRACE: Flags = Flags(1 << 5);
    /// About failed requests.
    pub const ERROR_ONLY: Flags = Flags(1 << 6);
    /// Never in a file: an input of other metrics.
    pub const INTERNAL: Flags = Flags(1 << 7);
    /// Not in files unless asked for.
    pub const EXPERIMENTAL: Flags = Flags(1 << 8);
    /// More is better: decides the direction of an SLO and of a comparison.
    pub const LARGER_IS_BETTER: Flags = Flags(1 << 9);
    /// A run has it, a record has not.
    pub const NO_INDIVIDUAL_RECORDS: Flags = Flags(1 << 10);
    /// Only when a trace is replayed at its own times.
    pub const FIXED_SCHEDULE: Flags = Flags(1 << 11);
    /// Only for models and endpoints that reason.
    pub const REASONING: Flags = Flags(1 << 12);
    /// Only for inputs with images.
    pub const IMAGE: Flags = Flags(1 << 13);
    /// Only for inputs or outputs with audio.
    pub const AUDIO: Flags = Flags(1 << 14);
    /// Only for endpoints that make video.
    pub const VIDEO: Flags = Flags(1 << 15);
    /// Has an `adj_` twin in which failed requests count as infinitely slow.
    pub const FAILURE_ADJUSTED: Flags = Flags(1 << 16);
    /// A distribution over requests that is computed from a record's metadata, so it is not in record lines.
    pub const SUMMARY_ONLY: Flags = Flags(1 << 17);

    /// All flags of both.
    pub const fn union(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }

    /// Whether every flag of `other` is set.
    pub const fn contains(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any flag of `other` is set.
    pub const fn intersects(self, other: Flags) -> bool {
        self.0 & other.0 != 0
    }
}

/// One row of the catalogue.
#[derive(Debug)]
pub struct MetricDef {
    /// Name in every file.
    pub tag: &'static str,
    /// Name on the console and in the CSV.
    pub header: &'static str,
    /// Short name for narrow tables.
    pub short: &'static str,
    /// Unit in every file. `KB` is 1024 bytes, `ratio` is 0 to 1, `%` is 0 to 100.
    pub unit: &'static str,
    /// How it comes to be.
    pub kind: Kind,
    /// Type of a record's value.
    pub value: ValueType,
    /// Place within its table; without one it comes last.
    pub order: Option<u16>,
    /// Table of the console.
    pub group: Group,
    /// Conditions and properties.
    pub flags: Flags,
    /// Who defined it.
    pub source: Source,
    /// What it means, with its formula.
    pub doc: &'static str,
}

impl MetricDef {
    /// Whether more is better (throughput) rather than less (latency).
    pub const fn larger_is_better(&self) -> bool {
        self.flags.contains(Flags::LARGER_IS_BETTER)
    }

    /// Whether a record line may hold it.
    pub const fn in_records(&self) -> bool {
        !self.flags.intersects(Flags::INTERNAL.union(Flags::EXPERIMENTAL).union(Flags::SUMMARY_ONLY))
    }

    /// Whether a summary may hold it.
    pub const fn in_summary(&self) -> bool {
        !self.flags.intersects(Flags::INTERNAL.union(Flags::EXPERIMENTAL))
    }
}

/// A metric of the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MetricId(pub(crate) u16);

impl MetricId {
    /// Its row.
    pub fn def(self) -> &'static MetricDef {
        &CATALOGUE[self.0 as usize]
    }

    /// Its tag, as files show it.
    pub fn tag(self) -> &'static str {
        self.def().tag
    }

    /// Its row number: smaller than [`MetricId::COUNT`].
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// How many metrics there are.
    pub const COUNT: usize = CATALOGUE.len();

    /// The metric with this tag.
    pub fn from_tag(tag: &str) -> Option<MetricId> {
        BY_TAG
            .binary_search_by(|&row| CATALOGUE[row as usize].tag.cmp(tag))
            .ok()
            .map(|place| MetricId(BY_TAG[place]))
    }

    /// Every metric, in the order of the catalogue.
    pub fn all() -> impl ExactSizeIterator<Item = MetricId> + DoubleEndedIterator {
        (0..CATALOGUE.len() as u16).map(MetricId)
    }
}

/// The failure-adjusted twin of a metric, if it has one.
pub const fn failure_adjusted(id: MetricId) -> Option<MetricId> {
    match id {
        REQUEST_LATENCY => Some(ADJ_REQUEST_LATENCY),
        TIME_TO_FIRST_TOKEN => Some(ADJ_TIME_TO_FIRST_TOKEN),
        DECODE_DURATION => Some(ADJ_DECODE_DURATION),
        INTER_TOKEN_LATENCY => Some(ADJ_INTER_TOKEN_LATENCY),
        _ => None,
    }
}

/// The twin of a metric without the network's round trip, if it has one.
pub const fn network_adjusted(id: MetricId) -> Option<MetricId> {
    match id {
        REQUEST_LATENCY => Some(NETWORK_ADJUSTED_REQUEST_LATENCY),
        TIME_TO_FIRST_TOKEN => Some(NETWORK_ADJUSTED_TIME_TO_FIRST_TOKEN),
        TIME_TO_FIRST_OUTPUT_TOKEN => Some(NETWORK_ADJUSTED_TIME_TO_FIRST_OUTPUT_TOKEN),
        _ => None,
    }
}

/// The sum over all requests of a metric, if there is one.
pub const fn total_of(id: MetricId) -> Option<MetricId> {
    Some(match id {
        INPUT_SEQUENCE_LENGTH => TOTAL_ISL,
        OUTPUT_SEQUENCE_LENGTH => TOTAL_OSL,
        OUTPUT_TOKEN_COUNT => TOTAL_OUTPUT_TOKENS,
        REASONING_TOKEN_COUNT => TOTAL_REASONING_TOKENS,
        ERROR_ISL => TOTAL_ERROR_ISL,
        USAGE_PROMPT_TOKENS => TOTAL_USAGE_PROMPT_TOKENS,
        USAGE_PROMPT_CACHE_READ_TOKENS => TOTAL_USAGE_PROMPT_CACHE_READ_TOKENS,
        USAGE_PROMPT_CACHE_WRITE_TOKENS => TOTAL_USAGE_PROMPT_CACHE_WRITE_TOKENS,
        USAGE_PROMPT_CACHE_MISS_TOKENS => TOTAL_USAGE_PROMPT_CACHE_MISS_TOKENS,
        USAGE_PROMPT_AUDIO_TOKENS => TOTAL_USAGE_PROMPT_AUDIO_TOKENS,
        USAGE_TOOL_USE_PROMPT_TOKENS => TOTAL_USAGE_TOOL_USE_PROMPT_TOKENS,
        USAGE_PROMPT_AUDIO_SECONDS => TOTAL_USAGE_PROMPT_AUDIO_SECONDS,
        USAGE_COMPLETION_TOKENS => TOTAL_USAGE_COMPLETION_TOKENS,
        USAGE_REASONING_TOKENS => TOTAL_USAGE_REASONING_TOKENS,
        USAGE_COMPLETION_AUDIO_TOKENS => TOTAL_USAGE_COMPLETION_AUDIO_TOKENS,
        USAGE_ACCEPTED_PREDICTION_TOKENS => TOTAL_USAGE_ACCEPTED_PREDICTION_TOKENS,
        USAGE_REJECTED_PREDICTION_TOKENS => TOTAL_USAGE_REJECTED_PREDICTION_TOKENS,
        USAGE_TOTAL_TOKENS => TOTAL_USAGE_TOTAL_TOKENS,
        SPEC_DECODE_STEPS => TOTAL_SPEC_DECODE_STEPS,
        SPEC_DECODE_ACCEPTED_DRAFT_TOKENS => TOTAL_ACCEPTED_DRAFT_TOKENS,
        SPEC_DECODE_DRAFT_TOKENS => TOTAL_DRAFT_TOKENS,
        _ => return None,
    })
}

/// The tag most like a mistyped one, if any is near (Levenshtein distance up to a third of its length).
pub fn nearest_tag(tag: &str) -> Option<&'static str> {
    if tag.len() > 80 {
        return None;
    }
    MetricId::all()
        .filter(|id| id.def().in_summary())
        .map(|id| (distance(tag, id.tag()), id.tag()))
        .min()
        .filter(|(edits, near)| *edits <= near.len() / 3)
        .map(|(_, near)| near)
}

fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let keep = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = keep.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

/// Row numbers sorted by tag.
static BY_TAG: [u16; CATALOGUE.len()] = rows_by_tag();

const fn rows_by_tag() -> [u16; CATALOGUE.len()] {
    let mut rows = [0u16; CATALOGUE.len()];
    let mut sorted = 0;
    while sorted < rows.len() {
        let mut place = sorted;
        while place > 0 && less(CATALOGUE[sorted].tag, CATALOGUE[rows[place - 1] as usize].tag) {
            rows[place] = rows[place - 1];
            place -= 1;
        }
        rows[place] = sorted as u16;
        sorted += 1;
    }
    rows
}

const fn less(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut i = 0;
    while i < a.len() && i < b.len() {
        if a[i] != b[i] {
            return a[i] < b[i];
        }
        i += 1;
    }
    a.len() < b.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tag_is_found_and_unique() {
        for id in MetricId::all() {
            assert_eq!(MetricId::from_tag(id.tag()), Some(id), "{}", id.tag());
        }
        assert_eq!(MetricId::from_tag("time_to_first"), None);
        assert_eq!(MetricId::from_tag(""), None);
        assert_eq!(TIME_TO_FIRST_TOKEN.tag(), "time_to_first_token");
    }

    #[test]
    fn every_row_is_complete_and_plausible() {
        for id in MetricId::all() {
            let def = id.def();
            assert!(
                def.tag.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'),
                "{}",
                def.tag
            );
            assert!(!def.header.is_empty() && !def.short.is_empty() && !def.unit.is_empty(), "{}", def.tag);
            assert!(def.doc.len() > 15, "{}", def.tag);
            if def.value == ValueType::Int {
                assert!(!matches!(def.unit, "ms" | "sec"), "{} is written as a float", def.tag);
            }
            let adjusted = MetricId::from_tag(&format!("adj_{}", def.tag));
            assert_eq!(adjusted.is_some(), def.flags.contains(Flags::FAILURE_ADJUSTED), "{}", def.tag);
        }
    }
}
