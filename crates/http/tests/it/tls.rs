//! TLS: instants, facts, resumption, and each failure in its own words.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::crypto::aws_lc_rs;
use rustls::server::WebPkiClientVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned, SupportedProtocolVersion};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;
use tokmeter_http::{ClientConfig, ConfigError, Exchange, HttpVersion, Origin, TlsOptions};
use tokmeter_record::{ErrorClass, Phase, Side};

use crate::raw::{HELLO, Raw, block_on, body, client, post};

/// A CA of our own, and what it signs.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    pem: String,
    key_pem: String,
}

impl Authority {
    fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let name = format!("tokmeter test CA {:02x?}", &key.public_key_raw()[..4]);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Authority { issuer: Issuer::new(params, key), pem }
    }

    fn sign(&self, names: &[&str], adjust: impl Fn(&mut CertificateParams)) -> Identity {
        let mut params = leaf(names);
        adjust(&mut params);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let ca = CertificateDer::from_pem_slice(self.pem.as_bytes()).expect("the CA");
        Identity {
            chain: vec![certificate.der().clone(), ca],
            key: PrivateKeyDer::try_from(key.serialize_der()).expect("the key"),
            pem: certificate.pem(),
            key_pem: key.serialize_pem(),
        }
    }
}

fn leaf(names: &[&str]) -> CertificateParams {
    CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>()).expect("parameters")
}

fn self_signed(names: &[&str]) -> Identity {
    let key = KeyPair::generate().expect("a key");
    let certificate = leaf(names).self_signed(&key).expect("a certificate");
    Identity {
        chain: vec![certificate.der().clone()],
        key: PrivateKeyDer::try_from(key.serialize_der()).expect("the key"),
        pem: certificate.pem(),
        key_pem: key.serialize_pem(),
    }
}

fn settings(identity: &Identity, versions: &[&'static SupportedProtocolVersion]) -> ServerConfig {
    ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(versions)
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(identity.chain.clone(), identity.key.clone_key())
        .expect("an identity")
}

/// A server that answers every request with `hello`.
fn serve(config: ServerConfig) -> Raw {
    let config = Arc::new(config);
    Raw::start(move |stream, _| {
        let connection = ServerConnection::new(Arc::clone(&config)).expect("a connection");
        answer(StreamOwned::new(connection, stream));
    })
}

fn answer(mut stream: StreamOwned<ServerConnection, TcpStream>) {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while let Ok(1) = stream.read(&mut byte) {
        bytes.push(byte[0]);
        if bytes.ends_with(br#"{"stream":true}"#) {
            bytes.clear();
            if stream.write_all(HELLO.as_bytes()).is_err() {
                return;
            }
        }
    }
}

struct Files(TempDir);

impl Files {
    fn new() -> Files {
        Files(tempfile::tempdir().expect("a directory"))
    }

    fn put(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).expect("written");
        path
    }
}

/// Asks `name` for a page at the address of the server.
fn ask(server: &Raw, name: &str, tls: TlsOptions, version: HttpVersion) -> Exchange {
    block_on(async {
        let config = ClientConfig {
            tls,
            http_version: version,
            resolve: vec![format!("{name}:*:127.0.0.1").parse().expect("an override")],
            ..ClientConfig::default()
        };
        let url = format!("https://{name}:{}", server.address.port());
        client(config).send(post(&Origin::parse(&url).expect("a URL").origin)).await
    })
}

fn trusting(ca: PathBuf) -> TlsOptions {
    TlsOptions { ca_file: Some(ca), platform_roots: false, ..TlsOptions::default() }
}

#[test]
fn a_trusted_server_with_every_instant_and_fact() {
    let files = Files::new();
    let authority = Authority::new();
    let ca = files.put("ca.pem", &authority.pem);
    for (versions, name, cipher) in
        [(&[&TLS13], "TLSv1.3", "TLS_AES_256_GCM_SHA384"), (&[&TLS12], "TLSv1.2", "TLS_ECDHE")]
    {
        let server = serve(settings(&authority.sign(&["llm.test"], |_| {}), versions));
        let exchange = ask(&server, "llm.test", trusting(ca.clone()), HttpVersion::Auto);
        assert_eq!(exchange.error, None);
        assert_eq!(body(&exchange), "hello");
        let trace = &exchange.trace;
        let instants = [
            trace.start_ns,
            trace.dns_cache_hit_ns,
            trace.tcp_connect_start_ns,
            trace.tcp_connect_end_ns,
            trace.tls_start_ns,
            trace.tls_end_ns,
            trace.request_send_start_ns,
            trace.request_headers_sent_ns,
            trace.request_send_end_ns,
            trace.response_first_byte_ns,
            trace.response_headers_received_ns,
            trace.response_receive_start_ns,
            trace.response_receive_end_ns,
        ];
        assert!(instants.iter().all(Option::is_some), "{instants:?}");
        // An answer over loopback may arrive before the write that caused it has returned.
        assert!(instants[..9].is_sorted() && instants[9..].is_sorted(), "{instants:?}");
        assert!(trace.request_send_start_ns <= trace.response_first_byte_ns);
        let phases = trace.phases();
        assert!(phases.tls_handshaking > Some(0));
        assert_eq!(
            phases.connecting(),
            Some(phases.tcp_connecting.expect("tcp") + phases.tls_handshaking.expect("tls"))
        );
        assert_eq!(trace.request_bytes_total, 15, "counted before encryption");
        let connection = trace.connection.as_deref().expect("a connection");
        assert_eq!(connection.tls_version.as_deref(), Some(name));
        let suite = connection.tls_cipher.as_deref().expect("a cipher suite");
        assert!(suite.starts_with(cipher), "{suite}");
        assert_eq!(connection.tls_resumed, Some(false));
        assert_eq!(connection.alpn, None, "the server has no ALPN");
    }
}

