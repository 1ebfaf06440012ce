//! What is told of a merged run: its tables, its ranks, their starts and their clocks.

use serde::Serialize;
use tokmeter_record::ranks::{ClockOffset, RankFacts, RankStart};
use tokmeter_record::time::Instant as _;

use super::Merged;
use super::parts::Part;
use crate::commands::profile::verdict;
use crate::console::number::integer;
use crate::console::{harmless, summary, table};

/// A clock that is known to be this far from that of rank 0 shifts its records visibly, ms.
const CLOCK_OFFSET_MS: f64 = 5.0;

/// One rank, as the merged summary shows it.
#[derive(Clone, Debug, Serialize)]
pub struct Rank {
    /// Where it was read from.
    directory: String,
    /// Records of any phase and outcome.
    records: u64,
    /// How much later it began than it should: than `--start-at`, or else than the first rank, ms.
    late_ms: Option<f64>,
    /// Whether that is above the threshold.
    late: bool,
    /// Its clock against that of the first part; absent where they have no reference in common.
    #[serde(skip_serializing_if = "Option::is_none")]
    clock_against_first: Option<ClockOffset>,
    /// What it says of itself.
    #[serde(flatten)]
    facts: RankFacts,
}

/// Compares the ranks' starts and clocks.
pub fn ranks(parts: &[Part], records: &[u64], late_threshold_ms: f64) -> Vec<Rank> {
    let first_start = parts.iter().filter_map(|part| part.facts.start.actual_ns).min();
    let rank = |(part, records): (&Part, &u64)| {
        let RankStart { intended_ns, actual_ns, late_ms } = part.facts.start;
        let after_first = || Some(actual_ns?.since(first_start?) as f64 / 1e6);
        let late_ms = if intended_ns.is_some() { late_ms } else { after_first() };
        Rank {
            directory: part.names.directory().display().to_string(),
            records: *records,
            late_ms,
            late: late_ms.is_some_and(|late| late > late_threshold_ms),
            clock_against_first: part.facts.clock_ahead_of(&parts[0].facts),
            facts: part.facts.clone(),
        }
    };
    parts.iter().zip(records).map(rank).collect()
}

/// All tables and remarks.
pub fn text(merged: &Merged, width: u16) -> String {
    let metrics = &merged.summary.metrics;
    let mut parts = vec![summary::metrics(metrics, "tokmeter | merged run", width)];
    if !merged.summary.errors.is_empty() {
        parts.push(summary::errors(&merged.summary.errors, width));
    }
    parts.push(rank_table(&merged.ranks, width));
    let counts = merged.summary.counts;
    parts.push(format!(
        "{} requests of {} ranks: {} succeeded, {} failed, {} cancelled{}\n",
        integer(counts.completed()),
        merged.ranks.len(),
        integer(counts.succeeded),
        integer(counts.failed - counts.cancelled),
        integer(counts.cancelled),
        summary::receive_lag(metrics),
    ));
    parts.push(verdict::lines(&merged.verdict).join("\n") + "\n");
    let notes = merged.summary.notes.iter().cloned().chain(remarks(merged));
    parts.push(notes.map(|note| format!("note: {}\n", harmless(&note))).collect());
    parts.join("\n")
}

fn rank_table(ranks: &[Rank], width: u16) -> String {
    let row = |rank: &Rank| {
        let clock = rank.clock_against_first.map_or("unknown".to_owned(), |clock| {
            format!("{:+.1} ±{:.1}", clock.ahead_ms, clock.uncertainty_ms)
        });
        let late = rank.late_ms.map_or("not begun".to_owned(), |late| format!("{late:.1}"));
        let host = rank.facts.host.as_deref().map_or_else(String::new, |host| harmless(host).into_owned());
        vec![rank.facts.rank.to_string(), host, integer(rank.records), late, clock]
    };
    let header = ["Rank", "Host", "Records", "Start late (ms)", "Clock against first (ms)"];
    table::render("Ranks", &header, &ranks.iter().map(row).collect::<Vec<_>>(), width)
}

fn remarks(merged: &Merged) -> Vec<String> {
    let numbers = |wanted: &dyn Fn(&Rank) -> bool| -> Option<String> {
        let found = merged.ranks.iter().filter(|rank| wanted(rank)).map(|rank| rank.facts.rank.to_string());
        let found: Vec<_> = found.collect();
        (!found.is_empty()).then(|| found.join(", "))
    };
    let mut remarks = Vec::new();
    if let Some(missing) = merged.missing() {
        remarks.push(format!("ranks {missing} are missing: load and rates are those of the others"));
    }
    if let Some(late) = numbers(&|rank| rank.late) {
        remarks.push(format!("ranks {late} began late: at first the load was less than asked for"));
    }
    let shifted = |rank: &Rank| {
        rank.clock_against_first
            .is_some_and(|clock| clock.ahead_ms.abs() > clock.uncertainty_ms + CLOCK_OFFSET_MS)
    };
    if let Some(shifted) = numbers(&shifted) {
        remarks.push(format!(
            "the clocks of ranks {shifted} differ from that of the first: their records are shifted against the others; \
             latencies are not affected"
        ));
    }
    if let Some(unset) = numbers(&|rank| rank.facts.clock.synchronized == Some(false)) {
        remarks.push(format!("the clocks of ranks {unset} are not synchronized"));
    }
    if let Some(unknown) = numbers(&|rank| rank.clock_against_first.is_none()) {
        remarks.push(format!(
            "how far the clocks of ranks {unknown} are from that of the first is not known: there is neither a common \
             machine nor a common file server to compare them with"
        ));
    }
    remarks
}
