//! The verdict of a merged run: latencies and counts of all records, and of what each machine says of itself the
//! worst.

use tokmeter_record::statistics::RunSummary;
use tokmeter_record::verdict::Evidence;

use super::parts::Part;
use crate::commands::profile::verdict::of_summary;

/// Gathers the evidence.
pub fn of_parts(parts: &[Part], summary: &RunSummary) -> Evidence {
    let each: Vec<Evidence> = parts.iter().map(Part::evidence).collect();
    joined(&each, summary)
}

fn joined(each: &[Evidence], summary: &RunSummary) -> Evidence {
    let worst = |of: fn(&Evidence) -> Option<f64>| each.iter().filter_map(of).reduce(f64::max);
    let sum = |of: fn(&Evidence) -> Option<f64>| each.iter().map(of).sum::<Option<f64>>();
    let total = |of: fn(&Evidence) -> u64| each.iter().map(of).sum::<u64>();
    // Shares of prompt tokens, each rank as heavy as its requests.
    let weighted = |of: fn(&Evidence) -> Option<f64>| {
        let known = || each.iter().filter_map(|one| Some((of(one)?, one.requests as f64)));
        let weight: f64 = known().map(|(_, requests)| requests).sum();
        (weight > 0.0).then(|| known().map(|(share, requests)| share * requests).sum::<f64>() / weight)
    };
    Evidence {
        shard_busy: worst(|one| one.shard_busy),
        core_wait_ms: worst(|one| one.core_wait_ms),
        unread_high_bytes: each.iter().filter_map(|one| one.unread_high_bytes).max(),
        throttled_share: worst(|one| one.throttled_share),
        steal_share: worst(|one| one.steal_share),
        decode_stalls: total(|one| one.decode_stalls),
        decode_backlog_high: each.iter().map(|one| one.decode_backlog_high).max().unwrap_or(0),
        asked_rate: sum(|one| one.asked_rate),
        delivered_rate: sum(|one| one.delivered_rate),
        cached_share: weighted(|one| one.cached_share),
        cached_share_asked: weighted(|one| one.cached_share_asked),
        slot_waits: total(|one| one.slot_waits),
        requests: total(|one| one.requests),
        clock_step_ms: worst(|one| one.clock_step_ms.map(f64::abs)),
        calibrated_error_p99_ms: worst(|one| one.calibrated_error_p99_ms),
        ..of_summary(summary)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_machine_speaks_for_all() {
        let one = Evidence {
            shard_busy: Some(0.2),
            asked_rate: Some(50.0),
            delivered_rate: Some(50.0),
            requests: 300,
            cached_share: Some(0.1),
            clock_step_ms: Some(1.0),
            decode_stalls: 2,
            ..Evidence::default()
        };
        let other = Evidence {
            shard_busy: Some(0.9),
            delivered_rate: Some(40.0),
            requests: 100,
            cached_share: Some(0.5),
            clock_step_ms: Some(-7.0),
            ..one.clone()
        };
        let all = joined(&[one.clone(), other], &RunSummary::default());
        assert_eq!((all.shard_busy, all.clock_step_ms), (Some(0.9), Some(7.0)));
        assert_eq!((all.asked_rate, all.delivered_rate), (Some(100.0), Some(90.0)));
        assert_eq!((all.requests, all.decode_stalls), (400, 4));
        assert!((all.cached_share.expect("known") - 0.2).abs() < 1e-12);
        let closed = Evidence { asked_rate: None, ..one.clone() };
        assert_eq!(joined(&[one, closed], &RunSummary::default()).asked_rate, None);
    }
}
