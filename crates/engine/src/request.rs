//! From a turn to the HTTP request that carries it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use tokmeter_http::exchange::{Origin, Request};
use uuid::Uuid;

use crate::choice::choice;
use crate::dataset::Session;
use crate::decode::Finished;
use crate::endpoint::{BodyError, BodyInput, Decoder, Endpoint, KeyHeader, Message};
use crate::schedule::Cancellations;
use crate::secret::{self, Scrubber, Secret};
use crate::seed::{Seed, below};

/// A server to send to: origin and the path before the endpoint's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Scheme, host and port.
    pub origin: Arc<Origin>,
    /// Path and query of every request.
    pub path: Arc<str>,
    /// From `user:password@` of the URL.
    pub authorization: Option<HeaderValue>,
}

choice! {
    /// Which of several models a session asks (`--model-selection-strategy`).
    pub enum ModelSelection {
        /// One after the other.
        RoundRobin = "round-robin",
        /// Any, drawn from the seed.
        Random = "random",
    }
}

/// What every request of a run has in common.
#[derive(Clone, Debug)]
pub struct RequestConfig {
    /// How bodies are built and answers read.
    pub endpoint: Arc<Endpoint>,
    /// Models, dealt to sessions.
    pub models: Vec<Arc<str>>,
    /// How they are dealt.
    pub model_selection: ModelSelection,
    /// Seed of what is drawn for requests.
    pub seed: Seed,
    /// Servers, used round robin over requests (over sessions when sticky).
    pub targets: Vec<Target>,
    /// Ask for a stream.
    pub streaming: bool,
    /// Sent in the header the API wants it in.
    pub api_key: Option<Secret>,
    /// The user's own headers.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Fields merged into every body.
    pub extra: Map<String, Value>,
    /// Send `max_tokens` where `max_completion_tokens` is usual.
    pub legacy_max_tokens: bool,
    /// Ask for usage in every event (`--per-chunk-usage`).
    pub per_chunk_usage: bool,
    /// Ask the stream for a usage event.
    pub include_usage: bool,
    /// Time limit of a request.
    pub timeout: Duration,
    /// Sessions stay on one connection.
    pub sticky: bool,
    /// Requests to cancel, and how long after they were sent.
    pub cancellation: Option<Cancellations>,
}

/// Builds requests. Shared by feeder, shards and decoders.
#[derive(Debug)]
pub struct RequestBuilder {
    config: RequestConfig,
    base_headers: HeaderMap,
    /// The targets' URLs as files show them.
    shown_urls: Vec<Arc<str>>,
    scrubber: Scrubber,
}

static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
static X_CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

