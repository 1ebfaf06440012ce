//! What the gateway says itself: errors in the shape that OpenAI clients read, and its pages.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::Full;

use crate::metrics::{Format, Metrics};
use crate::outcome::Outcome;

/// Why a request is answered by the gateway itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("no valid API key was given")]
    Unauthorized,
    #[error("the request body is larger than {0} bytes")]
    TooLarge(u64),
    #[error("no model was found in the first {0} bytes of the request body")]
    ModelTooLate(usize),
    #[error("the request names no model, and there is no route for such requests")]
    NoModel,
    #[error("there is no route for the model of this request")]
    UnknownModel,
    #[error("the request body did not arrive in time")]
    BodyTimeout,
    #[error("the request body could not be read")]
    BadBody,
    #[error("the client left before its request was complete")]
    BodyCutShort,
    #[error("the path of this request cannot be forwarded")]
    BadPath,
    #[error("the upstream could not be reached")]
    Unreachable,
    #[error("the upstream broke off before its response")]
    BrokenOff,
    #[error("the upstream did not answer in time")]
    UpstreamTimeout,
}

impl Refusal {
    /// Status, OpenAI error type and code, and the outcome it counts as.
    fn facts(&self) -> (StatusCode, &'static str, &'static str, Outcome) {
        const INVALID: &str = "invalid_request_error";
        const SERVER: &str = "server_error";
        let (status, kind, code, outcome) = match self {
            Refusal::Unauthorized => (401, INVALID, "invalid_api_key", Outcome::ClientError),
            Refusal::TooLarge(_) | Refusal::ModelTooLate(_) => {
                (413, INVALID, "request_too_large", Outcome::ClientError)
            }
            Refusal::NoModel => (400, INVALID, "model_missing", Outcome::ClientError),
            Refusal::UnknownModel => (404, INVALID, "model_not_found", Outcome::ClientError),
            // The client was late, not the upstream.
            Refusal::BodyTimeout => (408, INVALID, "request_timeout", Outcome::Timeout),
            Refusal::BadBody => (400, INVALID, "request_body_unreadable", Outcome::ClientError),
            Refusal::BodyCutShort => (400, INVALID, "request_cut_short", Outcome::CancelledByClient),
            Refusal::BadPath => (400, INVALID, "path_invalid", Outcome::ClientError),
            Refusal::Unreachable => (502, SERVER, "upstream_unreachable", Outcome::UpstreamError),
            Refusal::BrokenOff => (502, SERVER, "upstream_broke_off", Outcome::UpstreamError),
            Refusal::UpstreamTimeout => (504, SERVER, "upstream_timeout", Outcome::Timeout),
        };
        (StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), kind, code, outcome)
    }

    pub fn outcome(&self) -> Outcome {
        self.facts().3
    }

    pub fn response(&self) -> Response<Full<Bytes>> {
        let (status, kind, code, _) = self.facts();
        let error = serde_json::json!({
            "error": {"message": self.to_string(), "type": kind, "param": null, "code": code}
        });
        let mut response = page(status, "application/json", error.to_string());
        if *self == Refusal::Unauthorized {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// The page at a path, if the gateway has one there.
pub fn own_page(
    path: &str,
    accept: &str,
    metrics: &Metrics,
    draining: bool,
) -> Option<Response<Full<Bytes>>> {
    match path {
        "/metrics" => {
            let format = Format::negotiate(accept);
            Some(page(StatusCode::OK, format.content_type(), metrics.render(format)))
        }
        "/healthz" => Some(page(StatusCode::OK, "text/plain", "ok\n".to_owned())),
        "/readyz" if draining => {
            Some(page(StatusCode::SERVICE_UNAVAILABLE, "text/plain", "draining\n".to_owned()))
        }
        "/readyz" => Some(page(StatusCode::OK, "text/plain", "ready\n".to_owned())),
        _ => None,
    }
}

fn page(status: StatusCode, content_type: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
