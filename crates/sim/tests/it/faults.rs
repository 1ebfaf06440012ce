//! Every fault does on the wire what its name says, and the log says so.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use flate2::read::GzDecoder;
use serde_json::Value;
use tokmeter_sim::{Engine, Fault, FaultRule, Outcome, RunningSim};

use crate::client::{Client, PATIENCE, Response, chat, start};

/// The answer to a chat stream of six tokens with this script, and the server's log entry of it.
fn play(script: &str) -> (Response, std::sync::Arc<tokmeter_sim::RequestLog>, Client, RunningSim) {
    let sim = start(|_| {});
    let mut client = Client::connect(&sim);
    let response = client.post("/v1/chat/completions", &format!("X-Sim-Script: {script}\r\n"), &chat(6));
    let log = sim.wait_for_log(1, PATIENCE).expect("logged");
    let entry = log[0].clone();
    assert_eq!(entry.outcome, Outcome::Fault, "{script}");
    assert_eq!(entry.fault.as_deref(), script.split(':').next(), "{script}");
    assert_eq!((sim.counters().faults, sim.counters().received), (1, 1));
    (response, entry, client, sim)
}

#[test]
fn statuses_have_the_bodies_of_engines() {
    let body = |script: &str| {
        let (response, entry, ..) = play(script);
        assert_eq!(entry.status, response.status);
        (response.status, response.json())
    };
    let (status, json) = body("status:429");
    assert!(status == 429 && json["error"]["message"].is_string(), "{json}");
    let (status, json) = body("status:401:vllm");
    assert!(status == 401 && json["error"] == "Unauthorized", "{json}");
    let (status, json) = body("status:400:sglang");
    assert!(status == 400 && json["object"] == "error", "{json}");
    let (status, json) = body("status:503:dynamo");
    assert!(status == 503 && json["code"] == 503 && json["type"] == "Service Unavailable", "{json}");
    let (status, json) = body("status:422:fastapi");
    assert!(status == 422 && json["detail"].is_array(), "{json}");
    let (response, _, mut client, _sim) = play("status:400:llamacpp");
    assert_eq!(response.header("connection"), Some("close"));
    assert_eq!(client.rest(), b"");
    let (response, ..) = play("status:500:hf");
    assert_eq!(
        (response.text(), response.header("content-type")),
        ("Internal Server Error", Some("text/plain; charset=utf-8"))
    );
}

#[test]
fn connections_end_before_or_inside_the_head() {
    for script in ["close-before-headers", "reset-before-headers", "reset-in-headers"] {
        let (response, entry, ..) = play(script);
        assert_eq!(response.status, 0, "{script}");
        assert_eq!((entry.sent_tokens, entry.writes.len()), (0, 0), "{script}");
    }
}

#[test]
fn resets_are_resets_and_closes_are_closes() {
    let ends_with_reset = |script: &str| {
        let sim = start(|_| {});
        let mut client = Client::connect(&sim);
        client.send_post("/v1/chat/completions", &format!("X-Sim-Script: {script}\r\n"), &chat(6));
        let mut buf = [0; 4096];
        loop {
            match client.stream.read(&mut buf) {
                Ok(0) => return false,
                Ok(_) => {}
                Err(error) => return error.kind() == std::io::ErrorKind::ConnectionReset,
            }
        }
    };
    assert!(ends_with_reset("reset-before-headers"));
    assert!(ends_with_reset("reset-mid-stream:3"));
    assert!(ends_with_reset("reset-after-last-token"));
    assert!(ends_with_reset("rst-stream:3"));
    assert!(!ends_with_reset("close-before-headers"));
    assert!(!ends_with_reset("close-mid-stream:3"));
}

#[test]
fn streams_are_cut_after_the_asked_tokens() {
    for (script, tokens) in [
        ("close-mid-stream:0", 0),
        ("close-mid-stream:3", 3),
        ("close-mid-stream:99", 6),
        ("bad-chunk-size:4", 4),
        ("truncate:2", 2),
        ("done-without-finish:2", 2),
        ("abort:5", 5),
        ("error-event:1", 1),
        ("named-error-event:1", 1),
    ] {
        let (response, entry, ..) = play(script);
        assert_eq!(response.content().split_whitespace().count(), tokens, "{script}");
        assert_eq!(entry.sent_tokens as usize, tokens, "{script}");
    }
    // What was sent before a reset may be lost on the way, but the log has it.
    assert_eq!(play("reset-mid-stream:3").1.sent_tokens, 3);
    assert_eq!(play("reset-after-last-token").1.sent_tokens, 6);
}

