//! The instants of one request and the phases derived from them.
//!
//! [`Trace`] is generic over its time line: `Trace<MonoNs>` while the request runs, [`TraceData`]
//! (= `Trace<WallNs>`) in files. Field names and omission rules are those of AIPerf's `trace_data`
//! (base model and connection extension); phase definitions are HAR 1.2's, disjoint and summing up.

mod connection;
mod span;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use connection::{Attempt, AttemptKind, ConnectionInfo, TcpInfo};
pub use span::PhaseSpan;

use crate::time::{ClockAnchor, Instant, MonoNs, WallNs};

/// The phase a request is in, for errors and analysis. HAR's names where HAR has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Waiting for a connection of the pool, or for a stream slot (HTTP/2).
    Blocked,
    /// Resolving the host name.
    Dns,
    /// TCP handshake.
    Connecting,
    /// TLS handshake.
    Tls,
    /// Writing the request.
    Sending,
    /// From the last byte sent to the first body byte.
    Waiting,
    /// From the first to the last body byte.
    Receiving,
}

/// Where the receive stamps of a request come from, best first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StampSource {
    /// The kernel's receive stamp of the last segment of the read.
    Kernel,
    /// Taken in user space, directly after the read of the socket.
    #[default]
    Read,
    /// The latest read of the socket when the HTTP/2 frame was delivered; several streams share the socket, so
    /// this is an upper bound of the frame's own arrival.
    Frame,
}

/// `[instant, bytes]` of one write or read, as `request_chunks` and `response_chunks` show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkStamp<T>(pub T, pub u64);

/// The instants of one request. An instant that did not occur is absent (never zero).
///
/// `*_ns` durations are filled by [`Trace::to_wall`]; they follow seed 000: omitted when the underlying
/// event did not occur.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(serialize = "T: Serialize", deserialize = "T: Deserialize<'de>"))]
pub struct Trace<T> {
    /// `hyper` for our files. AIPerf writes `aiohttp`; its reader treats other values as its base model.
    pub trace_type: Cow<'static, str>,
    /// The request begins, before it asks for a connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_ns: Option<T>,
    /// First write of this request to the socket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_send_start_ns: Option<T>,
    /// Method and URL, user information and the values of secret query parameters left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_method: Option<Cow<'static, str>>,
    /// See `request_method`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_url: Option<Arc<str>>,
    /// Sent headers, secrets redacted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_headers: Option<BTreeMap<String, String>>,
    /// The write that carried the last header byte returned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_headers_sent_ns: Option<T>,
    /// Body writes; filled with `--export-http-trace` only.
    #[serde(default = "Vec::new")]
    pub request_chunks: Vec<ChunkStamp<T>>,
    /// Last write of this request returned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_send_end_ns: Option<T>,
    /// Number of body writes.
    #[serde(default)]
    pub request_chunks_count: u64,
    /// Body bytes sent (equals Content-Length).
    #[serde(default)]
    pub request_bytes_total: u64,
    /// Status code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_status_code: Option<u16>,
    /// Reason phrase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_reason: Option<Cow<'static, str>>,
    /// Response headers, secrets redacted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_headers: Option<BTreeMap<String, String>>,
    /// The read that held the first byte of the response (k6's `waiting` ends here).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_first_byte_ns: Option<T>,
    /// The read that held the last header byte.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_headers_received_ns: Option<T>,
    /// The read that held the first body byte.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_receive_start_ns: Option<T>,
    /// Body reads; filled with `--export-http-trace` only.
    #[serde(default = "Vec::new")]
    pub response_chunks: Vec<ChunkStamp<T>>,
    /// Number of body reads.
    #[serde(default)]
    pub response_chunks_count: u64,
    /// Body bytes received, decoded, without framing.
    #[serde(default)]
    pub response_bytes_total: u64,
    /// The read that held the last body byte.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_receive_end_ns: Option<T>,
    /// When the request failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_timestamp_ns: Option<T>,
    /// It wants a connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection_pool_wait_start_ns: Option<T>,
    /// It owns a connection, or starts to dial one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection_pool_wait_end_ns: Option<T>,
    /// TCP handshake begins (the successful attempt).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp_connect_start_ns: Option<T>,
    /// TCP handshake done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp_connect_end_ns: Option<T>,
    /// TLS handshake begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_start_ns: Option<T>,
    /// TLS handshake done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_end_ns: Option<T>,
    /// A kept-alive connection was taken; presence means reuse.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection_reused_ns: Option<T>,
    /// The name was in our cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns_cache_hit_ns: Option<T>,
    /// The name was not in our cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns_cache_miss_ns: Option<T>,
    /// Resolution begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns_lookup_start_ns: Option<T>,
    /// Resolution done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns_lookup_end_ns: Option<T>,
    /// Our address (as AIPerf names it). Filled from `connection` by [`Trace::to_wall`].
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
    /// What is known of the connection, shared by all its requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<Arc<ConnectionInfo>>,
    /// 1 for the first request on its connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection_request_number: Option<u32>,
    /// Kernel's view of the connection at the end of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp_info: Option<TcpInfo>,
    /// Source of the receive stamps: the worst that occurred in this request.
    #[serde(default)]
    pub stamp_source: StampSource,
    /// User stamp minus kernel stamp of the read that was latest relative to the wire, ns; absent when no read
    /// had a kernel stamp.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_recv_lag_ns: Option<u64>,
    /// Attempts before the one these instants describe.
    #[serde(default = "Vec::new", skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Attempt<T>>,
    /// Duration of pool wait, ns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked_ns: Option<u64>,
    /// Duration of resolution, ns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns_lookup_ns: Option<u64>,
    /// TCP plus TLS, ns (HAR's `connect`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connecting_ns: Option<u64>,
    /// First to last write, ns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sending_ns: Option<u64>,
    /// Last write to first body byte, ns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting_ns: Option<u64>,
    /// First to last body byte, ns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receiving_ns: Option<u64>,
    /// First write to last body byte, ns, measured directly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ns: Option<u64>,
}

