//! Fetching pages with our own transport, on connections of its own.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use ::http::{HeaderMap, HeaderValue, header};
use bytes::Bytes;
use tokmeter_http::{
    Client, ClientConfig, ConfigError, HttpVersion, Limits, Origin, Request, ReuseStrategy, Target, UrlError,
};
use tokmeter_record::server::{FetchInstants, Media};
use tokmeter_record::{ClockAnchor, ErrorClass, MonoNs};

use super::fetch::{ACCEPT, Fetch, FetchError, Fetched, Method};

/// Headers that only some servers may see: a key for the server under test goes to no other exporter.
#[derive(Clone, Debug, Default)]
pub struct Trusted {
    /// The servers.
    pub origins: Vec<Arc<Origin>>,
    /// What they get beside the usual headers.
    pub headers: HeaderMap,
}

/// The client could not be made.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct HttpFetchError(#[from] ConfigError);

/// Fetches pages over HTTP/1.1.
pub struct HttpFetch {
    client: Client,
    anchor: ClockAnchor,
    trusted: Trusted,
    /// URLs taken apart; there are as many as pages.
    targets: RefCell<HashMap<String, Rc<Target>>>,
}

impl HttpFetch {
    /// A client that connects like the run's: same trust, proxies, addresses and limits, but for
    /// `max_page_bytes`. `anchor` places its instants on the wall clock.
    ///
    /// # Errors
    /// When a setting cannot be used.
    pub fn new(
        run: &ClientConfig,
        max_page_bytes: usize,
        anchor: ClockAnchor,
        trusted: Trusted,
    ) -> Result<HttpFetch, HttpFetchError> {
        let config = ClientConfig {
            http_version: HttpVersion::V1,
            reuse: ReuseStrategy::Pooled,
            max_connections: None,
            limits: Limits { max_body_bytes: max_page_bytes, ..run.limits },
            keep_request: false,
            tcp_info: false,
            ..run.clone()
        };
        let client = Client::new(Arc::new(config), u32::MAX)?;
        Ok(HttpFetch { client, anchor, trusted, targets: RefCell::default() })
    }

    fn target(&self, url: &str) -> Result<Rc<Target>, UrlError> {
        if let Some(known) = self.targets.borrow().get(url) {
            return Ok(Rc::clone(known));
        }
        let target = Rc::new(Origin::parse(url)?);
        self.targets.borrow_mut().insert(url.to_owned(), Rc::clone(&target));
        Ok(target)
    }

    fn request(&self, method: Method, target: &Target, timeout: Duration) -> Request {
        let mut headers = HeaderMap::new();
        if self.trusted.origins.contains(&target.origin) {
            headers.extend(self.trusted.headers.clone());
        }
        if let Some(authorization) = &target.authorization {
            headers.insert(header::AUTHORIZATION, authorization.clone());
        }
        headers.insert(header::ACCEPT, HeaderValue::from_static(ACCEPT));
        let agent = concat!("tokmeter/", env!("CARGO_PKG_VERSION"));
        headers.insert(header::USER_AGENT, HeaderValue::from_static(agent));
        Request {
            origin: Arc::clone(&target.origin),
            method: match method {
                Method::Head => ::http::Method::HEAD,
                Method::Get => ::http::Method::GET,
            },
            path: target.request_path().into(),
            headers,
            body: Bytes::new(),
            sticky: None,
            last_of_sticky: false,
            timeout: Some(timeout),
            cancel_after: None,
        }
    }
}

impl Fetch for HttpFetch {
    async fn fetch(&self, method: Method, url: &str, timeout: Duration) -> Result<Fetched, FetchError> {
        let target =
            self.target(url).map_err(|error| FetchError { message: error.to_string(), unreachable: true })?;
        let request = self.request(method, &target, timeout);
        let wanted = |head: &tokmeter_http::ResponseHead| {
            head.status.is_success() && media(&head.headers) != Media::Json
        };
        let exchange = self.client.send_asking(request, wanted).await;
        if let Some(error) = exchange.error {
            let unreachable = matches!(
                error.class,
                ErrorClass::Dns | ErrorClass::ConnectionRefused | ErrorClass::Unreachable | ErrorClass::Tls
            );
            return Err(FetchError { message: error.message, unreachable });
        }
        let Some(head) = exchange.head else {
            return Err(FetchError { message: "no response".to_owned(), unreachable: false });
        };
        let trace = &exchange.trace;
        let sent = trace.request_send_start_ns.or(trace.start_ns).unwrap_or_default();
        let first = trace.response_first_byte_ns.or(trace.response_headers_received_ns).unwrap_or(sent);
        let last = trace.response_receive_end_ns.unwrap_or(first);
        Ok(Fetched {
            status: head.status.as_u16(),
            content_type: content_type(&head.headers).map(str::to_owned),
            body: exchange.body.bytes,
            instants: FetchInstants {
                request_sent_ns: self.anchor.wall(sent),
                first_byte_ns: self.anchor.wall(first),
                latency_ns: since(sent, last),
            },
        })
    }
}

fn since(sent: MonoNs, last: MonoNs) -> u64 {
    last.0.saturating_sub(sent.0)
}

fn content_type(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::CONTENT_TYPE)?.to_str().ok()
}

fn media(headers: &HeaderMap) -> Media {
    content_type(headers).map(Media::from_content_type).unwrap_or_default()
}

#[cfg(test)]
mod tests;