#[test]
fn streams_end_as_the_fault_says() {
    let end = |script: &str| {
        let (response, ..) = play(script);
        let done = response.text().ends_with("data: [DONE]\n\n");
        let finish = response
            .events()
            .iter()
            .find_map(|e| e["choices"][0]["finish_reason"].as_str().map(str::to_owned));
        let error = response.events().iter().any(|e| e["error"]["message"].is_string());
        (response.complete, done, finish, error)
    };
    assert_eq!(end("close-mid-stream"), (false, false, None, false));
    assert_eq!(end("bad-chunk-size"), (false, false, None, false));
    assert_eq!(end("truncate"), (true, false, None, false));
    assert_eq!(end("done-without-finish"), (true, true, None, false));
    assert_eq!(end("abort"), (true, true, Some("abort".to_owned()), false));
    assert_eq!(end("error-event"), (true, true, None, true));
    assert_eq!(end("named-error-event"), (true, true, None, true));
    assert!(play("named-error-event").0.text().contains("event: error\ndata: {\"error\""));
}

#[test]
fn one_event_is_spoilt_and_the_rest_arrives() {
    let (response, ..) = play("invalid-json:2");
    let broken = response.payloads().iter().filter(|p| serde_json::from_str::<Value>(p).is_err()).count();
    assert_eq!(broken, 2, "the spoilt one and [DONE]");
    assert_eq!(response.content().split_whitespace().count(), 6);
    let (response, ..) = play("invalid-utf8:2");
    assert!(response.complete && std::str::from_utf8(&response.body).is_err());
}

#[test]
fn stalls_last_until_the_client_gives_up() {
    for (script, some) in [("stall-before-headers", false), ("stall-mid-stream:2", true)] {
        let sim = start(|_| {});
        let mut client = Client::connect(&sim);
        client.send_post("/v1/chat/completions", &format!("X-Sim-Script: {script}\r\n"), &chat(6));
        client.stream.set_read_timeout(Some(Duration::from_millis(100))).expect("timeout");
        let mut received = Vec::new();
        let error = client.stream.read_to_end(&mut received).expect_err("no end");
        assert!(matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut));
        assert_eq!(!received.is_empty(), some, "{script}");
        assert!(sim.log().is_empty(), "{script}: still open");
        drop(client);
        let entry = sim.wait_for_log(1, PATIENCE).expect("noticed")[0].clone();
        assert_eq!((entry.outcome, entry.sent_tokens), (Outcome::Fault, if some { 2 } else { 0 }));
    }
}

#[test]
fn an_unread_request_stalls_the_sender() {
    let sim = start(|_| {});
    let mut client = Client::connect(&sim);
    let head = "POST /v1/chat/completions HTTP/1.1\r\nX-Sim-Script: stall-request\r\nContent-Length: 50000000\r\n\r\n";
    client.send(head.as_bytes());
    client.stream.set_write_timeout(Some(Duration::from_millis(200))).expect("timeout");
    let error = client.stream.write_all(&vec![b' '; 50_000_000]).expect_err("the buffers fill up");
    assert!(matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut));
    // Logged while the connection is still open: behind unread bytes no FIN would ever come through.
    let entry = sim.wait_for_log(1, PATIENCE).expect("logged")[0].clone();
    assert_eq!((entry.outcome, entry.body_received_ns), (Outcome::Fault, 0));
}

#[test]
fn lengths_lie() {
    let (long, ..) = play("content-length-long");
    assert!(!long.complete && long.text().ends_with("[DONE]\n\n"));
    let (short, _, mut client, _sim) = play("content-length-short");
    assert!(short.complete && !short.text().ends_with("[DONE]\n\n"));
    assert!(client.rest().ends_with(b"[DONE]\n\n"), "the rest follows unasked");
}

#[test]
fn sizes_are_as_asked() {
    let (response, ..) = play("huge-header:100000");
    assert_eq!(response.header("x-filler").map(str::len), Some(100_000));
    let (response, ..) = play("many-headers:500");
    assert_eq!(response.headers.iter().filter(|(name, _)| name.starts_with("x-filler-")).count(), 500);
    let (response, ..) = play("huge-line:3000000");
    assert_eq!(response.body.len(), "data: ".len() + 3_000_000);
    assert!(!response.body.contains(&b'\n'));
    let (response, ..) = play("gzip-bomb:50000000");
    assert!(response.complete && response.body.len() < 200_000, "{}", response.body.len());
    assert_eq!(response.header("content-encoding"), Some("gzip"));
    let unpacked =
        std::io::copy(&mut GzDecoder::new(response.body.as_slice()), &mut std::io::sink()).expect("gzip");
    assert_eq!(unpacked, 50_000_000);
}

