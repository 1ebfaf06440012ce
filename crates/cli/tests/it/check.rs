//! `check`: what it says of servers whose settings are known.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Output;
use std::sync::Arc;

use serde_json::Value;
use tokmeter_sim::{Fault, FaultRule, LineEnd, MetricsMode, Sim, SimConfig, UsageReport};

use crate::run;

fn check(url: &str, flags: &[&str]) -> Output {
    run::tokmeter().args(["check", url]).args(flags).output().unwrap()
}

fn found(url: &str, flags: &[&str]) -> Value {
    let output = check(url, &[flags, &["--json"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", run::shown(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn with(adjust: impl FnOnce(&mut SimConfig)) -> Value {
    let mut config = run::config(2.0, 1.0);
    adjust(&mut config);
    let sim = Sim::start(config).unwrap();
    found(&sim.url(), &[])
}

#[test]
fn a_plain_server_is_described_and_the_next_command_runs() {
    let sim = run::sim(2.0, 1.0);
    let seen = found(&sim.url(), &[]);
    assert_eq!(seen["dns"]["literal"], true);
    assert_eq!(seen["dns"]["addresses"][0]["ip"], "127.0.0.1");
    assert!(seen["dns"]["addresses"][0]["connect_ms"].as_f64().is_some());
    assert_eq!(seen["connection"]["tls"], Value::Null);
    assert_eq!(seen["http"]["http1"]["spoken"], true);
    assert_eq!(seen["http"]["http2"]["spoken"], true, "by prior knowledge");
    assert_eq!(seen["models"]["used"], "sim-model");
    assert_eq!(seen["models"]["max_model_len"], 131_072);
    let stream = &seen["stream"];
    assert_eq!((&stream["streams"], &stream["usage"]), (&true.into(), &true.into()));
    assert_eq!(stream["line_ends"], serde_json::json!(["LF"]));
    assert_eq!((&stream["tokens_per_event"], &stream["completion_tokens"]), (&1.0.into(), &32.into()));
    assert!(stream["first_token_ms"].as_f64().unwrap() >= 2.0);
    assert_eq!(seen["keep_alive"], serde_json::json!({"after_page": "kept", "after_answer": "kept"}));
    assert_eq!(seen["metrics"]["path"], "/metrics");
    assert_eq!(seen["metrics"]["engine"], "vllm");
    assert!(seen["machine"]["cores"].as_u64().unwrap() > 0);

    let next = seen["next"].as_str().unwrap();
    let words: Vec<&str> = next.split(' ').collect();
    assert_eq!(words[0], "tokmeter");
    let directory = tempfile::tempdir().unwrap();
    let flags: Vec<&str> = words[1..].iter().map(|word| if *word == "200" { "3" } else { word }).collect();
    let output = run::tokmeter()
        .args(flags)
        .args(["--ui", "none", "--artifact-dir"])
        .arg(directory.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", run::shown(&output));
    assert_eq!(run::records(directory.path()).len(), 3);
}

#[test]
fn streams_are_told_apart() {
    let seen = with(|config| {
        config.wire.line_end = LineEnd::Crlf;
        config.output.tokens_per_event = 4;
    });
    assert_eq!(seen["stream"]["line_ends"], serde_json::json!(["CRLF"]));
    assert_eq!(seen["stream"]["tokens_per_event"], 4.0);

    let seen = with(|config| config.output.usage = UsageReport::Never);
    assert_eq!(seen["stream"]["usage"], false);
    assert_eq!(seen["stream"]["tokens_per_event"], Value::Null);
    assert_eq!(seen["stream"]["streams"], true);
}

#[test]
fn connections_and_protocols_are_told_apart() {
    let seen = with(|config| {
        config.connections.keep_alive = false;
        config.connections.http2 = false;
    });
    assert_eq!(seen["keep_alive"], serde_json::json!({"after_page": "closed", "after_answer": "closed"}));
    assert_eq!(seen["http"]["http2"]["spoken"], false);

    let seen = with(|config| config.connections.silent_close_after_stream = true);
    assert_eq!(seen["keep_alive"]["after_page"], "kept");
    assert_ne!(seen["keep_alive"]["after_answer"], "kept");
}

#[test]
fn a_prefix_cache_shows_in_usage_or_in_time() {
    let seen = with(|config| config.output.prefix_cache_blocks = 10_000);
    assert_eq!(seen["prefix_cache"]["visible"], "counted");
    let cached = seen["prefix_cache"]["cached_tokens"].as_i64().unwrap();
    assert!(cached > seen["prefix_cache"]["prompt_tokens"].as_i64().unwrap() / 2, "{seen}");

    // A prefill of 200 us a token: hundreds of milliseconds that only a cache saves.
    let seen = with(|config| {
        config.output.prefix_cache_blocks = 10_000;
        config.output.usage = UsageReport::Never;
        config.timing.prefill_us_per_token = 200.0;
    });
    assert_eq!(seen["prefix_cache"]["visible"], "faster", "{seen}");
    assert_eq!(with(|_| {})["prefix_cache"]["visible"], "no");
}

#[test]
fn metrics_are_looked_for_where_engines_have_them() {
    let seen = with(|config| config.metrics.mode = MetricsMode::PrometheusPath);
    assert_eq!(seen["metrics"]["path"], "/prometheus/metrics");
    let seen = with(|config| config.metrics.mode = MetricsMode::Off);
    assert_eq!(seen["metrics"]["path"], Value::Null);
    assert_eq!(seen["metrics"]["elsewhere"][0]["problem"], "status 404");
}

#[test]
fn an_endpoint_that_cannot_be_reached_is_exit_3_and_still_described() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let output = check(&address, &[]);
    assert_eq!(output.status.code(), Some(3), "{}", run::shown(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("127.0.0.1 (refused)") && text.contains("open files"), "{text}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("refused"));
    let output = check("http://no-such-host.invalid:1", &["--timeout", "10"]);
    assert_eq!(output.status.code(), Some(3), "{}", run::shown(&output));
    assert_eq!(check("ftp://x", &[]).status.code(), Some(2));
    assert_eq!(check(&address, &["--timeout", "0"]).status.code(), Some(2));
}

#[test]
fn a_server_that_refuses_requests_is_exit_1() {
    let mut config = run::config(1.0, 0.0);
    config.faults.push(FaultRule::every(Fault::Status { code: 503, engine: tokmeter_sim::Engine::Vllm }));
    let sim = Sim::start(config).unwrap();
    let output = check(&sim.url(), &[]);
    assert_eq!(output.status.code(), Some(1), "{}", run::shown(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("status 503") && !text.contains("next:"), "{text}");
}

#[test]
fn the_key_is_used_and_never_shown() {
    let mut config = run::config(1.0, 0.0);
    config.api_key = Some("s3cret-key".to_owned());
    let sim = Sim::start(config).unwrap();
    let refused = check(&sim.url(), &["--api-key", "wr0ng-key", "-m", "sim-model"]);
    assert_eq!(refused.status.code(), Some(1), "{}", run::shown(&refused));
    let url = sim.url().replace("http://", "http://user:passw0rd@");
    for flags in [&["--api-key", "s3cret-key"][..], &["-H", "Authorization: Bearer s3cret-key", "--json"]] {
        let output = check(&url, flags);
        assert_eq!(output.status.code(), Some(0), "{}", run::shown(&output));
        let shown = run::shown(&output);
        assert!(!shown.contains("s3cret") && !shown.contains("passw0rd"), "{shown}");
    }
    assert!(!run::shown(&refused).contains("wr0ng"));
}

#[test]
fn what_a_server_says_cannot_steer_the_terminal() {
    let mut config = run::config(1.0, 0.0);
    config.models = vec!["evil\u{1b}[2Jmodel\nnext: rm".to_owned()];
    let sim = Sim::start(config).unwrap();
    let output = check(&sim.url(), &[]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("evil\u{fffd}[2Jmodel\u{fffd}next: rm"), "{text}");
    assert!(!text.contains('\u{1b}') && !text.contains("\nnext: rm"), "{text}");
}

/// A server that answers every request of every TLS connection with an empty model list.
fn tls_server(not_after: (i32, u8, u8)) -> (String, tempfile::NamedTempFile) {
    let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(not_after.0, not_after.1, not_after.2);
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let pem = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(pem.path(), certificate.pem()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let settings = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key.serialize_der().try_into().unwrap())
        .unwrap();
    let settings = Arc::new(settings);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let settings = Arc::clone(&settings);
            std::thread::spawn(move || {
                let session = rustls::ServerConnection::new(settings).unwrap();
                let mut stream = rustls::StreamOwned::new(session, socket.unwrap());
                let mut request = [0; 4096];
                while matches!(stream.read(&mut request), Ok(read) if read > 0) {
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n{\"data\":[]}");
                }
            });
        }
    });
    (url, pem)
}

#[test]
fn tls_is_told_in_words() {
    let (url, pem) = tls_server((2199, 4, 5));
    let pem = pem.path().to_str().unwrap();
    let output = check(&url, &["--cacert", pem]);
    assert_eq!(output.status.code(), Some(1), "no model to ask: {}", run::shown(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("TLSv1.3, TLS_") && text.contains("no ALPN"), "{text}");
    assert!(text.contains("(2199-04-05)"), "{text}");

    let output = check(&url, &["--json", "--api-key", "s3cret"]);
    assert_eq!(output.status.code(), Some(3), "{}", run::shown(&output));
    let seen: Value = serde_json::from_slice(&output.stdout).unwrap();
    let tls = &seen["connection"]["tls"];
    assert_eq!((&tls["version"], &tls["not_after"]), (&"TLSv1.3".into(), &7_234_704_000_i64.into()));
    assert!(tls["problem"].as_str().unwrap().contains("self-signed"), "{tls}");
    assert_eq!(seen["models"], Value::Null, "nothing is asked of a server that is not trusted");

    let (url, pem) = tls_server((2020, 1, 2));
    let output = check(&url, &["--cacert", pem.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(3), "{}", run::shown(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("expired") && text.contains("(2020-01-02)"), "{text}");
    let output = check(&url, &["--insecure"]);
    assert_eq!(output.status.code(), Some(1), "{}", run::shown(&output));
}