impl RequestBuilder {
    /// Prepares what all requests share.
    pub fn new(config: RequestConfig) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::USER_AGENT,
            HeaderValue::from_static(concat!("tokmeter/", env!("CARGO_PKG_VERSION"))),
        );
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let accept = if config.streaming { "text/event-stream" } else { "application/json" };
        headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
        let api = config.endpoint.kind().metadata();
        for (name, value) in api.headers {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        if let Some(key) = &config.api_key {
            let (name, text) = match api.key_header {
                KeyHeader::Bearer => (header::AUTHORIZATION, format!("Bearer {}", key.expose())),
                KeyHeader::XApiKey => (HeaderName::from_static("x-api-key"), key.expose().to_owned()),
            };
            // The settings have checked that the key is visible ASCII.
            if let Ok(mut value) = HeaderValue::from_str(&text) {
                value.set_sensitive(true);
                headers.insert(name, value);
            }
        }
        for (name, value) in &config.headers {
            headers.insert(name.clone(), value.clone());
        }
        let shown_urls = config.targets.iter().map(shown_url).collect();
        let scrubber = Scrubber::new(secrets(&config));
        RequestBuilder { config, base_headers: headers, shown_urls, scrubber }
    }

    /// Finds this run's secrets in what servers send back.
    pub fn scrubber(&self) -> &Scrubber {
        &self.scrubber
    }

    /// What all requests have in common.
    pub fn config(&self) -> &RequestConfig {
        &self.config
    }

    /// The headers that carry a secret: what a protected metrics page of the same server needs, too.
    pub fn credentials(&self) -> HeaderMap {
        let sensitive = self.base_headers.iter().filter(|(_, value)| value.is_sensitive());
        sensitive.map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    pub(crate) fn is_sticky(&self) -> bool {
        self.config.sticky
    }

    /// Body of one turn. `history` holds the turns before it, with the answers they got.
    ///
    /// # Errors
    /// When the endpoint cannot send what the turn holds.
    pub fn body(&self, session: &Session, turn: usize, history: &[Message]) -> Result<Bytes, BodyError> {
        let models = &self.config.models;
        let number = session_number(session);
        let model = match self.config.model_selection {
            ModelSelection::RoundRobin => number % models.len() as u64,
            ModelSelection::Random => {
                below(&mut self.config.seed.stream_at("models", number), models.len() as u64)
            }
        };
        self.config.endpoint.body(&BodyInput {
            model: &models[model as usize],
            streaming: self.config.streaming,
            session,
            turn: &session.turns[turn],
            history,
            legacy_max_tokens: self.config.legacy_max_tokens,
            extra: &self.config.extra,
            include_usage: self.config.include_usage,
            continuous_usage: self.config.per_chunk_usage,
        })
    }

    /// The request that carries a body.
    pub(crate) fn request(
        &self,
        number: u64,
        body: Bytes,
        request_id: Uuid,
        correlation_id: Uuid,
        sticky: Option<u64>,
        last_of_session: bool,
    ) -> Request {
        Request {
            sticky,
            last_of_sticky: last_of_session,
            cancel_after: self
                .config
                .cancellation
                .as_ref()
                .and_then(|cancellations| cancellations.delay_of(number)),
            ..self.request_to(self.target(number, sticky), body, request_id, correlation_id)
        }
    }

    /// A request to one server, of no session, with identifiers of its own.
    pub fn single(&self, target: &Target, body: Bytes) -> Request {
        self.request_to(target, body, Uuid::new_v4(), Uuid::new_v4())
    }

    /// A request to one server, of no session.
    pub(crate) fn request_to(
        &self,
        target: &Target,
        body: Bytes,
        request_id: Uuid,
        correlation_id: Uuid,
    ) -> Request {
        Request {
            origin: target.origin.clone(),
            method: Method::POST,
            path: target.path.clone(),
            headers: self.headers(target, request_id, correlation_id),
            body,
            sticky: None,
            last_of_sticky: false,
            timeout: Some(self.config.timeout),
            cancel_after: None,
        }
    }

    fn target_index(&self, number: u64, sticky: Option<u64>) -> usize {
        let turn = sticky.unwrap_or(number) as usize;
        turn % self.config.targets.len()
    }

    fn target(&self, number: u64, sticky: Option<u64>) -> &Target {
        &self.config.targets[self.target_index(number, sticky)]
    }

    /// Where a request went, without user information and the values of secret query parameters.
    pub(crate) fn shown_url(&self, finished: &Finished) -> Arc<str> {
        self.shown_urls[self.target_index(finished.number, finished.sticky)].clone()
    }

    fn headers(&self, target: &Target, request_id: Uuid, correlation_id: Uuid) -> HeaderMap {
        let mut buffer = Uuid::encode_buffer();
        let mut headers = self.base_headers.clone();
        if let Some(authorization) = &target.authorization {
            headers.entry(header::AUTHORIZATION).or_insert_with(|| authorization.clone());
        }
        let mut insert = |name: &HeaderName, text: &str| {
            // An id is always visible ASCII.
            if let Ok(value) = HeaderValue::from_str(text) {
                headers.insert(name.clone(), value);
            }
        };
        insert(&X_REQUEST_ID, request_id.hyphenated().encode_lower(&mut buffer));
        insert(&X_CORRELATION_ID, correlation_id.hyphenated().encode_lower(&mut buffer));
        insert(&TRACEPARENT, &traceparent(request_id));
        headers
    }

    /// A decoder for the answers of this run.
    pub(crate) fn decoder(&self, keep_text: bool) -> Decoder {
        Decoder::new(self.config.endpoint.clone(), keep_text)
    }

    /// Headers as they were sent, secrets redacted.
    pub(crate) fn sent_headers(&self, finished: &Finished) -> BTreeMap<String, String> {
        let target = self.target(finished.number, finished.sticky);
        let mut shown =
            crate::decode::shown_headers(&self.headers(target, finished.request_id, finished.correlation_id));
        shown.insert("host".to_owned(), target.origin.authority());
        shown.insert("content-length".to_owned(), finished.body.len().to_string());
        shown
    }

    /// A body as files show it: as sent, unless extra inputs hold a secret, which is replaced.
    pub fn shown_body(&self, body: &[u8]) -> Option<Box<RawValue>> {
        let mut text = std::str::from_utf8(body).ok()?.to_owned();
        let has_secret = self.config.extra.keys().any(|key| secret::is_sensitive(key));
        if !has_secret {
            self.scrubber.text(&mut text);
            return RawValue::from_string(text).ok();
        }
        let mut fields: Map<String, Value> = serde_json::from_str(&text).ok()?;
        for (key, value) in &mut fields {
            if secret::is_sensitive(key) && self.config.extra.contains_key(key) {
                *value = Value::String(secret::REDACTED.to_owned());
            }
        }
        let mut shown = serde_json::to_string(&fields).ok()?;
        self.scrubber.text(&mut shown);
        RawValue::from_string(shown).ok()
    }
}

