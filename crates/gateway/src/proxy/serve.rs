//! Accepts connections, serves them, and drains them at the end.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use http::header::ACCEPT;
use http::{Request, Response};
use http_body_util::Either;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tower_layer::Layer;
use tower_service::Service;

use super::Shared;
use super::answer::own_page;
use super::patient_io::PatientIo;
use super::service::{Forward, header_text, route};
use super::upstream::Client;
use crate::catalogue::Metric;
use crate::layer::{Measure, MeasureLayer};
use crate::metrics::Gauge;

/// Pause after a failed accept: out of files, mostly, and that takes a while to mend.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

pub async fn serve(
    shared: &Arc<Shared>,
    client: Client,
    listener: TcpListener,
    mut stop: watch::Receiver<bool>,
) {
    let layer = MeasureLayer::new(Arc::clone(&shared.metrics))
        .route(|_, uri| route(uri))
        .server_timing(shared.server_timing);
    let service = layer.layer(Forward { shared: Arc::clone(shared), client });
    let open = shared.metrics.gauge(Metric::Connections, &[]);
    let refused = shared.metrics.counter(Metric::ConnectionsRefused, &[]);
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            // An error means that nobody can stop it any more, so it stops.
            _ = stop.wait_for(|stop| *stop) => break,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Ok(permit) = Arc::clone(&shared.connections).try_acquire_owned() else {
            refused.add(1);
            continue;
        };
        let counted = Counted::new(&open);
        let connection = graceful.watch(connection(shared, service.clone(), stream));
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a client's connection ended");
            }
            drop((counted, permit));
        });
    }
    drop(listener);
    shared.draining.store(true, Relaxed);
    if timeout(shared.drain, graceful.shutdown()).await.is_err() {
        tracing::warn!("streams were cut: they outlasted the time to drain");
    }
}

fn connection(
    shared: &Arc<Shared>,
    service: Measure<Forward>,
    stream: TcpStream,
) -> impl hyper_util::server::graceful::GracefulConnection<Error = hyper::Error> + Send + 'static {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    let io = PatientIo::new(TokioIo::new(stream), shared.client_idle);
    let pages = Arc::clone(shared);
    let answer = service_fn(move |request: Request<Incoming>| {
        let draining = pages.draining.load(Relaxed);
        let accept = header_text(request.headers(), ACCEPT.as_str());
        let page = own_page(request.uri().path(), accept, &pages.metrics, draining);
        let measured = match page {
            Some(page) => Either::Left(page),
            None => Either::Right(service.clone().call(request)),
        };
        async move {
            let response: Response<_> = match measured {
                Either::Left(page) => page.map(Either::Left),
                Either::Right(measured) => measured.await?.map(Either::Right),
            };
            Ok::<_, Infallible>(response)
        }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(shared.client_head)
        .max_headers(shared.limits.max_headers)
        .max_buf_size(shared.limits.max_head_bytes)
        .serve_connection(io, answer)
}

/// A connection in the gauge of open ones.
struct Counted(Arc<Gauge>);

impl Counted {
    fn new(gauge: &Arc<Gauge>) -> Self {
        gauge.add(1.0);
        Counted(Arc::clone(gauge))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.add(-1.0);
    }
}
