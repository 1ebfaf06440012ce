//! Connections and requests of HTTP/1.1.

use std::io::Write;
use std::time::Duration;

use tokmeter_sim::{Distribution, Outcome};

use crate::client::{Client, PATIENCE, chat, start};

#[test]
fn connections_are_kept_and_numbered() {
    let sim = start(|config| config.workers = 2);
    let mut first = Client::connect(&sim);
    let mut second = Client::connect(&sim);
    for _ in 0..3 {
        assert_eq!(first.post("/v1/chat/completions", "", &chat(2)).status, 200);
        assert_eq!(second.post("/v1/chat/completions", "", &chat(2)).status, 200);
    }
    let log = sim.wait_for_log(6, PATIENCE).expect("logged");
    let mut seen: Vec<(u64, u64)> = log.iter().map(|e| (e.connection, e.nth_on_connection)).collect();
    seen.sort_unstable();
    assert_eq!(seen, [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (2, 3)]);
    assert_eq!(sim.counters().connections, 2);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let sim = start(|_| {});
    let mut client = Client::connect(&sim);
    for n in 1..=3 {
        client.send_post("/v1/chat/completions", &format!("X-Request-ID: p{n}\r\n"), &chat(n));
    }
    for n in 1..=3 {
        let response = client.response();
        assert_eq!(response.header("x-request-id"), Some(format!("p{n}").as_str()));
        assert_eq!(response.content().split_whitespace().count(), n);
    }
}

