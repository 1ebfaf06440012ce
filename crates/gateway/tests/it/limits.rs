//! Requests that are malformed, too large, too slow or not allowed.

use std::io::{Read, Write};

use tokmeter_gateway::Metric;

use crate::running::{before, chat_request, scripted, sim};

#[test]
fn bodies_over_the_limit_are_refused_announced_or_not() {
    let sim = sim(|_| {});
    let gateway = before(&sim.url(), |config| config.limits.max_body_bytes = 1000);
    let announced =
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: h\r\nconnection: close\r\ncontent-length: 1001\r\n\r\n";
    assert_eq!(gateway.ask(announced).status(), 413);
    let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: h\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n";
    let chunk = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
    // Before and after the model is known.
    for begin in ["{\"messages\":\"", "{\"model\":\"sim-model\",\"messages\":\""] {
        let request = format!("{head}{}{}0\r\n\r\n", chunk(begin), chunk(&"x".repeat(2000)));
        assert_eq!(gateway.ask(request.as_bytes()).status(), 413, "{begin}");
    }
    gateway.wait_for(3);
    assert_eq!(gateway.outcome("client_error"), 3.0);
}

#[test]
fn a_model_beyond_the_peek_is_refused_where_it_decides() {
    let sim = sim(|_| {});
    let gateway = before(&sim.url(), |config| {
        config.limits.max_peek_bytes = 10;
        config.routes =
            vec![tokmeter_gateway::proxy::RouteConfig { model: "a".into(), upstream: "sim".into() }];
    });
    assert_eq!(gateway.chat("a", "").status(), 413);
    gateway.wait_for(1);
}

#[test]
fn bytes_that_are_no_http_and_heads_that_are_too_large_do_no_harm() {
    let sim = sim(|_| {});
    let gateway = before(&sim.url(), |config| {
        config.limits.max_headers = 20;
        config.limits.max_head_bytes = 8192;
    });
    assert_eq!(gateway.ask(b"\x16\x03\x01\0\0\xff\xff\r\n\r\n").status(), 400);
    let many: String = (0..30).map(|number| format!("x-{number}: 1\r\n")).collect();
    assert_eq!(gateway.ask(format!("GET / HTTP/1.1\r\n{many}\r\n").as_bytes()).status(), 431);
    let long = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(20_000));
    assert_eq!(gateway.ask(long.as_bytes()).status(), 431);
    assert_eq!(gateway.chat("sim-model", "").status(), 200, "it still serves");
    gateway.wait_for(1);
    assert_eq!(gateway.gateway.metrics().total(Metric::InFlight), 0);
}

#[test]
fn malformed_bodies_are_the_upstreams_to_judge() {
    let sim = sim(|_| {});
    let gateway = before(&sim.url(), |_| {});
    let ask = |body: &str| {
        let length = body.len();
        let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: h\r\nconnection: close\r\ncontent-length: ";
        gateway.ask(format!("{head}{length}\r\n\r\n{body}").as_bytes()).status()
    };
    for body in ["{", "[]", "no json", "{\"model\":7}", ""] {
        let status = ask(body);
        assert!((400..500).contains(&status), "{body}: {status}");
    }
    // Broken chunks are the client's fault and never reach an upstream's answer.
    let broken =
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{";
    assert_eq!(gateway.ask(broken).status(), 400);
    gateway.wait_for(6);
    assert_eq!(gateway.outcome("client_error"), 6.0);
}

#[test]
fn a_body_that_does_not_come_times_out() {
    let sim = sim(|_| {});
    let gateway = before(&sim.url(), |config| config.timeouts.client_idle = 0.2);
    let request = chat_request("sim-model", 8, "");
    // Once before the model is known, once after.
    for missing in [100, 5] {
        let mut client = gateway.connect();
        client.write_all(&request[..request.len() - missing]).unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 408"), "{}", String::from_utf8_lossy(&answer));
    }
    gateway.wait_for(2);
    assert_eq!(gateway.outcome("timeout"), 2.0);
}

#[test]
fn keys_are_asked_for_and_not_passed_on() {
    let (url, upstream) = scripted(b"}}", |stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
    });
    let file = std::env::temp_dir().join(format!("tokmeter-keys-{}", std::process::id()));
    std::fs::write(&file, "# clients\nalpha\n\n").unwrap();
    let own = std::env::temp_dir().join(format!("tokmeter-own-key-{}", std::process::id()));
    std::fs::write(&own, "upstreams-own\n").unwrap();
    let gateway = before(&url, |config| {
        config.api_keys_file = Some(file.clone());
        config.upstreams[0].api_key_file = Some(own.clone());
    });
    std::fs::remove_file(&file).unwrap();
    std::fs::remove_file(&own).unwrap();
    for headers in ["", "authorization: Bearer wrong\r\n", "x-api-key: alph\r\n"] {
        let answer = gateway.chat("m", headers);
        assert_eq!(answer.status(), 401, "{headers}");
        assert_eq!(answer.header("www-authenticate").as_deref(), Some("Bearer"));
    }
    assert_eq!(gateway.chat("m", "authorization: Bearer alpha\r\n").status(), 200);
    let request = String::from_utf8(upstream.join().unwrap()).unwrap();
    assert!(request.contains("authorization: Bearer upstreams-own\r\n"), "{request}");
    assert!(!request.contains("alpha"), "{request}");
    gateway.wait_for(4);
    assert_eq!(gateway.outcome("client_error"), 3.0);
}

#[test]
fn connections_over_the_limit_are_closed_and_counted() {
    let sim = sim(|_| {});
    let gateway = before(&sim.url(), |config| config.limits.max_connections = 1);
    let mut first = gateway.connect();
    // An answer shows that this one is in.
    first.write_all(b"GET /healthz HTTP/1.1\r\nhost: h\r\n\r\n").unwrap();
    let mut byte = [0; 1];
    first.read_exact(&mut byte).unwrap();
    let mut second = gateway.connect();
    assert!(matches!(second.read(&mut byte), Ok(0) | Err(_)));
    assert_eq!(gateway.gateway.metrics().total(Metric::ConnectionsRefused), 1);
    assert_eq!(gateway.sample("gateway_client_connections", &[]), 1.0);
}

#[test]
fn invented_models_and_paths_make_no_series_without_end() {
    let sim = sim(|_| {});
    let gateway = before(&sim.url(), |_| {});
    let requests = 100;
    for number in 0..requests {
        gateway.chat(&format!("invented-{number}"), "");
        let path = format!("GET /secret/{number} HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n");
        gateway.ask(path.as_bytes());
    }
    gateway.wait_for(2 * requests);
    let page = gateway.gateway.metrics().render(tokmeter_gateway::Format::Prometheus);
    let models = page.lines().filter(|line| line.starts_with("backend_ttfb_seconds_count")).count();
    assert!(models <= 67, "{models} models");
    assert!(!page.contains("secret"), "a path is a label");
    let overflow = gateway.sample("gateway_label_overflow_total", &["label=\"model\""]);
    assert_eq!(overflow, 36.0);
}
