//! What the slowest 1 % have in common: traits that are more frequent among them than among the others.

use serde::Serialize;

use crate::analysis::columns::Rows;
use crate::analysis::distribution::nearest_rank;
use crate::analysis::observation::{Facts, Observation};

/// Requests needed before anything is said about 1 % of them.
const LEAST_REQUESTS: usize = 200;

/// A trait and how much more frequent it is among the slowest requests.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Lift {
    /// The trait.
    pub name: &'static str,
    /// Share among the slowest 1 %, %.
    pub among_slowest_pct: f64,
    /// Share among all others, %.
    pub among_others_pct: f64,
    /// The one over the other; absent when no other request has the trait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lift: Option<f64>,
}

type Trait = (&'static str, Box<dyn Fn(&Observation) -> bool>);

/// The 90th percentile of a count over all rows, `None` when it is unknown for most.
fn p90(rows: &Rows, count: impl Fn(&Observation) -> Option<u64>) -> Option<u64> {
    let mut values: Vec<u64> = rows.iter().filter_map(count).collect();
    if values.is_empty() {
        return None;
    }
    let rank = nearest_rank(values.len(), 90.0);
    let (_, value, _) = values.select_nth_unstable(rank);
    Some(*value)
}

/// Traits whose share among the slowest 1 % is at least twice that among the others; the most telling first. Empty
/// when there are too few requests, or more than are kept one by one.
pub(super) fn of(rows: &Rows) -> Vec<Lift> {
    let mut latencies: Vec<u64> = rows.iter().filter_map(Observation::latency).collect();
    if latencies.len() < LEAST_REQUESTS {
        return Vec::new();
    }
    let rank = nearest_rank(latencies.len(), 99.0);
    let (_, bound, _) = latencies.select_nth_unstable(rank);
    let bound = *bound;

    let mut traits: Vec<Trait> = vec![
        ("opened a new connection", Box::new(|row| row.facts.has(Facts::CREATED))),
        ("waited for a connection", Box::new(|row| row.blocked.get().is_some_and(|ns| ns > 0))),
        ("needed a second attempt", Box::new(|row| row.facts.has(Facts::RETRIED))),
        ("failed", Box::new(|row| row.facts.has(Facts::FAILED))),
        ("first request on its connection", Box::new(|row| row.request_number.get() == Some(1))),
    ];
    if let Some(long) = p90(rows, |row| row.input_tokens.get()) {
        traits.push((
            "input longer than 90% of all",
            Box::new(move |row| row.input_tokens.get().is_some_and(|count| count > long)),
        ));
    }
    if let Some(long) = p90(rows, |row| row.output_tokens.get()) {
        traits.push((
            "output longer than 90% of all",
            Box::new(move |row| row.output_tokens.get().is_some_and(|count| count > long)),
        ));
    }
    if let Some(late) = p90(rows, |row| row.start_delay.get()) {
        traits.push((
            "started later behind the schedule than 90% of all",
            Box::new(move |row| row.start_delay.get().is_some_and(|ns| ns > late)),
        ));
    }

    let (mut slow, mut others) = (0u64, 0u64);
    let mut counts = vec![(0u64, 0u64); traits.len()];
    for row in rows.iter() {
        let Some(latency) = row.latency() else { continue };
        let is_slow = latency >= bound;
        *(if is_slow { &mut slow } else { &mut others }) += 1;
        for ((_, holds), (among_slow, among_others)) in traits.iter().zip(&mut counts) {
            if holds(row) {
                *(if is_slow { among_slow } else { among_others }) += 1;
            }
        }
    }
    if slow == 0 || others == 0 {
        return Vec::new();
    }
    let mut lifts: Vec<Lift> = traits
        .iter()
        .zip(counts)
        .filter_map(|((name, _), (among_slow, among_others))| {
            let slow_share = 100.0 * among_slow as f64 / slow as f64;
            let other_share = 100.0 * among_others as f64 / others as f64;
            // One request alone is no pattern.
            (among_slow >= 2 && slow_share >= 2.0 * other_share).then(|| Lift {
                name,
                among_slowest_pct: slow_share,
                among_others_pct: other_share,
                lift: (other_share > 0.0).then(|| slow_share / other_share),
            })
        })
        .collect();
    lifts.sort_by(|a, b| {
        b.lift.unwrap_or(f64::INFINITY).total_cmp(&a.lift.unwrap_or(f64::INFINITY)).then(a.name.cmp(b.name))
    });
    lifts
}
