//! What passes unchanged, and when.

use std::io::{Read, Write};
use std::sync::mpsc;

use tokmeter_gateway::{Format, Metric};
use tokmeter_sim::Distribution;

use crate::running::{Answer, PATIENCE, before, chat_request, scripted, sim};

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nx-odd: \xff\r\ntransfer-encoding: chunked\r\n\r\n";

#[test]
fn a_piece_arrives_before_the_next_is_sent() {
    let (arrived, go_on) = mpsc::channel();
    let (url, upstream) = scripted(b"}}", move |stream| {
        stream.write_all(HEAD).unwrap();
        stream.write_all(b"8\r\ndata: {\"\r\n").unwrap();
        go_on.recv_timeout(PATIENCE).expect("the client has the first piece");
        stream.write_all(b"c\r\nx\":1}\r\n\r\n\xff\xfe\0\r\n0\r\n\r\n").unwrap();
    });
    let gateway = before(&url, |_| {});
    let mut client = gateway.connect();
    client.write_all(&chat_request("m", 8, "")).unwrap();
    let mut received = Vec::new();
    let mut buffer = [0; 1024];
    while !received.windows(8).any(|window| window == b"data: {\"") {
        let count = client.read(&mut buffer).unwrap();
        assert!(count > 0);
        received.extend_from_slice(&buffer[..count]);
    }
    arrived.send(()).unwrap();
    client.read_to_end(&mut received).unwrap();
    let answer = Answer(received);
    assert_eq!(answer.chunked_body(), b"data: {\"x\":1}\r\n\r\n\xff\xfe\0");
    assert!(answer.0.windows(9).any(|window| window == b"x-odd: \xff\r"), "header bytes pass unchanged");
    upstream.join().unwrap();
}

#[test]
fn the_request_passes_unchanged_but_for_its_connection() {
    let (url, upstream) = scripted(b"}}", |stream| {
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}")
            .unwrap();
    });
    let gateway = before(&format!("{url}/base"), |_| {});
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let headers = format!(
        "traceparent: {trace}\r\nauthorization: Bearer mine\r\nx-odd: a  b\r\nproxy-authorization: no\r\nte: x\r\n"
    );
    let answer = gateway.chat("m", &headers);
    assert_eq!(answer.status(), 200);
    let request = String::from_utf8(upstream.join().unwrap()).unwrap();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /base/v1/chat/completions HTTP/1.1\r\n"), "{head}");
    for line in [format!("traceparent: {trace}").as_str(), "authorization: Bearer mine", "x-odd: a  b"] {
        assert!(head.contains(line), "{line} in\n{head}");
    }
    for gone in ["proxy-authorization", "te: x", "connection: close", "host: gateway"] {
        assert!(!head.contains(gone), "{gone} in\n{head}");
    }
    let sent = String::from_utf8(chat_request("m", 8, &headers)).unwrap();
    assert_eq!(body, sent.split_once("\r\n\r\n").unwrap().1);
    gateway.wait_for(1);
    let page = gateway.gateway.metrics().render(Format::OpenMetrics);
    let line =
        page.lines().find(|line| line.starts_with("backend_ttfb_seconds_bucket") && line.contains("# {"));
    assert!(line.is_some_and(|line| line.contains("0af7651916cd43dd8448eb211c80319c")), "{page}");
    let timing = answer.header("server-timing").expect("a header");
    assert!(timing.contains("auth_validation;dur=") && timing.contains("gateway_overhead;dur="), "{timing}");
}

