//! Which HTTP versions the server speaks, each on a connection of its own.

use serde::Serialize;
use tokmeter_http::HttpVersion;

use super::probe::{Probe, status};

/// HTTP versions.
#[derive(Debug, Serialize)]
pub struct Protocols {
    /// HTTP/1.1.
    pub http1: Spoken,
    /// HTTP/2: by ALPN with TLS, by prior knowledge without.
    pub http2: Spoken,
}

/// Whether a version is spoken.
#[derive(Debug, Serialize)]
pub struct Spoken {
    /// It is.
    pub spoken: bool,
    /// What happened instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// Tries both versions.
pub fn look(probe: &Probe) -> Protocols {
    Protocols { http1: try_version(probe, HttpVersion::V1), http2: try_version(probe, HttpVersion::V2) }
}

fn try_version(probe: &Probe, version: HttpVersion) -> Spoken {
    let answered = probe.get_with(version).and_then(|exchange| match &exchange.head {
        Some(head) => Ok(head.version),
        None => status(&exchange).map(|_| http::Version::default()),
    });
    let wanted = match version {
        HttpVersion::V2 => http::Version::HTTP_2,
        HttpVersion::V1 | HttpVersion::Auto => http::Version::HTTP_11,
    };
    match answered {
        Ok(version) if version == wanted => Spoken { spoken: true, problem: None },
        Ok(version) => Spoken { spoken: false, problem: Some(format!("the answer was {version:?}")) },
        Err(problem) => Spoken { spoken: false, problem: Some(problem) },
    }
}
