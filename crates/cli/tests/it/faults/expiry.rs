//! A certificate that expires while the run goes on.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::process::Output;
use std::sync::{Arc, Mutex};

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;

use super::server::{answer, read_request, request_id};
use crate::run;

/// Connections that get the good certificate; all later ones get the expired one.
const GOOD: usize = 6;

/// A server whose certificate expires after [`GOOD`] connections.
struct Expiring {
    url: String,
    /// PEM of both certificates, to be trusted.
    trusted: tempfile::NamedTempFile,
    /// `X-Request-ID` of every request that was read.
    served: Arc<Mutex<Vec<String>>>,
}

/// Settings with a certificate that is valid to this year, and its PEM.
fn settings(not_after_year: i32) -> (Arc<ServerConfig>, String) {
    let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(not_after_year, 1, 2);
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let settings = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key.serialize_der().try_into().unwrap())
        .unwrap();
    (Arc::new(settings), certificate.pem())
}

fn expiring() -> Expiring {
    let (good, good_pem) = settings(2199);
    let (expired, expired_pem) = settings(2020);
    let trusted = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(trusted.path(), good_pem + &expired_pem).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let served = Arc::new(Mutex::new(Vec::new()));
    let log = served.clone();
    std::thread::spawn(move || {
        for (number, socket) in listener.incoming().enumerate() {
            let settings = if number < GOOD { good.clone() } else { expired.clone() };
            let log = log.clone();
            std::thread::spawn(move || {
                let mut stream = StreamOwned::new(ServerConnection::new(settings).unwrap(), socket.unwrap());
                while let Some(head) = read_request(&mut stream) {
                    log.lock().unwrap().extend(request_id(&head));
                    if stream.write_all(&answer("data: [DONE]\n\n")).is_err() {
                        return;
                    }
                }
            });
        }
    });
    Expiring { url, trusted, served }
}

fn profile(server: &Expiring, directory: &Path, flags: &[&str]) -> Output {
    run::tokmeter()
        .args([
            "profile",
            "--model=m",
            "--ui=none",
            "--streaming",
            "--http-version=1.1",
            "--osl=6",
            "--isl=16",
        ])
        .args(["--no-server-metrics", "--no-gpu-telemetry", "--url", &server.url, "--cacert"])
        .arg(server.trusted.path())
        .arg("--artifact-dir")
        .arg(directory)
        .args(flags)
        .output()
        .expect("the binary starts")
}

#[test]
fn a_certificate_that_expires_mid_run_fails_new_connections_only() {
    let closed = ["--concurrency=4", "--request-count=12"];
    let open = ["--request-rate=100", "--request-count=12"];
    let turns = ["--concurrency=2", "--conversation-num=4", "--conversation-turn-mean=3"];
    for (mode, flags) in [("closed", &closed[..]), ("open", &open), ("turns", &turns)] {
        let (server, place) = (expiring(), tempfile::tempdir().unwrap());
        let flags = [flags, &["--connection-reuse-strategy=never"]].concat();
        let output = profile(&server, place.path(), &flags);
        assert_eq!(output.status.code(), Some(0), "{mode}: {}", run::shown(&output));

        let served = server.served.lock().unwrap().clone();
        assert_eq!(served.len(), GOOD, "{mode}: one connection for each request");
        let mut answered = BTreeSet::new();
        let mut failed = 0;
        for record in run::records(place.path()) {
            let id = record["metadata"]["x_request_id"].as_str().expect("an id").to_owned();
            match record.get("error") {
                None => assert!(answered.insert(id), "{mode}: one record for each request"),
                Some(error) => {
                    failed += 1;
                    let told = [&error["class"], &error["side"], &error["phase"]];
                    assert_eq!(told, ["tls", "network", "tls"], "{mode}: {error}");
                    assert!(error["message"].as_str().is_some_and(|why| why.contains("expired")), "{error}");
                }
            }
        }
        assert_eq!(answered, served.into_iter().collect(), "{mode}");
        assert!(failed > 0, "{mode}: connections after the expiry fail");
        let requests = &run::summary(place.path())["tokmeter"]["requests"];
        let counted = [&requests["sent"], &requests["succeeded"], &requests["failed"]];
        let expected = [GOOD + failed, GOOD, failed].map(Value::from);
        assert_eq!(counted, expected.each_ref(), "{mode}");
    }
}

#[test]
fn connections_from_before_the_expiry_stay_good() {
    let (server, place) = (expiring(), tempfile::tempdir().unwrap());
    // Three connections of six: none has to be made after the expiry.
    let output = profile(&server, place.path(), &["--concurrency=3", "--request-count=30"]);
    assert_eq!(output.status.code(), Some(0), "{}", run::shown(&output));
    assert_eq!(run::summary(place.path())["tokmeter"]["requests"]["succeeded"], 30);
}
