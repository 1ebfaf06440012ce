//! A tower layer that measures what passes: no code in the handler.
//!
//! It makes the [`PerformanceTracker`] of each request, puts it into the request's extensions for handlers that
//! want to time stages or name the upstream, and wraps the response body.

mod body;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Extensions, HeaderName, HeaderValue, Request, Response, Uri};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

pub use body::MeasuredBody;

use crate::metrics::Metrics;
use crate::outcome::Outcome;
use crate::tracker::{PerformanceTracker, TraceId};

/// Says the route template of a request; `None` is `other`.
type Route = dyn Fn(&Extensions, &Uri) -> Option<Arc<str>> + Send + Sync;

const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// Measures every request of a service.
///
/// With axum, use it as a `route_layer`, so that the route is known:
///
/// ```
/// use std::sync::Arc;
/// use axum::extract::MatchedPath;
/// use axum::{Extension, Router, routing::post};
/// use tokmeter_gateway::{Bounds, MeasureLayer, Metrics, PerformanceTracker};
///
/// async fn chat(Extension(tracker): Extension<PerformanceTracker>) -> &'static str {
///     let _stage = tracker.stage("request_parsing");
///     "answer"
/// }
///
/// let metrics = Arc::new(Metrics::new(Bounds::default()));
/// let layer = MeasureLayer::new(Arc::clone(&metrics))
///     .route(|extensions, _uri| extensions.get::<MatchedPath>().map(|path| path.as_str().into()));
/// let app: Router = Router::new().route("/v1/chat/completions", post(chat)).route_layer(layer);
/// ```
#[derive(Clone)]
pub struct MeasureLayer {
    metrics: Arc<Metrics>,
    route: Arc<Route>,
    server_timing: bool,
}

impl MeasureLayer {
    /// A layer that counts every request at the endpoint `other`, until it is told how to find the
    /// [`route`](Self::route).
    pub fn new(metrics: Arc<Metrics>) -> Self {
        MeasureLayer { metrics, route: Arc::new(|_, _| None), server_timing: true }
    }

    /// How to find the route template of a request.
    #[must_use]
    pub fn route(
        self,
        route: impl Fn(&Extensions, &Uri) -> Option<Arc<str>> + Send + Sync + 'static,
    ) -> Self {
        MeasureLayer { route: Arc::new(route), ..self }
    }

    /// Whether responses carry a `Server-Timing` header. They do unless told otherwise.
    #[must_use]
    pub fn server_timing(self, server_timing: bool) -> Self {
        MeasureLayer { server_timing, ..self }
    }
}

impl std::fmt::Debug for MeasureLayer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MeasureLayer").field("server_timing", &self.server_timing).finish_non_exhaustive()
    }
}

impl<S> Layer<S> for MeasureLayer {
    type Service = Measure<S>;

    fn layer(&self, inner: S) -> Measure<S> {
        Measure { inner, layer: self.clone() }
    }
}

/// The service that [`MeasureLayer`] makes.
#[derive(Clone, Debug)]
pub struct Measure<S> {
    inner: S,
    layer: MeasureLayer,
}

impl<S, B, R> Service<Request<B>> for Measure<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: Body<Data = Bytes>,
{
    type Response = Response<MeasuredBody<R>>;
    type Error = S::Error;
    type Future = MeasureFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let route = (self.layer.route)(request.extensions(), request.uri());
        let endpoint = route.as_deref().unwrap_or(crate::catalogue::OTHER);
        let tracker = PerformanceTracker::new(&self.layer.metrics, endpoint);
        let traceparent = request.headers().get("traceparent").and_then(|value| value.to_str().ok());
        if let Some(trace_id) = traceparent.and_then(TraceId::of_traceparent) {
            tracker.set_trace(trace_id);
        }
        request.extensions_mut().insert(tracker.clone());
        MeasureFuture {
            inner: self.inner.call(request),
            tracker: Some(tracker),
            server_timing: self.layer.server_timing,
        }
    }
}

pin_project! {
    /// The response of a measured service. Dropped before it is ready, the request was cancelled.
    #[derive(Debug)]
    pub struct MeasureFuture<F> {
        #[pin]
        inner: F,
        tracker: Option<PerformanceTracker>,
        server_timing: bool,
    }
}

impl<F, R, E> Future for MeasureFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
    R: Body<Data = Bytes>,
{
    type Output = Result<Response<MeasuredBody<R>>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let outcome = ready!(this.inner.poll(context));
        let Some(tracker) = this.tracker.take() else { return Poll::Pending };
        let mut response = match outcome {
            Ok(response) => response,
            Err(error) => {
                tracker.finish(Outcome::GatewayError, 0);
                return Poll::Ready(Err(error));
            }
        };
        if *this.server_timing
            && let Ok(value) = HeaderValue::from_str(&tracker.server_timing())
        {
            // An upstream's own header stays: the field may be repeated.
            response.headers_mut().append(SERVER_TIMING, value);
        }
        let (head, body) = response.into_parts();
        let body = MeasuredBody::new(body, &head, tracker);
        Poll::Ready(Ok(Response::from_parts(head, body)))
    }
}