#[test]
fn other_answers_are_as_named() {
    let (response, ..) = play("redirect:308");
    assert_eq!((response.status, response.header("location")), (308, Some("/v1/chat/completions")));
    let (response, ..) = play("empty-ok");
    assert_eq!((response.status, response.body.len(), response.complete), (200, 0, true));
    let (response, ..) = play("non-json");
    assert_eq!(response.header("content-type"), Some("text/html"));
    let (response, ..) = play("go-away");
    assert!(response.complete && response.header("connection") == Some("close"));
}

#[test]
fn dripping_takes_its_time() {
    let sim = start(|_| {});
    let mut body = chat(1);
    body["stream"] = false.into();
    let mut client = Client::connect(&sim);
    let started = Instant::now();
    let response = client.post("/v1/chat/completions", "X-Sim-Script: drip:1\r\n", &body);
    assert!(response.complete);
    assert!(started.elapsed() >= Duration::from_millis(response.body.len() as u64));
}

#[test]
fn answers_that_are_no_streams_are_spoilt_too() {
    let sim = start(|_| {});
    let mut body = chat(6);
    body["stream"] = false.into();
    let post = |script: &str| {
        Client::connect(&sim).post("/v1/chat/completions", &format!("X-Sim-Script: {script}\r\n"), &body)
    };
    let cut = post("close-mid-stream");
    assert!(cut.status == 200 && !cut.complete && !cut.body.is_empty());
    let invalid = post("invalid-json");
    assert!(invalid.complete && serde_json::from_slice::<Value>(&invalid.body).is_err());
    let bytes = post("invalid-utf8");
    assert!(bytes.complete && std::str::from_utf8(&bytes.body).is_err());
    assert_eq!(post("error-event").status, 500);
    assert_eq!(post("abort").json()["choices"][0]["finish_reason"], "abort");
    assert_eq!(post("none").json()["usage"]["completion_tokens"], 6);
}

#[test]
fn rules_hit_the_requests_they_name() {
    let status = Fault::Status { code: 503, engine: Engine::Vllm };
    let sim = start(|config| {
        config.faults = vec![FaultRule::at(status, [2, 4]), FaultRule::at(Fault::EmptyOk, [4, 5])];
    });
    let mut client = Client::connect(&sim);
    let statuses: Vec<(u16, bool)> = (0..6)
        .map(|_| {
            let response = client.post("/v1/chat/completions", "", &chat(1));
            (response.status, response.body.is_empty())
        })
        .collect();
    assert_eq!(statuses, [(200, false), (503, false), (200, false), (503, false), (200, true), (200, false)]);
    let unscripted = client.post("/v1/chat/completions", "X-Sim-Script: nonsense\r\n", &chat(1));
    assert_eq!(unscripted.status, 400);
}

#[test]
fn random_faults_have_the_asked_share_and_repeat() {
    let hit = || {
        let sim = start(|config| {
            config.faults = vec![FaultRule::sometimes(Fault::EmptyOk, 0.3)];
            config.seed = 9;
        });
        let mut client = Client::connect(&sim);
        (0..500)
            .map(|n| {
                client
                    .post("/v1/chat/completions", &format!("X-Request-ID: {n}\r\n"), &chat(1))
                    .body
                    .is_empty()
            })
            .collect::<Vec<_>>()
    };
    let hits = hit();
    let share = hits.iter().filter(|hit| **hit).count();
    assert!((115..=185).contains(&share), "{share} of 500");
    assert_eq!(hits, hit());
}

#[test]
fn the_header_switches_rules_off() {
    let sim = start(|config| config.faults = vec![FaultRule::every(Fault::EmptyOk)]);
    let mut client = Client::connect(&sim);
    assert!(client.post("/v1/chat/completions", "", &chat(1)).body.is_empty());
    assert!(!client.post("/v1/chat/completions", "X-Sim-Script: none\r\n", &chat(1)).body.is_empty());
    let log = sim.wait_for_log(2, PATIENCE).expect("logged");
    assert_eq!((log[1].outcome, log[1].fault.clone()), (Outcome::Completed, None));
}
