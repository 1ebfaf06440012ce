//! A certificate that expires while the run goes on.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Output;
use std::sync::Arc;
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;
use tokmeter_sim::RunningSim;

use crate::run;

/// Connections that get the good certificate; all later ones get the expired one.
const GOOD: usize = 6;

/// A version of HTTP: its flag and its name in TLS (ALPN).
const VERSIONS: [(&str, &str); 2] = [("1.1", "http/1.1"), ("2", "h2")];

/// The simulated server behind TLS, whose certificate expires after [`GOOD`] connections.
struct Expiring {
    sim: RunningSim,
    url: String,
    /// PEM of both certificates, to be trusted.
    trusted: tempfile::NamedTempFile,
}

/// Settings with a certificate that is valid to this year, and its PEM.
fn settings(not_after_year: i32, alpn: &str) -> (Arc<ServerConfig>, String) {
    let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(not_after_year, 1, 2);
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut settings = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key.serialize_der().try_into().unwrap())
        .unwrap();
    settings.alpn_protocols = vec![alpn.as_bytes().to_vec()];
    (Arc::new(settings), certificate.pem())
}

fn expiring(alpn: &str) -> Expiring {
    let (good, good_pem) = settings(2199, alpn);
    let (expired, expired_pem) = settings(2020, alpn);
    let trusted = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(trusted.path(), good_pem + &expired_pem).unwrap();
    let sim = run::sim(1.0, 1.0);
    let inner = sim.addr();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    std::thread::spawn(move || {
        for (number, socket) in listener.incoming().enumerate() {
            let settings = if number < GOOD { good.clone() } else { expired.clone() };
            std::thread::spawn(move || {
                let outer = StreamOwned::new(ServerConnection::new(settings).unwrap(), socket.unwrap());
                forward(outer, TcpStream::connect(inner).unwrap());
            });
        }
    });
    Expiring { sim, url, trusted }
}

/// Carries bytes both ways until either side ends.
fn forward(mut outer: StreamOwned<ServerConnection, TcpStream>, mut inner: TcpStream) {
    let pause = Some(Duration::from_millis(1));
    outer.sock.set_read_timeout(pause).unwrap();
    inner.set_read_timeout(pause).unwrap();
    while carry(&mut outer, &mut inner) && carry(&mut inner, &mut outer) {}
}

/// Carries what can be read now; whether there may be more.
fn carry(from: &mut impl Read, to: &mut impl Write) -> bool {
    let mut buffer = [0; 16 * 1024];
    match from.read(&mut buffer) {
        Ok(0) => false,
        Ok(length) => to.write_all(&buffer[..length]).is_ok(),
        Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
    }
}

fn profile(server: &Expiring, version: &str, directory: &Path, flags: &[&str]) -> Output {
    run::tokmeter()
        .args(["profile", "--model=sim-model", "--ui=none", "--streaming", "--osl=6", "--isl=16"])
        .args(["--http-version", version, "--no-server-metrics", "--no-gpu-telemetry"])
        .args(["--url", &server.url, "--cacert"])
        .arg(server.trusted.path())
        .arg("--artifact-dir")
        .arg(directory)
        .args(flags)
        .output()
        .expect("the binary starts")
}

/// `X-Request-ID` of every request that came through.
fn served(server: &Expiring) -> Vec<String> {
    server.sim.log().iter().filter_map(|request| request.x_request_id.clone()).collect()
}

/// Plays one kind of load whose every request makes its own connection.
fn fails_new_connections_only(version: &str, alpn: &str, mode: &str, flags: &[&str]) {
    let (server, place) = (expiring(alpn), tempfile::tempdir().unwrap());
    let flags = [flags, &["--connection-reuse-strategy=never"]].concat();
    let output = profile(&server, version, place.path(), &flags);
    let mode = format!("{mode}, HTTP/{version}");
    assert_eq!(output.status.code(), Some(0), "{mode}: {}", run::shown(&output));

    let served = served(&server);
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

#[test]
fn a_certificate_that_expires_mid_run_fails_new_connections_only() {
    for (version, alpn) in VERSIONS {
        let closed = ["--concurrency=4", "--request-count=12"];
        let open = ["--request-rate=100", "--request-count=12"];
        let turns = ["--concurrency=2", "--conversation-num=4", "--conversation-turn-mean=3"];
        for (mode, flags) in [("closed", &closed[..]), ("open", &open), ("turns", &turns)] {
            fails_new_connections_only(version, alpn, mode, flags);
        }
    }
}

#[test]
fn connections_from_before_the_expiry_stay_good() {
    for (version, alpn) in VERSIONS {
        let (server, place) = (expiring(alpn), tempfile::tempdir().unwrap());
        // Three connections of six at most: none has to be made after the expiry.
        let output = profile(&server, version, place.path(), &["--concurrency=3", "--request-count=30"]);
        assert_eq!(output.status.code(), Some(0), "{}", run::shown(&output));
        assert_eq!(run::summary(place.path())["tokmeter"]["requests"]["succeeded"], 30);
        assert!(server.sim.log().iter().all(|request| request.http2 == (version == "2")));
    }
}
