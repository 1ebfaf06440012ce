//! Whatever goes wrong is counted as what it is, and nothing stays in flight.

use std::io::{Read, Write};
use std::thread;
use std::time::{Duration, Instant};

use tokmeter_sim::Distribution;

use crate::running::{PATIENCE, before, chat_request, sim};

#[test]
fn faults_of_the_upstream_have_their_outcomes() {
    let sim = sim(|_| {});
    let gateway = before(&sim.url(), |config| {
        config.timeouts.idle = 0.3;
        config.timeouts.response = 0.3;
    });
    let cases = [
        ("none", "ok"),
        ("done-without-finish:3", "ok"),
        ("truncate:3", "truncated"),
        ("reset-mid-stream:3", "upstream_error"),
        ("close-mid-stream:3", "upstream_error"),
        ("bad-chunk-size:3", "upstream_error"),
        ("error-event:2", "upstream_error"),
        ("named-error-event:2", "upstream_error"),
        ("abort:2", "upstream_error"),
        ("close-before-headers", "upstream_error"),
        ("reset-before-headers", "upstream_error"),
        ("reset-in-headers", "upstream_error"),
        ("status:500", "upstream_error"),
        ("status:503", "upstream_error"),
        ("status:429", "rate_limited"),
        ("status:400", "client_error"),
        ("stall-mid-stream:2", "timeout"),
        ("stall-before-headers", "timeout"),
    ];
    for (done, (fault, outcome)) in cases.into_iter().enumerate() {
        let before = gateway.outcome(outcome);
        gateway.chat("sim-model", &format!("x-sim-script: {fault}\r\n"));
        gateway.wait_for(done as u64 + 1);
        assert_eq!(gateway.outcome(outcome), before + 1.0, "{fault} is {outcome}");
    }
    let errors =
        gateway.sample("gen_ai_server_request_duration_seconds_count", &["error_type=\"upstream_error\""]);
    assert_eq!(errors, gateway.outcome("upstream_error"));
}

#[test]
fn an_upstream_that_is_not_there_is_told() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gateway = before(&format!("http://{closed}"), |_| {});
    let answer = gateway.chat("m", "");
    assert_eq!(answer.status(), 502);
    assert!(answer.text().contains("\"code\":\"upstream_unreachable\""), "{}", answer.text());
    gateway.wait_for(1);
    assert_eq!(gateway.outcome("upstream_error"), 1.0);
}

#[test]
fn clients_that_leave_are_cancelled_wherever_they_were() {
    let sim = sim(|config| config.timing.itl_ms = Distribution::constant(20.0));
    let gateway = before(&sim.url(), |_| {});
    // In the middle of the stream.
    let mut client = gateway.connect();
    client.write_all(&chat_request("sim-model", 10_000, "")).unwrap();
    let mut some = vec![0; 600];
    client.read_exact(&mut some).unwrap();
    drop(client);
    gateway.wait_for(1);
    assert_eq!(gateway.outcome("cancelled_by_client"), 1.0);
    assert_eq!(gateway.sample("streaming_duration_seconds_count", &[]), 1.0, "what was streamed is recorded");
    let log = sim.wait_for_log(1, PATIENCE).expect("the upstream is told by its connection");
    assert_eq!(log[0].outcome, tokmeter_sim::Outcome::ClientDisconnected);
    // While waiting for the upstream.
    let mut client = gateway.connect();
    client.write_all(&chat_request("sim-model", 8, "x-sim-script: stall-before-headers\r\n")).unwrap();
    let begun = Instant::now();
    while sim.counters().received < 2 {
        assert!(begun.elapsed() < PATIENCE);
        thread::sleep(Duration::from_millis(2));
    }
    drop(client);
    gateway.wait_for(2);
    assert_eq!(gateway.outcome("cancelled_by_client"), 2.0);
    // In the middle of the request.
    let request = chat_request("sim-model", 8, "");
    let mut client = gateway.connect();
    client.write_all(&request[..request.len() - 40]).unwrap();
    while gateway.sample("gateway_requests_in_flight", &[]) < 1.0 {
        assert!(begun.elapsed() < PATIENCE);
        thread::sleep(Duration::from_millis(2));
    }
    drop(client);
    gateway.wait_for(3);
    assert_eq!(gateway.outcome("cancelled_by_client"), 3.0);
}

#[test]
fn a_client_that_does_not_read_holds_the_upstream_back_and_is_cut() {
    const TOKENS: u32 = 1_000_000;
    let sim = sim(|_| {});
    let gateway = before(&sim.url(), |config| config.timeouts.client_idle = 0.5);
    let mut client = gateway.connect();
    client.write_all(&chat_request("sim-model", TOKENS, "")).unwrap();
    gateway.wait_for(1);
    assert_eq!(gateway.outcome("cancelled_by_client"), 1.0);
    let log = sim.wait_for_log(1, PATIENCE).expect("the log");
    // What fits into the sockets' buffers, and not the whole answer.
    assert!(log[0].sent_tokens < TOKENS / 2, "{} tokens were taken", log[0].sent_tokens);
    drop(client);
}

#[test]
fn a_slow_client_gets_everything_and_its_wait_is_measured() {
    let sim = sim(|_| {});
    let gateway = before(&sim.url(), |_| {});
    let mut client = gateway.connect();
    client.write_all(&chat_request("sim-model", 100_000, "")).unwrap();
    let mut first = [0; 1];
    client.read_exact(&mut first).unwrap();
    thread::sleep(Duration::from_millis(300));
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).unwrap();
    gateway.wait_for(1);
    assert_eq!(gateway.outcome("ok"), 1.0);
    let wait = gateway.sample("gateway_client_wait_seconds_sum", &[]);
    assert!(wait > 0.1, "{wait}");
    let words = String::from_utf8_lossy(&rest).matches("\"content\":\"").count();
    assert!(words >= 100_000, "{words}");
}
