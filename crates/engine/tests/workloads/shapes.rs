//! Load shapes.

use tokmeter_engine::schedule::distance::{gaps_ns, ks_distance, ks_distance_to};
use tokmeter_engine::schedule::{ArrivalPattern, LoadConfig};

use crate::harness::{Play, Played, last_write_ns};

fn open_loop(rate: f64, requests: u64, change: impl FnOnce(&mut LoadConfig)) -> Played {
    let mut load =
        LoadConfig { request_rate: Some(rate), request_count: Some(requests), ..LoadConfig::default() };
    change(&mut load);
    Play { load, ..Play::default() }.play()
}

/// Every request was intended exactly when the schedule says, and none was sent before.
fn assert_as_asked(played: &Played) {
    let intended: Vec<_> = played.profiling().iter().map(|record| played.intended_ns(record)).collect();
    let asked = played.asked_ns();
    assert_eq!(intended, asked);
    assert_eq!(played.log.len(), asked.len());
    played.assert_never_early();
}

fn received_gaps(played: &Played) -> Vec<u64> {
    let received: Vec<u64> =
        played.profiling().iter().map(|record| played.received_ns(record).max(0) as u64).collect();
    gaps_ns(&received)
}

#[test]
fn constant_arrivals_come_when_asked() {
    let played = open_loop(40.0, 60, |load| load.arrival_pattern = Some(ArrivalPattern::Constant));
    assert_as_asked(&played);
    assert_eq!(played.asked_ns()[59], 59 * 25_000_000);
}

#[test]
fn poisson_arrivals_look_poisson_to_the_server() {
    let played = open_loop(40.0, 150, |_| {});
    assert_as_asked(&played);
    let gaps: Vec<f64> = received_gaps(&played).iter().map(|gap| *gap as f64 / 1e9).collect();
    let distance = ks_distance_to(&gaps, |gap| 1.0 - (-40.0 * gap).exp()).expect("arrivals");
    let even = ks_distance(&received_gaps(&played), &[25_000_000]).expect("arrivals");
    assert!(
        distance < 0.25 && distance < even / 2.0,
        "KS distance to exponential {distance}, to even {even}"
    );
}

#[test]
fn gamma_arrivals_look_like_their_shape() {
    let played = open_loop(40.0, 150, |load| load.arrival_smoothness = Some(0.25));
    assert_as_asked(&played);
    // Bursty: the coefficient of variation of the gaps is 2, that of Poisson 1, of even gaps 0.
    let gaps: Vec<f64> = received_gaps(&played).iter().map(|gap| *gap as f64).collect();
    let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
    let deviation = (gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64).sqrt();
    assert!(deviation / mean > 1.4, "coefficient of variation {}", deviation / mean);
}

#[test]
fn a_rate_ramp_comes_as_asked() {
    let played = open_loop(60.0, 90, |load| {
        load.arrival_pattern = Some(ArrivalPattern::Constant);
        load.request_rate_ramp_duration = Some(3.0);
    });
    assert_as_asked(&played);
    // 0 to 60/s over 3 s is 90 requests: a quarter of them in the first half.
    let early = played.asked_ns().iter().filter(|at| **at < 1_500_000_000).count();
    assert_eq!(early, 23);
}

#[test]
fn a_closed_loop_keeps_its_concurrency() {
    let load = LoadConfig { concurrency: Some(6), request_count: Some(60), ..LoadConfig::default() };
    let played = Play { load, ..Play::default() }.with_answer(40.0, 5.0).play();
    assert_eq!((played.log.len(), played.most_in_service()), (60, 6));
}

#[test]
fn an_open_loop_stays_below_its_cap_and_loses_nothing() {
    let played = {
        let load = LoadConfig {
            request_rate: Some(200.0),
            concurrency: Some(4),
            request_count: Some(60),
            ..LoadConfig::default()
        };
        Play { load, ..Play::default() }.with_answer(40.0, 0.0).play()
    };
    assert_eq!(played.most_in_service(), 4);
    assert_as_asked(&played);
    // Four at a time of 40 ms each is half the asked rate: the wait is visible in the records.
    let last = *played.profiling().last().expect("sixty requests");
    assert!(played.received_ns(last) - played.intended_ns(last) > 100_000_000);
}

