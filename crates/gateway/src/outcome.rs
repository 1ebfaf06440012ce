//! How a request ended.

use http::StatusCode;

/// How a request ended, as the label `outcome` and (but for `ok`) OTel's `error_type` say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Answered in full.
    Ok,
    /// Refused for what the client sent: malformed, too large, without a valid key, unknown model.
    ClientError,
    /// Status 429, or the gateway's own limit.
    RateLimited,
    /// The upstream could not be reached, answered 5xx, broke off, or sent an error event inside a stream.
    UpstreamError,
    /// A time limit of the gateway was over, or the upstream answered 408 or 504.
    Timeout,
    /// The upstream ended a stream cleanly, but without finish reason and end event.
    Truncated,
    /// The client went away first.
    CancelledByClient,
    /// The gateway's own fault: a 5xx without any upstream request.
    GatewayError,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Outcome; 8] = [
        Outcome::Ok,
        Outcome::ClientError,
        Outcome::RateLimited,
        Outcome::UpstreamError,
        Outcome::Timeout,
        Outcome::Truncated,
        Outcome::CancelledByClient,
        Outcome::GatewayError,
    ];

    /// Its label value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Outcome::Ok => "ok",
            Outcome::ClientError => "client_error",
            Outcome::RateLimited => "rate_limited",
            Outcome::UpstreamError => "upstream_error",
            Outcome::Timeout => "timeout",
            Outcome::Truncated => "truncated",
            Outcome::CancelledByClient => "cancelled_by_client",
            Outcome::GatewayError => "gateway_error",
        }
    }

    /// What a status alone says. `asked_upstream`: an upstream had its share in it.
    pub fn of_status(status: StatusCode, asked_upstream: bool) -> Self {
        match status.as_u16() {
            429 => Outcome::RateLimited,
            408 | 504 => Outcome::Timeout,
            400..=499 => Outcome::ClientError,
            500.. if asked_upstream => Outcome::UpstreamError,
            500.. => Outcome::GatewayError,
            _ => Outcome::Ok,
        }
    }
}
