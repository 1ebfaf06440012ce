//! Several machines together send what one would send, by the servers' logs.

use std::collections::HashSet;

use tokmeter_engine::dataset::DatasetConfig;
use tokmeter_engine::schedule::{LoadConfig, Share};

use crate::harness::{Play, Played};

fn machines(count: u32, play: impl Fn() -> Play) -> (Played, Vec<Played>) {
    let part = |rank| Play { share: Share::new(rank, count).expect("in range"), ..play() }.play();
    (play().play(), (0..count).map(part).collect())
}

fn turns(mean: f64) -> DatasetConfig {
    let mut dataset = Play::default().dataset;
    dataset.turns.mean = mean;
    dataset
}

/// Bodies of all machines equal those of one, and every request has a number of its own.
fn assert_same_requests(one: &Played, parts: &[Played]) {
    let mut bodies: Vec<String> = parts.iter().flat_map(Played::bodies).collect();
    bodies.sort();
    assert_eq!(bodies, one.bodies());
    let records = parts.iter().flat_map(|part| &part.records);
    let numbers: Vec<_> = records.map(|record| record.metadata.session_num.expect("always")).collect();
    let distinct: HashSet<_> = numbers.iter().collect();
    assert_eq!(distinct.len(), numbers.len(), "a number was given twice: {numbers:?}");
}

#[test]
fn an_open_loop_keeps_the_instants_of_one_machine() {
    let load = || LoadConfig { request_rate: Some(200.0), request_count: Some(40), ..LoadConfig::default() };
    let (one, parts) = machines(3, || Play { load: load(), ..Play::default() });
    assert_same_requests(&one, &parts);
    let mut intended: Vec<i64> = parts
        .iter()
        .flat_map(|part| {
            part.profiling().into_iter().map(|record| part.intended_ns(record)).collect::<Vec<_>>()
        })
        .collect();
    intended.sort_unstable();
    assert_eq!(intended, one.asked_ns());
    let counts: Vec<_> = parts.iter().map(|part| part.log.len()).collect();
    assert_eq!(counts, [14, 13, 13]);
    assert_eq!(parts[0].delivery.asked.requests, Some(14));
    assert!((parts[0].delivery.asked.rate.expect("an open loop") - 200.0 / 3.0).abs() < 1e-9);
}

#[test]
fn a_closed_loop_deals_slots_and_sessions() {
    let load = || LoadConfig { concurrency: Some(5), conversation_num: Some(17), ..LoadConfig::default() };
    let play = || Play { load: load(), dataset: turns(1.0), ..Play::default() }.with_answer(10.0, 0.0);
    let (one, parts) = machines(2, play);
    assert_same_requests(&one, &parts);
    assert!(parts[0].most_in_service() <= 3 && parts[1].most_in_service() <= 2);
    for (rank, part) in parts.iter().enumerate() {
        for record in &part.records {
            let id = record.metadata.conversation_id.as_deref().expect("always");
            let number: usize = id.trim_start_matches("session_").parse().expect("a number");
            assert_eq!(number % 2, rank, "{id} belongs to another machine");
        }
    }
}

#[test]
fn users_stay_on_their_machine() {
    let load = || LoadConfig {
        user_centric_rate: Some(100.0),
        num_users: Some(6),
        request_count: Some(30),
        ..LoadConfig::default()
    };
    let (one, parts) = machines(2, || Play { load: load(), dataset: turns(3.0), ..Play::default() });
    let counts: Vec<_> = parts.iter().map(|part| part.log.len()).collect();
    assert_eq!((counts.iter().sum::<usize>(), one.log.len()), (30, 30));
    let sessions = |played: &Played| -> HashSet<String> {
        let ids = played.records.iter().filter_map(|record| record.metadata.conversation_id.clone());
        ids.map(|id| id.to_string()).collect()
    };
    let (first, second) = (sessions(&parts[0]), sessions(&parts[1]));
    assert!(first.is_disjoint(&second), "a session was sent twice");
}