#[test]
fn a_request_may_arrive_byte_by_byte_or_chunked() {
    let sim = start(|config| config.log.bodies = true);
    let mut client = Client::connect(&sim);
    let body = chat(2).to_string();
    let request =
        format!("POST /v1/chat/completions HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    for byte in request.as_bytes() {
        client.send(&[*byte]);
    }
    assert_eq!(client.response().status, 200);
    client.send(b"POST /v1/chat/completions HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
    for piece in body.as_bytes().chunks(10) {
        client.send(format!("{:x};ext=1\r\n", piece.len()).as_bytes());
        client.send(piece);
        client.send(b"\r\n");
    }
    client.send(b"0\r\n\r\n");
    assert_eq!(client.response().status, 200);
    let log = sim.wait_for_log(2, PATIENCE).expect("logged");
    for entry in &log {
        assert_eq!(entry.body.as_deref(), Some(body.as_str()));
        assert_eq!(entry.body_bytes, body.len() as u64);
        assert!(entry.body_received_ns >= entry.head_received_ns);
    }
}

#[test]
fn a_client_may_wait_for_100_and_sees_103() {
    let sim = start(|config| config.wire.early_hints = true);
    let mut client = Client::connect(&sim);
    let body = chat(2).to_string();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    client.send(head.as_bytes());
    assert_eq!(client.response().status, 100);
    client.send(body.as_bytes());
    assert_eq!(client.response().status, 103);
    assert!(client.response().complete);
    let entry = &sim.wait_for_log(1, PATIENCE).expect("logged")[0];
    assert!(entry.body_received_ns > entry.head_received_ns);
}

#[test]
fn connections_end_when_they_should() {
    let sim = start(|config| config.connections.max_requests = Some(2));
    let mut client = Client::connect(&sim);
    assert_eq!(client.post("/v1/chat/completions", "", &chat(1)).header("connection"), None);
    assert_eq!(client.post("/v1/chat/completions", "", &chat(1)).header("connection"), Some("close"));
    assert_eq!(client.rest(), b"");

    let mut client = Client::connect(&sim);
    let response = client.post("/v1/chat/completions", "Connection: close\r\n", &chat(1));
    assert_eq!((response.header("connection"), client.rest().len()), (Some("close"), 0));

    let sim = start(|config| config.connections.silent_close_after_stream = true);
    let mut client = Client::connect(&sim);
    assert_eq!(client.get("/health").status, 200);
    let response = client.post("/v1/chat/completions", "", &chat(1));
    assert!(response.complete && response.header("connection").is_none());
    assert_eq!(client.rest(), b"");

    let sim = start(|config| config.connections.idle_timeout_ms = Some(20));
    let mut client = Client::connect(&sim);
    assert_eq!(client.post("/v1/chat/completions", "", &chat(1)).status, 200);
    assert_eq!(client.rest(), b"", "an idle connection is closed");
}

#[test]
fn bad_requests_are_refused_and_logged() {
    let sim = start(|config| {
        config.api_key = Some("secret".to_owned());
        config.strict_models = true;
        config.max_body_bytes = 1000;
    });
    let mut client = Client::connect(&sim);
    let key = "Authorization: Bearer secret\r\n";
    assert_eq!(client.post("/v1/chat/completions", "", &chat(1)).status, 401);
    assert_eq!(client.post("/v1/chat/completions", key, &chat(1)).status, 404, "model `m` is not served");
    let mut served = chat(1);
    served["model"] = "sim-model".into();
    assert_eq!(client.post("/v1/chat/completions", key, &served).status, 200);
    assert_eq!(client.post("/v1/chat/completions", "x-api-key: secret\r\n", &served).status, 200);
    served["max_completion_tokens"] = "many".into();
    let response = client.post("/v1/chat/completions", key, &served);
    assert!(response.status == 400 && response.json()["error"]["message"].is_string());
    let mut large = chat(1);
    large["messages"][0]["content"] = "x ".repeat(1000).into();
    assert_eq!(client.post("/v1/chat/completions", key, &large).status, 413);
    assert_eq!(client.rest(), b"");
    let mut client = Client::connect(&sim);
    client.send(b"\x16\x03\x01\x02\x00 this is TLS\r\n\r\n");
    assert_eq!(client.response().status, 400);
    let log = sim.wait_for_log(6, PATIENCE).expect("logged");
    let outcomes: Vec<(u16, Outcome)> = log.iter().map(|e| (e.status, e.outcome)).collect();
    use Outcome::{Completed, Rejected};
    let expected = [
        (401, Rejected),
        (404, Rejected),
        (200, Completed),
        (200, Completed),
        (400, Rejected),
        (413, Rejected),
    ];
    assert_eq!(outcomes, expected);
    assert!(!format!("{log:?}").contains("secret"));
}

#[test]
fn a_client_that_leaves_is_noticed_in_the_middle_of_a_stream() {
    let sim = start(|config| config.timing.itl_ms = Distribution::constant(10_000.0));
    let mut client = Client::connect(&sim);
    client.send_post("/v1/chat/completions", "", &chat(5));
    std::thread::sleep(Duration::from_millis(30));
    drop(client);
    let entry = &sim.wait_for_log(1, PATIENCE).expect("noticed long before the next token")[0];
    assert_eq!((entry.outcome, entry.sent_tokens), (Outcome::ClientDisconnected, 1));
    assert_eq!(sim.counters().client_disconnected, 1);
}

#[test]
fn half_closed_clients_are_answered_when_allowed() {
    for (allowed, outcome) in [(true, Outcome::Completed), (false, Outcome::ClientDisconnected)] {
        let sim = start(|config| {
            config.connections.allow_half_close = allowed;
            config.timing.itl_ms = Distribution::constant(20.0);
        });
        let mut client = Client::connect(&sim);
        client.send_post("/v1/chat/completions", "", &chat(3));
        client.stream.shutdown(std::net::Shutdown::Write).expect("shutdown");
        assert_eq!(client.response().complete, allowed);
        assert_eq!(sim.wait_for_log(1, PATIENCE).expect("logged")[0].outcome, outcome);
    }
}

#[test]
fn a_slow_reader_gets_everything() {
    let sim = start(|config| {
        config.output.tokens_per_event = 500;
        config.wire.flush = tokmeter_sim::Flush::Coalesce;
    });
    let mut client = Client::connect(&sim);
    // About 4 MB: more than the socket buffers hold.
    client.send_post("/v1/chat/completions", "", &chat(800_000));
    std::thread::sleep(Duration::from_millis(100));
    let response = client.response();
    assert!(response.complete);
    assert_eq!(response.content().split_whitespace().count(), 800_000);
    let entry = &sim.wait_for_log(1, PATIENCE).expect("logged")[0];
    assert_eq!((entry.sent_tokens, entry.outcome), (800_000, Outcome::Completed));
}

#[test]
fn stopping_cuts_streams_and_logs_them() {
    let sim = start(|config| config.timing.itl_ms = Distribution::constant(10_000.0));
    let addr = sim.addr();
    let mut client = Client::connect(&sim);
    client.send_post("/v1/chat/completions", "", &chat(5));
    std::thread::sleep(Duration::from_millis(30));
    let served = sim.stop().expect("stopped");
    assert_eq!(served.requests[0].outcome, Outcome::ServerStopped);
    assert_eq!(served.counters.server_stopped, 1);
    assert!(!client.response().complete);
    let again = start(|config| config.bind = addr);
    let mut client = Client::connect(&again);
    assert_eq!(client.post("/v1/chat/completions", "", &chat(1)).status, 200, "the port is free again");
}

#[test]
fn the_log_file_has_every_request() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("sim.jsonl");
    let sim = start(|config| {
        config.log.file = Some(path.clone());
        config.log.keep_requests = 5;
    });
    let mut client = Client::connect(&sim);
    for n in 0..20 {
        client.post("/v1/chat/completions", &format!("X-Request-ID: r{n}\r\n"), &chat(2));
    }
    sim.wait_for_log(20, PATIENCE).expect("logged");
    let served = sim.stop().expect("stopped");
    assert_eq!(
        (served.requests.len(), served.counters.forgotten, served.counters.log_lines_lost),
        (5, 15, 0)
    );
    let lines = tokmeter_sim::read_log_file(&path).expect("readable");
    assert_eq!(lines.len(), 20);
    assert!(lines.iter().enumerate().all(|(n, line)| line.x_request_id == Some(format!("r{n}"))));
    assert_eq!(
        lines[15..].iter().collect::<Vec<_>>(),
        served.requests.iter().map(|r| &**r).collect::<Vec<_>>()
    );
    let mut file = std::fs::OpenOptions::new().append(true).open(&path).expect("open");
    file.write_all(b"{\"ordinal\":1,\n").expect("written");
    assert!(tokmeter_sim::read_log_file(&path).is_err());
}