/// Every secret that the user gave, in the forms in which it could come back.
fn secrets(config: &RequestConfig) -> Vec<String> {
    let mut found: Vec<String> = config.api_key.iter().map(|key| key.expose().to_owned()).collect();
    let headers = config.headers.iter().map(|(name, value)| (name.as_str(), value));
    let urls =
        config.targets.iter().filter_map(|target| Some(("authorization", target.authorization.as_ref()?)));
    for (name, value) in headers.chain(urls) {
        let Ok(value) = value.to_str() else { continue };
        if !secret::is_sensitive(name) {
            continue;
        }
        let credentials = value.split_once(' ').map_or(value, |(_, credentials)| credentials);
        let decoded = base64::engine::general_purpose::STANDARD.decode(credentials).ok();
        let decoded = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
        let password = decoded.as_deref().and_then(|pair| Some(pair.split_once(':')?.1.to_owned()));
        found.extend([value.to_owned(), credentials.to_owned()].into_iter().chain(decoded).chain(password));
    }
    for target in &config.targets {
        found.extend(secret::secrets_of_query(&target.path));
    }
    for (key, value) in &config.extra {
        secrets_of_body(secret::is_sensitive(key), value, &mut found);
    }
    found
}

/// Texts under sensitive names, at any depth.
fn secrets_of_body(sensitive: bool, value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) if sensitive => found.push(text.clone()),
        Value::Array(values) => values.iter().for_each(|value| secrets_of_body(sensitive, value, found)),
        Value::Object(fields) => {
            for (key, value) in fields {
                secrets_of_body(sensitive || secret::is_sensitive(key), value, found);
            }
        }
        _ => {}
    }
}

/// W3C trace context: the request id is the trace id, so that a gateway's log and ours meet.
fn traceparent(request_id: Uuid) -> String {
    let span = request_id.as_u64_pair().1 | 1;
    format!("00-{}-{span:016x}-01", request_id.simple())
}

/// The URL of a target as files show it.
fn shown_url(target: &Target) -> Arc<str> {
    let (path, query) = match target.path.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (&*target.path, None),
    };
    let mut url = format!("{}{path}", target.origin);
    for (place, part) in query.into_iter().flat_map(|query| query.split('&')).enumerate() {
        url.push(if place == 0 { '?' } else { '&' });
        match part.split_once('=') {
            Some((name, _)) if secret::is_sensitive_parameter(name) => {
                url.push_str(name);
                url.push_str("=redacted");
            }
            _ => url.push_str(part),
        }
    }
    url.into()
}

/// Number at the end of the session's id, so that models are dealt alike on every machine.
fn session_number(session: &Session) -> u64 {
    session.id.rsplit('_').next().and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shown_url_keeps_no_secret() {
        let target = Target {
            origin: Arc::new(Origin { tls: true, host: "llm.test".into(), port: 8443 }),
            path: "/v1/chat?version=2&api_key=s3cret&debug".into(),
            authorization: None,
        };
        let shown = shown_url(&target);
        assert_eq!(&*shown, "https://llm.test:8443/v1/chat?version=2&api_key=redacted&debug");
    }

    #[test]
    fn traceparent_follows_the_w3c_form() {
        let id = Uuid::from_u128(0x0123_4567_89ab_cdef_0123_4567_89ab_cdee);
        assert_eq!(traceparent(id), "00-0123456789abcdef0123456789abcdee-0123456789abcdef-01");
    }
}
