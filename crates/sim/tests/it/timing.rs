//! The schedule. Lower bounds only: a slow machine may be late, never early.

use tokmeter_sim::{Distribution, Flush, RequestLog, RoleChunk, Timing};

use crate::client::{Client, PATIENCE, chat, start};

const MS: u64 = 1_000_000;

fn token_writes(entry: &RequestLog) -> Vec<(u64, u64)> {
    entry.writes.iter().filter(|w| w.tokens > 0).map(|w| (w.scheduled_ns, w.write_start_ns)).collect()
}

#[test]
fn tokens_are_due_at_absolute_instants_and_never_early() {
    let sim = start(|config| {
        config.timing.ttft_ms = Distribution::constant(30.0);
        config.timing.itl_ms = Distribution::constant(2.5);
    });
    Client::connect(&sim).post("/v1/chat/completions", "", &chat(12));
    let entry = &sim.wait_for_log(1, PATIENCE).expect("logged")[0];
    let tokens = token_writes(entry);
    assert_eq!(tokens.len(), 12);
    for (k, (scheduled_ns, write_start_ns)) in tokens.into_iter().enumerate() {
        let due_ns = entry.body_received_ns + 30 * MS + k as u64 * 2_500_000;
        assert_eq!(scheduled_ns, due_ns, "token {k}");
        assert!(write_start_ns >= due_ns, "token {k} was {} ns early", due_ns - write_start_ns);
    }
    // The role chunk does not wait.
    assert!(entry.writes[0].scheduled_ns == entry.admitted_ns && entry.writes[0].events == 1);
}

#[test]
fn a_whole_answer_is_due_with_its_last_token() {
    let sim = start(|config| {
        config.timing.ttft_ms = Distribution::constant(20.0);
        config.timing.itl_ms = Distribution::constant(5.0);
    });
    let mut body = chat(5);
    body["stream"] = false.into();
    let response = Client::connect(&sim).post("/v1/chat/completions", "", &body);
    assert_eq!(response.json()["usage"]["completion_tokens"], 5);
    let entry = &sim.wait_for_log(1, PATIENCE).expect("logged")[0];
    assert!(!entry.stream && entry.sent_tokens == 5);
    assert!(entry.headers_write_start_ns >= entry.body_received_ns + 40 * MS);
}

#[test]
fn jitter_follows_seed_and_request_id_not_timing() {
    let schedule = |seed: u64, id: &str| {
        let sim = start(|config| {
            config.seed = seed;
            config.timing.ttft_ms = "lognormal:5,0.5".parse().expect("a distribution");
            config.timing.itl_ms = "exponential:1".parse().expect("a distribution");
        });
        Client::connect(&sim).post("/v1/chat/completions", &format!("X-Request-ID: {id}\r\n"), &chat(20));
        let entry = &sim.wait_for_log(1, PATIENCE).expect("logged")[0];
        assert!(token_writes(entry).iter().all(|(due, start)| start >= due), "early");
        token_writes(entry).iter().map(|(due, _)| due - entry.admitted_ns).collect::<Vec<_>>()
    };
    let first = schedule(1, "a");
    assert!(first.is_sorted());
    assert_eq!(first, schedule(1, "a"));
    assert_ne!(first, schedule(1, "b"));
    assert_ne!(first, schedule(2, "a"));
}

#[test]
fn several_tokens_share_an_event_at_the_same_rate() {
    let sim = start(|config| {
        config.timing.itl_ms = Distribution::constant(2.0);
        config.output.tokens_per_event = 4;
        config.wire.role_chunk = RoleChunk::WithFirstToken;
    });
    let response = Client::connect(&sim).post("/v1/chat/completions", "", &chat(10));
    assert_eq!(response.events()[0]["choices"][0]["delta"]["role"], "assistant");
    let entry = &sim.wait_for_log(1, PATIENCE).expect("logged")[0];
    let tokens: Vec<u32> = entry.writes.iter().map(|w| w.tokens).filter(|&t| t > 0).collect();
    assert_eq!(tokens, [4, 4, 2]);
    let due: Vec<u64> = token_writes(entry).iter().map(|(due, _)| due - entry.admitted_ns).collect();
    assert_eq!(due, [0, 8 * MS, 16 * MS]);
}

#[test]
fn prefill_is_paid_for_tokens_that_are_not_cached() {
    let sim = start(|config| {
        config.timing = Timing { prefill_us_per_token: 100.0, ..Timing::default() };
        config.output.prefix_cache_blocks = 1000;
    });
    let mut body = chat(1);
    body["messages"][0]["content"] = "abc ".repeat(64).into();
    let mut client = Client::connect(&sim);
    let cold = client.post("/v1/chat/completions", "", &body);
    let warm = client.post("/v1/chat/completions", "", &body);
    let usage = |response: &crate::client::Response| {
        response
            .events()
            .iter()
            .find_map(|event| event["usage"]["prompt_tokens_details"]["cached_tokens"].as_u64())
    };
    assert_eq!((usage(&cold), usage(&warm)), (Some(0), Some(63)));
    let log = sim.wait_for_log(2, PATIENCE).expect("logged");
    let prefill =
        |entry: &RequestLog| entry.first_token_write().expect("a token").scheduled_ns - entry.admitted_ns;
    assert_eq!((prefill(&log[0]), prefill(&log[1])), (6_400_000, 100_000));
    assert_eq!((log[0].cached_tokens, log[1].cached_tokens), (0, 63));
}

#[test]
fn the_head_can_wait_for_the_first_event() {
    for flush in [Flush::PerEvent, Flush::Coalesce] {
        let sim = start(|config| {
            config.timing.ttft_ms = Distribution::constant(15.0);
            config.wire.role_chunk = RoleChunk::None;
            config.wire.headers_with_first_event = true;
            config.wire.flush = flush;
        });
        Client::connect(&sim).post("/v1/chat/completions", "", &chat(3));
        let entry = &sim.wait_for_log(1, PATIENCE).expect("logged")[0];
        assert!(entry.headers_write_start_ns >= entry.admitted_ns + 15 * MS);
        assert_eq!(entry.headers_written_ns, entry.writes[0].write_end_ns, "one write");
    }
}

#[test]
fn pieces_of_a_write_are_paused() {
    let sim = start(|config| {
        config.wire.write_bytes = Some(100);
        config.wire.write_pause_us = 2000;
        config.wire.role_chunk = RoleChunk::None;
    });
    Client::connect(&sim).post("/v1/chat/completions", "", &chat(1));
    let entry = &sim.wait_for_log(1, PATIENCE).expect("logged")[0];
    for write in &entry.writes {
        let pauses = u64::from(write.bytes.div_ceil(100) - 1);
        assert!(write.write_end_ns - write.write_start_ns >= pauses * 2 * MS, "{write:?}");
    }
}
