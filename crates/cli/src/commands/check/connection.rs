//! The first connection: TCP and TLS in words.

use serde::Serialize;
use tokmeter_http::Exchange;
use tokmeter_record::ErrorClass;
use tokmeter_record::trace::StampSource;

use super::probe::{Probe, status};

/// How the server was reached.
#[derive(Debug, Default, Serialize)]
pub struct Connection {
    /// Address and port that answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote: Option<String>,
    /// TCP handshake.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tcp_ms: Option<f64>,
    /// TLS; absent for plain http.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// HTTP version that was spoken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_version: Option<String>,
    /// `Server` header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// Where the receive stamps of this connection come from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stamps: Option<StampSource>,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// TLS of the connection.
#[derive(Debug, Default, Serialize)]
pub struct Tls {
    /// `TLSv1.3`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Cipher suite by its IANA name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cipher: Option<String>,
    /// Protocol chosen by ALPN.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alpn: Option<String>,
    /// TLS handshake.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handshake_ms: Option<f64>,
    /// End of the certificate, seconds since the epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_after: Option<i64>,
    /// Why the certificate or the handshake was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// Asks for the model list, and says how it got there. The exchange is for who reads the list.
pub fn look(probe: &Probe) -> (Connection, Exchange) {
    let exchange = probe.get(&probe.models.path, "application/json");
    let mut found = facts(&exchange);
    // An answer that broke later is still an answer.
    if let (Err(problem), None) = (status(&exchange), &exchange.head) {
        if exchange.error.as_ref().is_some_and(|error| error.class == ErrorClass::Tls) {
            let behind = probe.look_behind_the_certificate().map(|exchange| facts(&exchange));
            found = behind.unwrap_or(found);
            found.tls.get_or_insert_default().problem = Some(problem.clone());
            (found.server, found.http_version) = (None, None);
        }
        found.problem = Some(problem);
    }
    (found, exchange)
}

fn facts(exchange: &Exchange) -> Connection {
    let trace = &exchange.trace;
    let ms = |ns: Option<u64>| ns.map(|ns| ns as f64 / 1e6);
    let phases = trace.phases();
    let info = trace.connection.as_deref();
    let head = exchange.head.as_ref();
    let server = head.and_then(|head| head.headers.get(http::header::SERVER)?.to_str().ok());
    Connection {
        remote: info.and_then(|info| info.remote_address()),
        tcp_ms: ms(phases.tcp_connecting),
        tls: info.filter(|info| info.tls_version.is_some()).map(|info| Tls {
            version: info.tls_version.clone(),
            cipher: info.tls_cipher.clone(),
            alpn: info.alpn.clone(),
            handshake_ms: ms(phases.tls_handshaking),
            not_after: info.tls_not_after,
            problem: None,
        }),
        http_version: head.and_then(|_| info?.http_version.clone()),
        server: server.map(str::to_owned),
        stamps: head.map(|_| trace.stamp_source),
        problem: None,
    }
}