#[test]
fn a_concurrency_ramp_opens_slots_one_by_one() {
    let load = LoadConfig {
        concurrency: Some(5),
        concurrency_ramp_duration: Some(1.2),
        request_count: Some(80),
        ..LoadConfig::default()
    };
    let played = Play { load, ..Play::default() }.with_answer(60.0, 0.0).play();
    // A slot's first request is the first of a new shard task: by the server's clock no more than
    // 1 + floor(t / 0.3 s) requests may be in service at t.
    let mut begun: Vec<i64> = played.profiling().iter().map(|record| played.received_ns(record)).collect();
    begun.sort_unstable();
    for (index, at) in begun.iter().enumerate() {
        let open = 1 + at.max(&0) / 300_000_000;
        let in_service = begun[..=index].iter().filter(|earlier| at - **earlier < 55_000_000).count() as i64;
        assert!(in_service <= open.min(5), "{in_service} in service at {at} ns with {open} slots open");
    }
    assert_eq!(played.most_in_service(), 5);
}

#[test]
fn users_keep_their_own_cadence() {
    let load = LoadConfig {
        user_centric_rate: Some(20.0),
        num_users: Some(4),
        request_count: Some(40),
        ..LoadConfig::default()
    };
    let mut play = Play { load, ..Play::default() };
    play.dataset.turns.mean = 3.0;
    let played = play.play();
    played.assert_never_early();
    // One request each 50 ms, as long as the answers are quick: the intended instants of all users
    // together are even, whoever they belong to.
    let mut intended: Vec<_> = played.profiling().iter().map(|record| played.intended_ns(record)).collect();
    intended.sort_unstable();
    let late = intended.iter().enumerate().filter(|(index, at)| **at != *index as i64 * 50_000_000).count();
    assert_eq!(late, 0, "{intended:?}");
    for lines in played.sessions().values() {
        for pair in lines.windows(2) {
            let gap = pair[1].body_received_ns - pair[0].head_received_ns;
            assert!(gap > 100_000_000, "a user's turns are {gap} ns apart, 200 ms were asked");
        }
    }
}

#[test]
fn warmup_comes_first_and_with_its_own_sessions() {
    let load = LoadConfig {
        concurrency: Some(4),
        request_count: Some(20),
        warmup_request_count: Some(8),
        warmup_concurrency: Some(2),
        ..LoadConfig::default()
    };
    let played = Play { load, ..Play::default() }.with_answer(10.0, 0.0).play();
    assert_eq!((played.records.len(), played.profiling().len()), (28, 20));
    let bodies = played.bodies();
    assert_eq!(bodies.iter().collect::<std::collections::HashSet<_>>().len(), 28, "no prompt is sent twice");
    let first = played.profiling()[0];
    let warmup_end = played
        .records
        .iter()
        .filter(|record| record.metadata.benchmark_phase != first.metadata.benchmark_phase)
        .map(|record| last_write_ns(played.served(record)))
        .max()
        .expect("a warmup");
    assert!(played.served(first).body_received_ns > warmup_end);
}

#[test]
fn cancelled_requests_are_those_the_seed_chose() {
    let load = LoadConfig {
        concurrency: Some(4),
        request_count: Some(60),
        request_cancellation_rate: Some(30.0),
        request_cancellation_delay: Some(0.02),
        warmup_request_count: Some(8),
        ..LoadConfig::default()
    };
    let played = Play { load, ..Play::default() }.with_answer(400.0, 0.0).play();
    let cancelled: Vec<u64> = {
        // The warmup is not cancelled, whatever its numbers: they would be here twice.
        let mut numbers: Vec<u64> = played
            .records
            .iter()
            .filter(|record| record.metadata.was_cancelled)
            .map(|record| record.metadata.session_num.expect("always known"))
            .collect();
        numbers.sort_unstable();
        numbers
    };
    let chosen = tokmeter_engine::schedule::Cancellations::new(
        played.seed,
        30.0,
        std::time::Duration::from_millis(20),
    );
    let expected: Vec<u64> = (0..60).filter(|number| chosen.delay_of(*number).is_some()).collect();
    assert_eq!(cancelled, expected);
    assert!(expected.len() > 8);
}
