//! The capacity model: who waits, for how long, and what the metrics say.

use std::time::{Duration, Instant};

use tokmeter_sim::{Distribution, Outcome};

use crate::client::{Client, PATIENCE, chat, start};
use crate::metrics::value;

const MS: u64 = 1_000_000;

#[test]
fn requests_beyond_the_limit_wait_in_order() {
    let sim = start(|config| {
        config.timing.max_running = Some(1);
        config.timing.ttft_ms = Distribution::constant(40.0);
        config.workers = 2;
    });
    let mut clients: Vec<Client> = (0..3)
        .map(|n| {
            let mut client = Client::connect(&sim);
            client.send_post("/v1/chat/completions", "", &chat(1));
            // The order of arrival is the order of waiting.
            let deadline = Instant::now() + PATIENCE;
            while sim.counters().received <= n && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(1));
            }
            client
        })
        .collect();
    for client in &mut clients {
        assert!(client.response().complete);
    }
    let mut log = sim.wait_for_log(3, PATIENCE).expect("logged");
    log.sort_by_key(|entry| entry.ordinal);
    for pair in log.windows(2) {
        let token = pair[0].first_token_write().expect("a token");
        assert!(pair[1].admitted_ns >= token.write_end_ns, "one at a time, in order");
    }
    assert!(log[2].admitted_ns - log[2].body_received_ns >= 30 * MS, "it waited");
    let page = Client::connect(&sim).get("/metrics");
    let queued = value(page.text(), "vllm:request_queue_time_seconds_sum", "");
    let waited: u64 = log.iter().map(|e| e.admitted_ns - e.body_received_ns).sum();
    assert!((queued - waited as f64 / 1e9).abs() < 1e-6, "{queued} {waited}");
}

#[test]
fn gauges_show_running_and_waiting_and_return_to_zero() {
    let sim = start(|config| {
        config.timing.max_running = Some(2);
        config.timing.ttft_ms = Distribution::constant(60_000.0);
        config.metrics.kv_cache_tokens = 100;
    });
    let mut clients: Vec<Client> = (0..5).map(|_| Client::connect(&sim)).collect();
    for client in &mut clients {
        client.send_post("/v1/chat/completions", "", &chat(1));
    }
    let gauges = |text: &str| {
        ["num_requests_running", "num_requests_waiting", "kv_cache_usage_perc"]
            .map(|g| value(text, &format!("vllm:{g}"), ""))
    };
    let settles = |wanted: [f64; 3]| {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let got = gauges(Client::connect(&sim).get("/metrics").text());
            if got == wanted {
                return;
            }
            assert!(Instant::now() < deadline, "{got:?} never became {wanted:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    settles([2.0, 3.0, 0.08]);
    drop(clients);
    settles([0.0, 0.0, 0.0]);
    let log = sim.wait_for_log(5, PATIENCE).expect("logged");
    assert!(log.iter().all(|entry| entry.outcome == Outcome::ClientDisconnected));
}

#[test]
fn a_full_server_is_slower() {
    let sim = start(|config| {
        config.timing.itl_ms = Distribution::constant(2.0);
        config.timing.slowdown_per_running = 0.5;
    });
    let mut first = Client::connect(&sim);
    first.send_post("/v1/chat/completions", "", &chat(100));
    let deadline = Instant::now() + PATIENCE;
    while sim.counters().received == 0 && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(1));
    }
    Client::connect(&sim).post("/v1/chat/completions", "", &chat(3));
    assert!(first.response().complete);
    let mut log = sim.wait_for_log(2, PATIENCE).expect("logged");
    log.sort_by_key(|entry| entry.ordinal);
    let interval = |n: usize| {
        let due: Vec<u64> = log[n].writes.iter().filter(|w| w.tokens > 0).map(|w| w.scheduled_ns).collect();
        due[1] - due[0]
    };
    assert_eq!((interval(0), interval(1)), (2 * MS, 3 * MS));
}