#[test]
fn sessions_are_resumed_unless_that_is_switched_off() {
    let files = Files::new();
    let authority = Authority::new();
    let ca = files.put("ca.pem", &authority.pem);
    let server = serve(settings(&authority.sign(&["llm.test"], |_| {}), &[&TLS13]));
    for resumption in [true, false] {
        let resumed: Vec<Option<bool>> = block_on(async {
            let client = client(ClientConfig {
                tls: TlsOptions { resumption, ..trusting(ca.clone()) },
                reuse: tokmeter_http::ReuseStrategy::Never,
                resolve: vec!["llm.test:*:127.0.0.1".parse().expect("an override")],
                ..ClientConfig::default()
            });
            let url = format!("https://llm.test:{}", server.address.port());
            let origin = Origin::parse(&url).expect("a URL").origin;
            let mut seen = Vec::new();
            for _ in 0..3 {
                let exchange = client.send(post(&origin)).await;
                assert_eq!(exchange.error, None);
                seen.push(exchange.trace.connection.expect("a connection").tls_resumed);
            }
            seen
        });
        let expected = [Some(false), Some(resumption), Some(resumption)];
        assert_eq!(resumed, expected);
    }
}

#[test]
fn each_untrusted_certificate_has_its_own_words() {
    let files = Files::new();
    let (ours, theirs) = (Authority::new(), Authority::new());
    let ca = files.put("ca.pem", &ours.pem);
    let mut without_root = theirs.sign(&["llm.test"], |_| {});
    without_root.chain.truncate(1);
    let faults: [(&str, Identity); 6] = [
        ("self-signed", self_signed(&["llm.test"])),
        ("private CA", theirs.sign(&["llm.test"], |_| {})),
        ("does not trust", without_root),
        ("it is for", ours.sign(&["other.test"], |_| {})),
        ("expired", ours.sign(&["llm.test"], |params| params.not_after = rcgen::date_time_ymd(2020, 1, 2))),
        (
            "not valid for another",
            ours.sign(&["llm.test"], |params| params.not_before = rcgen::date_time_ymd(2200, 1, 2)),
        ),
    ];
    for (words, identity) in faults {
        let server = serve(settings(&identity, &[&TLS13]));
        let exchange = ask(&server, "llm.test", trusting(ca.clone()), HttpVersion::Auto);
        let error = exchange.error.expect(words);
        assert_eq!((error.class, error.side, error.phase), (ErrorClass::Tls, Side::Network, Phase::Tls));
        assert!(error.message.contains(words), "{words}: {}", error.message);
        assert!(exchange.trace.tls_start_ns.is_some() && exchange.trace.tls_end_ns.is_none());
        assert_eq!(exchange.trace.request_send_start_ns, None, "nothing was sent to it");

        let open = TlsOptions { insecure: true, ..TlsOptions::default() };
        let exchange = ask(&server, "llm.test", open, HttpVersion::Auto);
        assert_eq!(exchange.error, None, "--insecure accepts it");
    }
}

#[test]
fn a_self_signed_certificate_can_be_trusted_by_itself() {
    let files = Files::new();
    for ca_flag in [false, true] {
        let key = KeyPair::generate().expect("a key");
        let mut params = leaf(&["llm.test"]);
        if ca_flag {
            // What `openssl req -x509` makes.
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        }
        let certificate = params.self_signed(&key).expect("a certificate");
        let identity = Identity {
            chain: vec![certificate.der().clone()],
            key: PrivateKeyDer::try_from(key.serialize_der()).expect("the key"),
            pem: certificate.pem(),
            key_pem: String::new(),
        };
        let server = serve(settings(&identity, &[&TLS13]));
        let ca = files.put("server.pem", &identity.pem);
        let exchange = ask(&server, "llm.test", trusting(ca.clone()), HttpVersion::Auto);
        assert_eq!(exchange.error, None, "CA flag {ca_flag}");
        // Still only under its own name.
        let exchange = ask(&server, "other.test", trusting(ca), HttpVersion::Auto);
        assert_eq!(exchange.error.expect("a wrong name").class, ErrorClass::Tls);
    }
}