/// A trace as files hold it: wall-clock instants.
pub type TraceData = Trace<WallNs>;

/// Durations of the disjoint phases, ns. `None`: the event did not occur.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PhaseDurations {
    /// Waiting for a connection or stream slot.
    pub blocked: Option<u64>,
    /// Resolving the name; absent on a cache hit, an IP literal or a reused connection.
    pub dns_lookup: Option<u64>,
    /// TCP handshake alone.
    pub tcp_connecting: Option<u64>,
    /// TLS handshake alone.
    pub tls_handshaking: Option<u64>,
    /// First to last write.
    pub sending: Option<u64>,
    /// Last write to first header byte (k6's `waiting`).
    pub waiting_headers: Option<u64>,
    /// Last write to first body byte.
    pub waiting: Option<u64>,
    /// First to last body byte.
    pub receiving: Option<u64>,
    /// First write to last body byte, measured directly.
    pub duration: Option<u64>,
}

impl PhaseDurations {
    /// TCP plus TLS: HAR's `connect`.
    pub fn connecting(&self) -> Option<u64> {
        match (self.tcp_connecting, self.tls_handshaking) {
            (None, None) => None,
            (tcp, tls) => Some(tcp.unwrap_or(0) + tls.unwrap_or(0)),
        }
    }

    /// Blocked plus DNS plus connecting.
    pub fn connection_overhead(&self) -> u64 {
        self.blocked.unwrap_or(0) + self.dns_lookup.unwrap_or(0) + self.connecting().unwrap_or(0)
    }

    /// The sum of the six phases.
    pub fn total(&self) -> u64 {
        self.connection_overhead()
            + self.sending.unwrap_or(0)
            + self.waiting.unwrap_or(0)
            + self.receiving.unwrap_or(0)
    }
}

impl<T> Default for Trace<T> {
    fn default() -> Self {
        Trace {
            trace_type: Cow::Borrowed(""),
            start_ns: None,
            request_send_start_ns: None,
            request_method: None,
            request_url: None,
            request_headers: None,
            request_headers_sent_ns: None,
            request_chunks: Vec::new(),
            request_send_end_ns: None,
            request_chunks_count: 0,
            request_bytes_total: 0,
            response_status_code: None,
            response_reason: None,
            response_headers: None,
            response_first_byte_ns: None,
            response_headers_received_ns: None,
            response_receive_start_ns: None,
            response_chunks: Vec::new(),
            response_chunks_count: 0,
            response_bytes_total: 0,
            response_receive_end_ns: None,
            error_timestamp_ns: None,
            connection_pool_wait_start_ns: None,
            connection_pool_wait_end_ns: None,
            tcp_connect_start_ns: None,
            tcp_connect_end_ns: None,
            tls_start_ns: None,
            tls_end_ns: None,
            connection_reused_ns: None,
            dns_cache_hit_ns: None,
            dns_cache_miss_ns: None,
            dns_lookup_start_ns: None,
            dns_lookup_end_ns: None,
            local_ip: None,
            local_port: None,
            remote_ip: None,
            remote_port: None,
            connection: None,
            connection_request_number: None,
            tcp_info: None,
            stamp_source: StampSource::default(),
            client_recv_lag_ns: None,
            attempts: Vec::new(),
            blocked_ns: None,
            dns_lookup_ns: None,
            connecting_ns: None,
            sending_ns: None,
            waiting_ns: None,
            receiving_ns: None,
            duration_ns: None,
        }
    }
}

fn between<T: Instant>(start: Option<T>, end: Option<T>) -> Option<u64> {
    Some(end?.since(start?))
}

