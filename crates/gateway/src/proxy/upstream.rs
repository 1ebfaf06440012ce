//! The client towards the upstreams: kept-alive HTTP/1.1 connections, plain or TLS.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::crypto::aws_lc_rs;
use tokio::time::timeout;

use super::answer::Refusal;
use super::config::ConfigError;
use super::request_body::ForwardBody;

/// Idle connections are closed before the usual servers close theirs.
const IDLE_CONNECTION: Duration = Duration::from_secs(4);

/// Sends requests to upstreams. Clones share their connections.
#[derive(Clone)]
pub struct Client(legacy::Client<HttpsConnector<HttpConnector>, ForwardBody>);

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}

impl Client {
    /// A client. Trusted roots are read only when an upstream speaks TLS.
    pub fn new(connect: Duration, tls: bool) -> Result<Self, ConfigError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = HttpsConnectorBuilder::new();
        let told = |error: &dyn fmt::Display| ConfigError::Tls(error.to_string());
        let builder = if tls {
            builder.with_provider_and_native_roots(provider).map_err(|error| told(&error))?
        } else {
            let config = rustls::ClientConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .map_err(|error| told(&error))?
                .with_root_certificates(rustls::RootCertStore::empty())
                .with_no_client_auth();
            builder.with_tls_config(config)
        };
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(connect));
        let connector = builder.https_or_http().enable_http1().wrap_connector(tcp);
        let client = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_CONNECTION)
            .set_host(false)
            .build(connector);
        Ok(Client(client))
    }

    /// Sends a request and waits for the head of its response.
    pub async fn send(
        &self,
        request: Request<ForwardBody>,
        wait: Duration,
    ) -> Result<Response<Incoming>, Refusal> {
        match timeout(wait, self.0.request(request)).await {
            Err(_) => Err(Refusal::UpstreamTimeout),
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => {
                tracing::debug!(%error, source = error.source().map(tracing::field::display), "upstream failed");
                let refusal = match error.is_connect() {
                    true if is_timeout(&error) => Refusal::UpstreamTimeout,
                    true => Refusal::Unreachable,
                    false => Refusal::BrokenOff,
                };
                Err(refusal)
            }
        }
    }
}

fn is_timeout(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let io = error.downcast_ref::<std::io::Error>();
        if io.is_some_and(|error| error.kind() == std::io::ErrorKind::TimedOut) {
            return true;
        }
        cause = error.source();
    }
    false
}