#[test]
fn metrics_agree_with_the_servers_log() {
    const REQUESTS: u64 = 5;
    let sim = sim(|config| {
        config.timing.ttft_ms = Distribution::constant(30.0);
        config.timing.itl_ms = Distribution::constant(3.0);
    });
    let gateway = before(&sim.url(), |_| {});
    for _ in 0..REQUESTS {
        assert_eq!(gateway.chat("sim-model", "").status(), 200);
    }
    gateway.wait_for(REQUESTS);
    let log = sim.wait_for_log(REQUESTS, PATIENCE).expect("the log");
    let seconds = |of: &dyn Fn(&tokmeter_sim::RequestLog) -> u64| {
        log.iter().map(|entry| of(entry)).sum::<u64>() as f64 / 1e9
    };
    let count = |name: &str| gateway.sample(&format!("{name}_count"), &[]);
    let sum = |name: &str| gateway.sample(&format!("{name}_sum"), &[]);
    let provider = "provider=\"sim\",model=\"sim-model\",endpoint=\"/v1/chat/completions\"";
    for name in ["backend_ttfb_seconds", "streaming_duration_seconds"] {
        assert_eq!(gateway.sample(&format!("{name}_count"), &[provider]), REQUESTS as f64, "{name}");
    }
    for name in [
        "frontend_processing_seconds",
        "time_to_first_chunk_seconds",
        "gen_ai_server_request_duration_seconds",
        "gen_ai_server_time_to_first_token_seconds",
        "gen_ai_server_time_per_output_token_seconds",
        "gateway_overhead_seconds",
    ] {
        assert_eq!(count(name), REQUESTS as f64, "{name}");
    }
    for stage in
        ["request_parsing", "auth_validation", "request_preparation", "backend_fetch", "stream_processing"]
    {
        let label = format!("stage=\"{stage}\"");
        assert_eq!(
            gateway.sample("request_stage_duration_seconds_count", &[&label]),
            REQUESTS as f64,
            "{stage}"
        );
    }
    // Every interval of the gateway holds the server's own, so it is longer, and by no more than the whole.
    let served = seconds(&|entry| entry.end_ns - entry.body_received_ns);
    let total = sum("gen_ai_server_request_duration_seconds");
    let token = seconds(&|entry| entry.first_token_write().unwrap().write_start_ns - entry.body_received_ns);
    let first_token = sum("gen_ai_server_time_to_first_token_seconds");
    assert!(first_token >= token && first_token < total, "{first_token} and the server's {token}");
    assert!(total >= served * 0.99, "{total} and the server's {served}");
    let overhead = sum("gateway_overhead_seconds");
    assert!(overhead > 0.0 && overhead < total - token, "{overhead} of {total}");
    // First byte (the role event at once) and first token (30 ms later) differ.
    let first_chunk = sum("time_to_first_chunk_seconds");
    assert!(first_token - first_chunk >= 0.02 * REQUESTS as f64, "{first_chunk} and {first_token}");
    let tokens = |of: &str| gateway.sample("gateway_tokens_total", &[&format!("token_type=\"{of}\"")]);
    assert_eq!(tokens("output"), log.iter().map(|entry| f64::from(entry.sent_tokens)).sum::<f64>());
    assert_eq!(tokens("input"), log.iter().map(|entry| f64::from(entry.prompt_tokens)).sum::<f64>());
    let shares = gateway.sample("stage_percentage", &["endpoint=\"/v1/chat/completions\""]);
    assert!(shares > 50.0 && shares <= 100.0, "{shares}");
}

#[test]
fn models_go_to_their_upstreams() {
    let (one, two) = (sim(|_| {}), sim(|_| {}));
    let gateway = before(&one.url(), |config| {
        let mut second = config.upstreams[0].clone();
        second.name = "two".into();
        second.url = two.url();
        config.upstreams.push(second);
        let route = |model: &str, upstream: &str| tokmeter_gateway::proxy::RouteConfig {
            model: model.into(),
            upstream: upstream.into(),
        };
        config.routes = vec![route("a", "sim"), route("b", "two")];
    });
    for (model, status) in [("a", 200), ("b", 200), ("b", 200), ("c", 404)] {
        assert_eq!(gateway.chat(model, "").status(), status, "{model}");
    }
    assert_eq!(gateway.ask(b"GET /v1/models HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n").status(), 400);
    gateway.wait_for(5);
    assert_eq!((one.counters().received, two.counters().received), (1, 2));
    assert_eq!(gateway.sample("gateway_requests_total", &["provider=\"two\",model=\"b\""]), 2.0);
}

#[test]
fn the_pages_answer_and_are_not_counted() {
    let sim = sim(|_| {});
    let gateway = before(&sim.url(), |_| {});
    gateway.chat("sim-model", "");
    gateway.wait_for(1);
    let get = |path: &str| {
        gateway.ask(format!("GET {path} HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n").as_bytes())
    };
    assert_eq!((get("/healthz").status(), get("/readyz").status()), (200, 200));
    let page = get("/metrics");
    assert_eq!(page.header("content-type").as_deref(), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert!(page.text().contains("gateway_requests_total{provider=\"sim\""), "{}", page.text());
    assert_eq!(gateway.gateway.metrics().total(Metric::Requests), 1);
}

#[test]
fn a_stop_lets_streams_finish() {
    let (started, go_on) = mpsc::channel();
    let (url, upstream) = scripted(b"}}", move |stream| {
        stream.write_all(HEAD).unwrap();
        stream.write_all(b"3\r\n: a\r\n").unwrap();
        go_on.recv_timeout(PATIENCE).expect("the gateway is stopping");
        stream.write_all(b"10\r\n\n\ndata: [DONE]\n\n\n\r\n0\r\n\r\n").unwrap();
    });
    let mut gateway = before(&url, |_| {});
    let mut client = gateway.connect();
    client.write_all(&chat_request("m", 8, "")).unwrap();
    let mut received = vec![0; 16];
    client.read_exact(&mut received).unwrap();
    gateway.begin_stop();
    // The listener closes first; then the stream is all that is left.
    while std::net::TcpStream::connect(gateway.address).is_ok() {
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    started.send(()).unwrap();
    client.read_to_end(&mut received).unwrap();
    assert!(Answer(received).text().contains("data: [DONE]"));
    gateway.stop();
    assert_eq!(gateway.outcome("ok"), 1.0);
    upstream.join().unwrap();
}
