//! What the server reads.

use std::path::{Path, PathBuf};

use tokmeter_engine::dataset::{CacheBust, DatasetConfig};
use tokmeter_engine::schedule::LoadConfig;
use tokmeter_engine::tokenizer::Tokenizer;

use crate::harness::{Play, Played, body, body_text, last_write_ns};

fn closed(concurrency: u32, requests: u64) -> LoadConfig {
    LoadConfig { concurrency: Some(concurrency), request_count: Some(requests), ..LoadConfig::default() }
}

fn from_file(path: &Path) -> DatasetConfig {
    DatasetConfig { input_file: Some(path.to_owned()), ..DatasetConfig::default() }
}

#[test]
fn equal_seeds_put_equal_bytes_on_the_wire() {
    let run = |seed: u64, shards: usize| {
        Play { load: closed(3, 12), seed, shards, ..Play::default() }.play().bodies()
    };
    let first = run(7, 2);
    assert_eq!(first, run(7, 1), "the number of shards changes nothing");
    assert_ne!(first, run(8, 2));
    let distinct: std::collections::HashSet<_> = first.iter().collect();
    assert_eq!(distinct.len(), 12);
}

#[test]
fn prompts_arrive_with_their_exact_length() {
    let mut play = Play { load: closed(2, 10), ..Play::default() };
    (play.dataset.prompt.isl, play.dataset.prompt.osl) = (Some(123.0), Some(17.0));
    let played = play.play();
    for line in &played.log {
        let body = body(line);
        let text = body["messages"][0]["content"].as_str().expect("a text");
        assert_eq!(Tokenizer::Builtin.count(text), 123);
        assert_eq!(line.max_tokens, Some(17));
    }
}

#[test]
fn turns_follow_each_other_with_the_answers_between() {
    let load = LoadConfig { concurrency: Some(4), conversation_num: Some(6), ..LoadConfig::default() };
    let mut play = Play { load, ..Play::default() };
    (play.dataset.turns.mean, play.dataset.turns.delay_mean) = (3.0, 30.0);
    let played = play.with_answer(5.0, 1.0).play();
    let sessions = played.sessions();
    assert_eq!(sessions.len(), 6);
    for lines in sessions.values() {
        assert_eq!(lines.len(), 3);
        for (turn, line) in lines.iter().enumerate() {
            let body = body(line);
            let messages = body["messages"].as_array().expect("messages");
            let roles: Vec<_> =
                messages.iter().map(|message| message["role"].as_str().unwrap_or("")).collect();
            assert_eq!(roles, ["user", "assistant", "user", "assistant", "user"][..2 * turn + 1]);
            for (index, message) in messages.iter().enumerate().filter(|(index, _)| index % 2 == 1) {
                let answer = message["content"].as_str().expect("a text");
                assert!(!answer.is_empty(), "answer {index} is sent back");
            }
            if turn > 0 {
                let earlier = lines[turn - 1];
                let earlier_messages = crate::harness::body(earlier)["messages"].clone();
                assert_eq!(messages[..2 * turn - 1], *earlier_messages.as_array().expect("messages"));
                let pause = line.body_received_ns.saturating_sub(last_write_ns(earlier));
                assert!(pause >= 30_000_000, "{pause} ns between turns, 30 ms were asked");
            }
        }
    }
}

fn mooncake() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/mooncake-sample.jsonl")
}

/// The part of the sample that the tests replay: its first two seconds, at twice the speed.
fn replay() -> Played {
    let load = LoadConfig {
        fixed_schedule: true,
        fixed_schedule_end_offset: Some(2_000),
        replay_speedup: Some(2.0),
        ..LoadConfig::default()
    };
    Play { load, dataset: from_file(&mooncake()), ..Play::default() }.play()
}

