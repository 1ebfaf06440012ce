//! What is known of the connection below a request: who, how, how good, and what was tried before.

use serde::{Deserialize, Serialize};

/// What an attempt tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptKind {
    /// To connect to one address of the host.
    #[default]
    Address,
    /// To send the request on a kept-alive connection that the server had closed.
    StaleConnection,
}

/// An earlier attempt of the same request: a connection that failed before the first response byte, or an
/// address that did not answer (happy eyeballs).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt<T> {
    /// Which kind of attempt.
    #[serde(default)]
    pub kind: AttemptKind,
    /// When the attempt began.
    pub start_ns: T,
    /// When it was given up.
    pub end_ns: T,
    /// The address it went to, if one was known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Why it was given up.
    pub reason: String,
}

/// Facts of the connection that carried the request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionInfo {
    /// Number of the connection within the run, unique per shard (`shard * 2^32 + n`).
    pub connection_id: u64,
    /// Our address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local_ip: Option<String>,
    /// Our port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local_port: Option<u16>,
    /// The peer's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote_ip: Option<String>,
    /// The peer's port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote_port: Option<u16>,
    /// `1.1` or `2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_version: Option<String>,
    /// Protocol chosen by ALPN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alpn: Option<String>,
    /// For example `TLSv1.3`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_version: Option<String>,
    /// Cipher suite by its IANA name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_cipher: Option<String>,
    /// Whether the TLS session was resumed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_resumed: Option<bool>,
    /// When the server's certificate ends, seconds since the epoch; for `check`, not for files.
    #[serde(skip)]
    pub tls_not_after: Option<i64>,
}

impl ConnectionInfo {
    /// The peer as `address:port`, IPv6 in brackets.
    pub fn remote_address(&self) -> Option<String> {
        let (ip, port) = (self.remote_ip.as_deref()?, self.remote_port?);
        Some(if ip.contains(':') { format!("[{ip}]:{port}") } else { format!("{ip}:{port}") })
    }
}

/// What `TCP_INFO` said at the end of the request, or up to 50 ms before (Linux).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TcpInfo {
    /// Smoothed round-trip time, us.
    pub rtt_us: u32,
    /// Its variation, us.
    pub rttvar_us: u32,
    /// Retransmitted segments over the life of the connection.
    pub retransmits: u32,
}