impl<T: Instant> Trace<T> {
    /// The phases of this request, from its instants (DESIGN section 4; seed 000).
    pub fn phases(&self) -> PhaseDurations {
        PhaseDurations {
            blocked: between(self.connection_pool_wait_start_ns, self.connection_pool_wait_end_ns),
            dns_lookup: between(self.dns_lookup_start_ns, self.dns_lookup_end_ns),
            tcp_connecting: between(self.tcp_connect_start_ns, self.tcp_connect_end_ns),
            tls_handshaking: between(self.tls_start_ns, self.tls_end_ns),
            sending: between(self.request_send_start_ns, self.request_send_end_ns),
            waiting_headers: between(self.request_send_end_ns, self.response_first_byte_ns),
            waiting: between(self.request_send_end_ns, self.response_receive_start_ns),
            receiving: between(self.response_receive_start_ns, self.response_receive_end_ns),
            duration: between(self.request_send_start_ns, self.response_receive_end_ns),
        }
    }
}

impl Trace<MonoNs> {
    /// The same trace on the wall clock, with its durations filled in.
    pub fn to_wall(&self, anchor: &ClockAnchor) -> TraceData {
        let at = |instant: Option<MonoNs>| instant.map(|t| anchor.wall(t));
        let chunks = |chunks: &[ChunkStamp<MonoNs>]| {
            chunks.iter().map(|chunk| ChunkStamp(anchor.wall(chunk.0), chunk.1)).collect()
        };
        let phases = self.phases();
        Trace {
            trace_type: self.trace_type.clone(),
            start_ns: at(self.start_ns),
            request_send_start_ns: at(self.request_send_start_ns),
            request_method: self.request_method.clone(),
            request_url: self.request_url.clone(),
            request_headers: self.request_headers.clone(),
            request_headers_sent_ns: at(self.request_headers_sent_ns),
            request_chunks: chunks(&self.request_chunks),
            request_send_end_ns: at(self.request_send_end_ns),
            request_chunks_count: self.request_chunks_count,
            request_bytes_total: self.request_bytes_total,
            response_status_code: self.response_status_code,
            response_reason: self.response_reason.clone(),
            response_headers: self.response_headers.clone(),
            response_first_byte_ns: at(self.response_first_byte_ns),
            response_headers_received_ns: at(self.response_headers_received_ns),
            response_receive_start_ns: at(self.response_receive_start_ns),
            response_chunks: chunks(&self.response_chunks),
            response_chunks_count: self.response_chunks_count,
            response_bytes_total: self.response_bytes_total,
            response_receive_end_ns: at(self.response_receive_end_ns),
            error_timestamp_ns: at(self.error_timestamp_ns),
            connection_pool_wait_start_ns: at(self.connection_pool_wait_start_ns),
            connection_pool_wait_end_ns: at(self.connection_pool_wait_end_ns),
            tcp_connect_start_ns: at(self.tcp_connect_start_ns),
            tcp_connect_end_ns: at(self.tcp_connect_end_ns),
            tls_start_ns: at(self.tls_start_ns),
            tls_end_ns: at(self.tls_end_ns),
            connection_reused_ns: at(self.connection_reused_ns),
            dns_cache_hit_ns: at(self.dns_cache_hit_ns),
            dns_cache_miss_ns: at(self.dns_cache_miss_ns),
            dns_lookup_start_ns: at(self.dns_lookup_start_ns),
            dns_lookup_end_ns: at(self.dns_lookup_end_ns),
            local_ip: self.local_ip.clone().or_else(|| self.connection.as_ref()?.local_ip.clone()),
            local_port: self.local_port.or_else(|| self.connection.as_ref()?.local_port),
            remote_ip: self.remote_ip.clone().or_else(|| self.connection.as_ref()?.remote_ip.clone()),
            remote_port: self.remote_port.or_else(|| self.connection.as_ref()?.remote_port),
            connection: self.connection.clone(),
            connection_request_number: self.connection_request_number,
            tcp_info: self.tcp_info,
            stamp_source: self.stamp_source,
            client_recv_lag_ns: self.client_recv_lag_ns,
            attempts: self
                .attempts
                .iter()
                .map(|attempt| Attempt {
                    kind: attempt.kind,
                    start_ns: anchor.wall(attempt.start_ns),
                    end_ns: anchor.wall(attempt.end_ns),
                    address: attempt.address.clone(),
                    reason: attempt.reason.clone(),
                })
                .collect(),
            blocked_ns: phases.blocked,
            dns_lookup_ns: phases.dns_lookup,
            connecting_ns: phases.connecting(),
            sending_ns: phases.sending,
            waiting_ns: phases.waiting,
            receiving_ns: phases.receiving,
            duration_ns: phases.duration,
        }
    }
}