#[test]
fn another_name_for_sni_is_the_name_that_is_checked() {
    let files = Files::new();
    let authority = Authority::new();
    let ca = files.put("ca.pem", &authority.pem);
    let server = serve(settings(&authority.sign(&["inside.test"], |_| {}), &[&TLS13]));
    let options = TlsOptions { server_name: Some("inside.test".into()), ..trusting(ca) };
    assert_eq!(ask(&server, "outside.test", options, HttpVersion::Auto).error, None);
}

#[test]
fn a_client_certificate_is_given_when_asked_for() {
    let files = Files::new();
    let authority = Authority::new();
    let ca = files.put("ca.pem", &authority.pem);
    let identity = authority.sign(&["llm.test"], |_| {});
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem.as_bytes()).expect("the CA")).expect("a root");
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .build()
        .expect("a verifier");
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_client_cert_verifier(verifier)
        .with_single_cert(identity.chain.clone(), identity.key.clone_key())
        .expect("an identity");
    let server = serve(config);

    let own = authority.sign(&["client.test"], |_| {});
    let pair = (files.put("client.pem", &own.pem), files.put("client.key", &own.key_pem));
    let options = TlsOptions { client_certificate: Some(pair), ..trusting(ca.clone()) };
    assert_eq!(ask(&server, "llm.test", options, HttpVersion::Auto).error, None);

    // With TLS 1.3 the refusal comes after our side of the handshake is done.
    let error = ask(&server, "llm.test", trusting(ca), HttpVersion::Auto).error.expect("a refusal");
    assert_eq!(error.class, ErrorClass::Tls, "{error:?}");
    assert!(error.message.contains("client certificate"), "{}", error.message);
}

#[test]
fn plain_http_on_a_tls_port_is_said_so() {
    let server = Raw::start(|mut stream, _| {
        crate::raw::write(&mut stream, "HTTP/1.1 400 Bad Request\r\n\r\n");
        crate::raw::close_gently(stream);
    });
    let error =
        ask(&server, "llm.test", TlsOptions { insecure: true, ..TlsOptions::default() }, HttpVersion::Auto)
            .error
            .expect("no TLS");
    assert_eq!((error.class, error.phase), (ErrorClass::Tls, Phase::Tls));
    assert!(error.message.contains("plain http"), "{}", error.message);
}

#[test]
fn http_2_that_is_not_offered_is_said_so() {
    let server = serve(settings(&self_signed(&["llm.test"]), &[&TLS13]));
    let options = TlsOptions { insecure: true, ..TlsOptions::default() };
    let error = ask(&server, "llm.test", options, HttpVersion::V2).error.expect("no HTTP/2");
    assert_eq!(error.class, ErrorClass::Protocol);
    assert!(error.message.contains("HTTP/2"), "{}", error.message);
}

#[test]
fn files_that_cannot_be_used_are_refused_before_the_run() {
    let files = Files::new();
    let authority = Authority::new();
    let good = authority.sign(&["client.test"], |_| {});
    let empty = files.put("empty.pem", "nothing here");
    let certificate = files.put("client.pem", &good.pem);
    let other_key = files.put("other.key", &authority.sign(&["x"], |_| {}).key_pem);
    let absent = files.0.path().join("absent.pem");
    let wrong = [
        (TlsOptions { ca_file: Some(absent.clone()), ..TlsOptions::default() }, "absent.pem"),
        (TlsOptions { ca_file: Some(empty.clone()), ..TlsOptions::default() }, "no PEM certificate"),
        (
            TlsOptions { client_certificate: Some((certificate.clone(), empty)), ..TlsOptions::default() },
            "no PEM private key",
        ),
        (
            TlsOptions { client_certificate: Some((certificate, other_key)), ..TlsOptions::default() },
            "does not fit",
        ),
        (TlsOptions { server_name: Some("not a name".into()), ..TlsOptions::default() }, "not a name"),
    ];
    for (tls, words) in wrong {
        let error: ConfigError =
            tokmeter_http::Client::new(Arc::new(ClientConfig { tls, ..ClientConfig::default() }), 0)
                .err()
                .expect("a wrong file");
        assert!(error.to_string().contains(words), "{words}: {error}");
    }
}
