//! One request through the proxy: admitted, routed, forwarded. It runs under the [`MeasureLayer`](crate::MeasureLayer)
//! and uses the tracker that the layer makes.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE, EXPECT, HOST, HeaderName};
use http::{HeaderMap, HeaderValue, Request, Response, Version};
use http_body_util::{Either, Full};
use hyper::body::{Body, Incoming};
use tower_service::Service;

use super::Shared;
use super::answer::Refusal;
use super::peek::Peek;
use super::request_body::ForwardBody;
use super::response_body::UpstreamBody;
use super::routes::{Upstream, endpoint_of};
use super::upstream::Client;
use crate::tracker::PerformanceTracker;

/// The body of an answer: the gateway's own, or the upstream's.
pub type AnswerBody = Either<Full<Bytes>, UpstreamBody>;

/// Forwards requests.
#[derive(Clone, Debug)]
pub struct Forward {
    pub shared: Arc<Shared>,
    pub client: Client,
}

impl Service<Request<Incoming>> for Forward {
    type Response = Response<AnswerBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<AnswerBody>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Incoming>) -> Self::Future {
        let this = self.clone();
        let tracker = request
            .extensions_mut()
            .remove::<PerformanceTracker>()
            .unwrap_or_else(|| PerformanceTracker::new(&this.shared.metrics, crate::catalogue::OTHER));
        Box::pin(async move {
            Ok(this.forward(request, &tracker).await.unwrap_or_else(|refusal| {
                // The layer goes by the status; only the gateway knows the rest.
                tracker.set_outcome(refusal.outcome());
                refusal.response().map(Either::Left)
            }))
        })
    }
}

impl Forward {
    async fn forward(
        &self,
        request: Request<Incoming>,
        tracker: &PerformanceTracker,
    ) -> Result<Response<AnswerBody>, Refusal> {
        let limits = &self.shared.limits;
        let (mut head, body) = request.into_parts();
        {
            let _stage = tracker.stage("auth_validation");
            if self.shared.keys.as_ref().is_some_and(|keys| !keys.admit(&head.headers)) {
                return Err(Refusal::Unauthorized);
            }
        }
        if body.size_hint().lower() > limits.max_body_bytes {
            return Err(Refusal::TooLarge(limits.max_body_bytes));
        }
        let mut body = ForwardBody::new(body, limits.max_body_bytes, self.shared.client_idle);
        let model = if may_name_a_model(&head.headers) && !body.is_end_stream() {
            body.model(tracker, limits.max_peek_bytes).await.map_err(|refusal| match refusal {
                Refusal::TooLarge(_) => Refusal::TooLarge(limits.max_body_bytes),
                other => other,
            })?
        } else {
            Peek::Nothing
        };
        let (upstream, message) = {
            let _stage = tracker.stage("request_preparation");
            let upstream = Arc::clone(self.route(&model)?);
            if let Some(recorder) = &self.shared.recorder {
                recorder.follow(&head, &mut body, tracker);
            }
            head.uri = upstream.uri(&head.uri).ok_or(Refusal::BadPath)?;
            head.version = Version::HTTP_11;
            head.extensions = http::Extensions::new();
            self.prepare(&mut head.headers, &upstream);
            (upstream, body)
        };
        let model = if let Peek::Model(model) = &model { model } else { "" };
        let fate = message.fate();
        let guard = tracker.backend_request(&upstream.name, model);
        let sent = self.client.send(Request::from_parts(head, message), self.shared.response_timeout).await;
        let response = match sent {
            Ok(response) => response,
            Err(refusal) => return Err(fate.refusal(limits.max_body_bytes).unwrap_or(refusal)),
        };
        let (mut head, body) = response.into_parts();
        strip_hop_by_hop(&mut head.headers);
        let body = UpstreamBody::new(body, guard, tracker.clone(), self.shared.upstream_idle);
        Ok(Response::from_parts(head, Either::Right(body)))
    }

    fn route(&self, model: &Peek) -> Result<&Arc<Upstream>, Refusal> {
        let routes = &self.shared.routes;
        match model {
            Peek::Model(model) => routes.find(Some(model)).ok_or(Refusal::UnknownModel),
            Peek::Nothing => routes.find(None).ok_or(Refusal::NoModel),
            Peek::More => routes.find(None).ok_or(Refusal::ModelTooLate(self.shared.limits.max_peek_bytes)),
        }
    }

    fn prepare(&self, headers: &mut HeaderMap, upstream: &Upstream) {
        strip_hop_by_hop(headers);
        // The server has answered an `Expect: 100-continue` itself.
        headers.remove(EXPECT);
        headers.insert(HOST, upstream.host.clone());
        if self.shared.keys.is_some() {
            // These keys are the gateway's, not the upstream's.
            headers.remove(AUTHORIZATION);
            headers.remove("x-api-key");
        }
        if let Some(own) = &upstream.authorization {
            headers.insert(AUTHORIZATION, own.clone());
        }
    }
}

/// JSON, or a body without a type.
fn may_name_a_model(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .is_none_or(|value| value.to_str().is_ok_and(|value| value.to_ascii_lowercase().contains("json")))
}

/// Removes what is meant for this connection alone (RFC 9110, 7.6.1).
fn strip_hop_by_hop(headers: &mut HeaderMap) {
    const ALWAYS: [&str; 7] = [
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "transfer-encoding",
        "upgrade",
    ];
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
    for name in ALWAYS {
        headers.remove(name);
    }
}

/// The route template for the layer.
pub fn route(uri: &http::Uri) -> Option<Arc<str>> {
    endpoint_of(uri.path()).map(Arc::from)
}

/// `seconds` as a duration; the configuration has been checked.
pub fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

/// The value of a header as text; empty when there is none.
pub fn header_text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).map(HeaderValue::to_str).and_then(Result::ok).unwrap_or_default()
}
