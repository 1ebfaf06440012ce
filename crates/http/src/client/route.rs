//! What is the same for all requests to one origin.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONNECTION, CONTENT_LENGTH, HOST, PROXY_AUTHORIZATION, TRANSFER_ENCODING};
use http::{HeaderValue, Method, Uri};
use tokmeter_record::{ErrorClass, Side};

use crate::config::{ClientConfig, Proxy};
use crate::exchange::{Origin, Request};
use crate::failure::Failure;
use crate::h1::H1Request;
use crate::payload::Payload;
use crate::pool::{Lane, Pool};

/// Paths remembered for each origin; a run uses one or two.
const MAX_PATHS: usize = 8;

/// The origins a client has met.
#[derive(Default)]
pub(super) struct Routes {
    known: RefCell<Vec<Rc<Route>>>,
}

impl Routes {
    /// The route to an origin, made at first use.
    pub(super) fn find(&self, origin: &Arc<Origin>, config: &ClientConfig, pool: &Pool) -> Rc<Route> {
        let mut known = self.known.borrow_mut();
        let same = known.iter().find(|route| Arc::ptr_eq(&route.origin, origin));
        if let Some(route) = same.or_else(|| known.iter().find(|route| route.origin == *origin)) {
            return Rc::clone(route);
        }
        let plain_proxy = config.proxy_for(origin).filter(|_| !origin.tls).cloned();
        let route = Rc::new(Route {
            lane: pool.add_lane(origin, plain_proxy.is_some()),
            host: HeaderValue::try_from(origin.authority()).ok(),
            plain_proxy,
            uris: RefCell::default(),
            origin: Arc::clone(origin),
        });
        known.push(Rc::clone(&route));
        route
    }
}

/// The way to one origin.
pub(super) struct Route {
    pub(super) origin: Arc<Origin>,
    pub(super) lane: Lane,
    host: Option<HeaderValue>,
    plain_proxy: Option<Proxy>,
    uris: RefCell<Vec<(Arc<str>, Uri)>>,
}

impl Route {
    /// The request as it goes out: `Host` and `Content-Length` added, nothing else.
    pub(super) fn message(&self, request: Request, close: bool) -> Result<H1Request, Failure> {
        let uri = self.uri(&request.path)?;
        let mut message = http::Request::new(Payload(request.body.clone()));
        *message.method_mut() = request.method;
        *message.uri_mut() = uri;
        *message.headers_mut() = request.headers;
        let with_length = !request.body.is_empty()
            || matches!(*message.method(), Method::POST | Method::PUT | Method::PATCH);
        let headers = message.headers_mut();
        if !headers.contains_key(HOST) {
            let host = self.host.clone().ok_or_else(|| {
                Failure::new(ErrorClass::Other, Side::Client, "the host name cannot be sent")
            })?;
            headers.insert(HOST, host);
        }
        headers.remove(TRANSFER_ENCODING);
        if with_length {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(request.body.len()));
        } else {
            headers.remove(CONTENT_LENGTH);
        }
        if close {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if let Some(authorization) = self.plain_proxy.as_ref().and_then(|proxy| proxy.authorization.as_ref())
        {
            headers.insert(PROXY_AUTHORIZATION, authorization.clone());
        }
        // Never printed by anything that shows headers.
        if let Some(secret) = headers.get_mut(AUTHORIZATION) {
            secret.set_sensitive(true);
        }
        Ok(message)
    }

    /// The request target: the path, or the whole URL for a proxy.
    fn uri(&self, path: &Arc<str>) -> Result<Uri, Failure> {
        let mut uris = self.uris.borrow_mut();
        if let Some((_, uri)) = uris.iter().find(|(known, _)| Arc::ptr_eq(known, path)) {
            return Ok(uri.clone());
        }
        let target = match &self.plain_proxy {
            None => path.to_string(),
            Some(_) => format!("{}{path}", self.origin),
        };
        let uri = Uri::from_maybe_shared(Bytes::from(target)).map_err(|error| {
            Failure::new(ErrorClass::Other, Side::Client, format!("the path {path:?} is not valid"))
                .caused_by(&error)
        })?;
        if uris.len() == MAX_PATHS {
            uris.remove(0);
        }
        uris.push((Arc::clone(path), uri.clone()));
        Ok(uri)
    }
}
