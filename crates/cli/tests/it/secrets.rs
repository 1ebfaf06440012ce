//! Planted secrets never come out, wherever they went in and whatever the server does with them.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use crate::run;

/// Part of every planted secret.
const MARK: &str = "PLANTED";
/// base64 of `user:tk-PLANTED-url`.
const BASIC: &str = "dXNlcjp0ay1QTEFOVEVELXVybA";

fn contents(directory: &Path) -> Vec<(String, Vec<u8>)> {
    fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| (path.display().to_string(), fs::read(&path).unwrap()))
        .collect()
}

fn assert_clean(name: &str, bytes: &[u8]) {
    for secret in [MARK, BASIC] {
        let found = bytes.windows(secret.len()).position(|window| window == secret.as_bytes());
        let shown = found.map(|at| &bytes[at.saturating_sub(80)..bytes.len().min(at + 40)]);
        assert!(shown.is_none(), "{name} holds a secret: {}", String::from_utf8_lossy(shown.unwrap()));
    }
}

/// A server that tells everyone what it was told: request line and headers come back as error body, as answer text, as
/// response header and as label of a metric.
fn parrot() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let Ok(stream) = stream else { continue };
            std::thread::spawn(move || repeat(stream, number));
        }
    });
    address
}

fn repeat(mut stream: TcpStream, number: usize) {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read_exact(&mut byte).is_err() {
            return;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let length = head
        .lines()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).unwrap();
    std::thread::sleep(Duration::from_millis(200));
    let said = format!("you sent {} {}", head.replace("\r\n", " | "), String::from_utf8_lossy(&body));
    let quoted = serde_json::to_string(&said).unwrap();
    let key = head.lines().find_map(|line| line.strip_prefix("authorization: ")).unwrap_or("none").to_owned();
    let (status, kind, answer) = if head.starts_with("GET /metrics") || head.starts_with("HEAD") {
        ("200 OK", "text/plain; version=0.0.4", "# TYPE up gauge\nup{who=\"me\"} 1\n".to_owned())
    } else if number.is_multiple_of(2) {
        ("401 Unauthorized", "application/json", format!("{{\"error\":{{\"message\":{quoted}}}}}"))
    } else {
        let delta = |finish: &str| {
            format!(
                "data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":{quoted}}},\"finish_reason\":{finish}}}]}}\n\n"
            )
        };
        ("200 OK", "text/event-stream", delta("null") + &delta("\"stop\"") + "data: [DONE]\n\n")
    };
    let body = if head.starts_with("HEAD") { "" } else { &answer };
    let _ = write!(
        stream,
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\nx-you-are: {key}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        answer.len()
    );
}

#[test]
fn no_file_and_no_output_holds_a_secret() {
    let address = parrot();
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("run.yaml");
    fs::write(&config, "header: 'X-Session-Token: tk-PLANTED-yaml'\n").unwrap();
    let artifacts = directory.path().join("run");
    let child = run::tokmeter()
        .args(["profile", "--config"])
        .arg(&config)
        .args(["-m", "sim-model", "--streaming", "--request-count", "8", "--osl", "4", "--ui", "none"])
        .args([
            "--url",
            &format!("http://user:tk-PLANTED-url@{address}/v1?api_key=tk-PLANTED-query&tier=gold"),
        ])
        .args(["--endpoint", "/v1/chat/completions?sig=tk-PLANTED-path"])
        .args([
            "--server-metrics",
            &format!("http://m:tk-PLANTED-metrics@{address}/metrics?t=tk-PLANTED-scrape"),
        ])
        .args([
            "--extra-inputs",
            r#"{"api_key": "tk-PLANTED-extra", "deep": {"password": "tk-PLANTED-deep\"q"}}"#,
        ])
        .args(["-H", "Cookie: sid=tk-PLANTED-cookie"])
        .args([
            "--export-level",
            "raw",
            "--export-http-trace",
            "--export-outputs-json",
            "-vv",
            "--log-level=trace",
        ])
        .args([
            "--server-metrics-formats",
            "json,csv,parquet,jsonl",
            "--concurrency",
            "2",
            "--no-gpu-telemetry",
        ])
        .arg("--artifact-dir")
        .arg(&artifacts)
        .arg("--export-har")
        .arg(artifacts.join("run.har"))
        .arg("--export-perfetto")
        .arg(artifacts.join("run.perfetto.json"))
        .env("TOKMETER_API_KEY", "tk-PLANTED-environment")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // What `ps` and `top` show: the names of threads. (Arguments are the user's own; the key came by environment.)
    std::thread::sleep(Duration::from_millis(300));
    for task in fs::read_dir(format!("/proc/{}/task", child.id())).unwrap().flatten() {
        assert_clean("a thread's name", &fs::read(task.path().join("comm")).unwrap_or_default());
    }
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", run::shown(&output));

    let files = contents(&artifacts);
    assert!(files.len() >= 11, "the run wrote its files: {}", files.len());
    assert_clean("stdout", &output.stdout);
    assert_clean("stderr", &output.stderr);
    for (name, bytes) in &files {
        assert_clean(name, bytes);
    }
    // The server did get them and did send them back: the test would prove nothing otherwise.
    let records = run::records(&artifacts);
    let told =
        |word: &str| records.iter().any(|record| record["error"]["message"].to_string().contains(word));
    assert!(told("you sent POST") && told("<redacted>"), "{records:?}");
    assert!(records.iter().any(|record| record.get("error").is_none()), "some were answered");
}

#[test]
fn a_usage_error_and_a_broken_configuration_do_not_repeat_secrets() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("run.yaml");
    fs::write(&config, "api-key: tk-PLANTED-yaml\nno-such-flag: 1\n").unwrap();
    for flags in [
        vec!["--url", "http://user:tk-PLANTED-url@host:99999", "-m", "m"],
        vec!["--config", config.to_str().unwrap(), "-m", "m"],
        vec!["--api-key", "tk-PLANTED\nkey", "-m", "m", "--url", "http://127.0.0.1:1"],
        vec!["--extra-inputs", "{\"api_key\": \"tk-PLANTED", "-m", "m"],
        vec!["--proxy", "http://user:tk-PLANTED@:1:2", "-m", "m"],
    ] {
        let output = run::tokmeter()
            .arg("profile")
            .args(&flags)
            .args([
                "--artifact-dir",
                directory.path().join("run").to_str().unwrap(),
                "--request-count=1",
                "--ui=none",
            ])
            .env("RUST_BACKTRACE", "1")
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{flags:?}: {}", run::shown(&output));
        assert_clean(&format!("{flags:?}: stderr"), &output.stderr);
        assert_clean(&format!("{flags:?}: stdout"), &output.stdout);
    }
}
