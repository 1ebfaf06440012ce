//! Prefill concurrency and the caps of open loops: by the server's log, no more than asked; by the run's own
//! account, nothing lost.

use tokmeter_engine::schedule::{ArrivalPattern, LoadConfig};
use tokmeter_sim::RequestLog;

use crate::harness::{Play, Played, last_write_ns};

/// From the arrival of a request to the write of its first token, by the server's clock.
fn prefill(line: &RequestLog) -> (u64, u64) {
    let first = line.writes.iter().find(|write| write.tokens > 0).expect("every answer has tokens");
    (line.body_received_ns, first.write_start_ns)
}

/// At each arrival: its instant, and how many requests were waiting for their first token then.
fn waiting_at_arrivals(lines: &[&RequestLog]) -> Vec<(u64, usize)> {
    let spans: Vec<_> = lines.iter().map(|line| prefill(line)).collect();
    let waiting = |at: u64| spans.iter().filter(|(from, to)| *from <= at && at < *to).count();
    spans.iter().map(|&(from, _)| (from, waiting(from))).collect()
}

fn most_waiting(played: &Played) -> usize {
    let lines: Vec<_> = played.log.iter().map(|line| &**line).collect();
    waiting_at_arrivals(&lines).into_iter().map(|(_, waiting)| waiting).max().expect("requests")
}

#[test]
fn a_closed_loop_prefills_no_more_at_once_than_asked() {
    let load = LoadConfig {
        concurrency: Some(6),
        prefill_concurrency: Some(2),
        request_count: Some(36),
        ..LoadConfig::default()
    };
    let mut play = Play { load, ..Play::default() }.with_answer(30.0, 25.0);
    play.dataset.prompt.osl = Some(6.0);
    let played = play.play();
    assert_eq!(played.log.len(), 36);
    assert_eq!(most_waiting(&played), 2, "two may wait for their first token");
    let in_service = played.most_in_service();
    assert!((4..=6).contains(&in_service), "those past their first token do not count: {in_service}");
    let waits = played.delivery.prefill_waits.expect("a cap was asked for");
    assert!(waits.waited > 0 && waits.never_sent == 0 && waits.max_ms >= waits.mean_ms, "{waits:?}");
}

#[test]
fn one_prefill_slot_is_one_however_many_shards_there_are() {
    let load = LoadConfig {
        concurrency: Some(4),
        prefill_concurrency: Some(1),
        request_count: Some(16),
        ..LoadConfig::default()
    };
    let played = Play { load, shards: 2, ..Play::default() }.with_answer(20.0, 10.0).play();
    assert_eq!((played.log.len(), most_waiting(&played)), (16, 1));
}

#[test]
fn arrivals_of_an_open_loop_wait_for_a_prefill_slot_and_are_not_lost() {
    let load = LoadConfig {
        request_rate: Some(100.0),
        arrival_pattern: Some(ArrivalPattern::Constant),
        prefill_concurrency: Some(2),
        request_count: Some(40),
        ..LoadConfig::default()
    };
    let played = Play { load, ..Play::default() }.with_answer(40.0, 0.0).play();
    assert_eq!((played.log.len(), most_waiting(&played)), (40, 2));
    // Two in 40 ms are 50 a second, half of what was asked: the summary says so.
    let delivery = &played.delivery;
    assert!(delivery.delivered.rate.expect("sent") < 70.0, "{:?}", delivery.delivered);
    assert_eq!(delivery.asked.prefill_concurrency, Some(2));
    let remarks = delivery.remarks().join("\n");
    assert!(remarks.contains("requests/s were asked for"), "{remarks}");
    assert!(remarks.contains("found no free prefill slot"), "{remarks}");
}

#[test]
fn prefill_slots_open_along_their_ramp() {
    let load = LoadConfig {
        concurrency: Some(8),
        prefill_concurrency: Some(4),
        prefill_concurrency_ramp_duration: Some(0.9),
        request_count: Some(60),
        ..LoadConfig::default()
    };
    let played = Play { load, ..Play::default() }.with_answer(50.0, 0.0).play();
    let lines: Vec<_> = played.profiling().iter().map(|record| played.served(record)).collect();
    // The server's monotonic clock against the phase's start on the wall clock.
    let offset = |line: &RequestLog| line.body_received_wall_ns as i64 - played.start_ns;
    let arrivals = waiting_at_arrivals(&lines);
    for (line, (_, waiting)) in lines.iter().zip(arrivals) {
        let open = (1 + offset(line).max(0) / 300_000_000).min(4);
        assert!(waiting as i64 <= open, "{waiting} wait with {open} slots open at {} ns", offset(line));
    }
    assert_eq!(most_waiting(&played), 4);
}

#[test]
fn the_warmup_has_a_prefill_cap_of_its_own() {
    let load = LoadConfig {
        concurrency: Some(4),
        request_count: Some(12),
        warmup_request_count: Some(12),
        warmup_prefill_concurrency: Some(1),
        ..LoadConfig::default()
    };
    let played = Play { load, ..Play::default() }.with_answer(20.0, 0.0).play();
    let measured: Vec<_> = played.profiling().iter().map(|record| played.served(record)).collect();
    let first = measured.iter().map(|line| line.body_received_ns).min().expect("twelve requests");
    let warmup: Vec<_> =
        played.log.iter().map(|line| &**line).filter(|line| line.body_received_ns < first).collect();
    assert_eq!(warmup.len(), 12);
    let most = |lines: &[&RequestLog]| waiting_at_arrivals(lines).iter().map(|(_, n)| *n).max();
    assert_eq!((most(&warmup), most(&measured)), (Some(1), Some(4)));
    assert!(warmup.iter().all(|line| last_write_ns(line) < first));
}

#[test]
fn the_cap_of_an_open_loop_opens_along_its_ramp() {
    let load = LoadConfig {
        request_rate: Some(100.0),
        arrival_pattern: Some(ArrivalPattern::Constant),
        concurrency: Some(4),
        concurrency_ramp_duration: Some(0.9),
        request_count: Some(60),
        ..LoadConfig::default()
    };
    let played = Play { load, ..Play::default() }.with_answer(50.0, 0.0).play();
    assert_eq!((played.log.len(), played.most_in_service()), (60, 4));
    for record in played.profiling() {
        let line = played.served(record);
        let in_service = played
            .log
            .iter()
            .filter(|other| other.body_received_ns <= line.body_received_ns)
            .filter(|other| last_write_ns(other) > line.body_received_ns)
            .count() as i64;
        let open = (1 + played.received_ns(record).max(0) / 300_000_000).min(4);
        assert!(in_service <= open, "{in_service} in service with {open} slots open");
    }
    let waits = played.delivery.slot_waits.expect("a cap was asked for");
    assert!(waits.waited > 20 && waits.never_sent == 0, "{waits:?}");
}

#[test]
fn arrivals_still_waiting_at_the_end_are_counted() {
    let load = LoadConfig {
        request_rate: Some(50.0),
        arrival_pattern: Some(ArrivalPattern::Constant),
        concurrency: Some(1),
        benchmark_duration: Some(0.6),
        ..LoadConfig::default()
    };
    let played = Play { load, ..Play::default() }.with_answer(100.0, 0.0).play();
    let waits = played.delivery.slot_waits.expect("a cap was asked for");
    // 30 arrivals were due; each was sent, or waited to the end and is told of.
    assert_eq!(played.log.len() as u64 + waits.never_sent, 30, "{waits:?}");
    assert!(waits.never_sent > 15, "{waits:?}");
    assert_eq!(played.delivery.delivered.requests, played.log.len() as u64);
}