#[test]
fn a_mooncake_trace_is_replayed_with_its_times_lengths_and_prefixes() {
    let lines: Vec<serde_json::Value> = std::fs::read_to_string(mooncake())
        .expect("fixture")
        .lines()
        .map(|line| serde_json::from_str(line).expect("json"))
        .filter(|line: &serde_json::Value| line["timestamp"].as_u64().is_some_and(|at| at <= 2_000))
        .collect();
    let played = replay();
    assert!(lines.len() > 15, "{}", lines.len());
    assert_eq!(played.log.len(), lines.len());
    played.assert_never_early();
    let records = played.profiling();
    let mut tokens = Vec::new();
    for (record, line) in records.iter().zip(&lines) {
        let at = line["timestamp"].as_i64().expect("ms");
        assert_eq!(played.intended_ns(record), at * 500_000);
        let served = played.served(record);
        let body = body(served);
        let ids = Tokenizer::Builtin.encode(body["messages"][0]["content"].as_str().expect("a text"));
        assert_eq!(Some(ids.len() as u64), line["input_length"].as_u64());
        assert_eq!(served.max_tokens, line["output_length"].as_u64());
        tokens.push(ids);
    }
    // Prompts share exactly the blocks whose ids they share.
    let mut shared_blocks = 0;
    for a in 0..lines.len() {
        for b in a + 1..lines.len() {
            let ids = |index: usize| lines[index]["hash_ids"].as_array().expect("ids").iter();
            let blocks = ids(a).zip(ids(b)).take_while(|(x, y)| x == y).count();
            let common = tokens[a].iter().zip(&tokens[b]).take_while(|(x, y)| x == y).count();
            let shorter = tokens[a].len().min(tokens[b].len());
            assert!(common >= (blocks * 512).min(shorter), "{common} tokens of {blocks} blocks");
            assert!(common < (blocks + 1) * 512, "{common} tokens of {blocks} blocks");
            shared_blocks += blocks;
        }
    }
    assert!(shared_blocks > 10, "{shared_blocks}");
    // The server's own prefix cache sees them too.
    assert!(played.log.iter().any(|line| line.cached_tokens > 200));
}

#[test]
fn inputs_of_a_former_run_arrive_byte_for_byte_and_without_history() {
    let dir = tempfile::tempdir().expect("temp dir");
    let path = dir.path().join("inputs.json");
    let payload = |n: u32| {
        format!(
            r#"{{"model":"m","stream":true,"max_tokens":2,"messages":[{{"role":"user","content":"turn {n}"}}]}}"#
        )
    };
    let (a, b, c) = (payload(1), payload(2), payload(3));
    let text = format!(
        r#"{{"data":[{{"session_id":"x","payloads":[{a},{b}]}},{{"session_id":"y","payloads":[{c}]}}]}}"#
    );
    std::fs::write(&path, text).expect("write");
    let played = Play { load: closed(1, 3), dataset: from_file(&path), ..Play::default() }.play();
    let sent: Vec<_> = {
        let mut log: Vec<_> = played.log.iter().collect();
        log.sort_by_key(|line| line.body_received_ns);
        log.iter().map(|line| body_text(line).to_owned()).collect()
    };
    assert_eq!(sent, [a, b, c]);
    let names: Vec<_> = played
        .profiling()
        .iter()
        .map(|record| record.metadata.conversation_id.clone().expect("named"))
        .collect();
    assert_eq!(names, ["x", "x", "y"]);
}

#[test]
fn a_busted_cache_stays_cold() {
    let run = |cache_bust| {
        let mut play = Play { load: closed(1, 6), ..Play::default() };
        play.dataset.num_dataset_entries = Some(1);
        play.dataset.prompt.isl = Some(300.0);
        play.dataset.cache_bust = cache_bust;
        play.play().log.iter().map(|line| line.cached_tokens).collect::<Vec<_>>()
    };
    let warm = run(CacheBust::None);
    assert!(warm[1..].iter().all(|cached| *cached > 100), "the same prompt again is cached: {warm:?}");
    let cold = run(CacheBust::FirstTurnPrefix);
    assert!(cold.iter().all(|cached| *cached == 0), "{cold:?}");
}
