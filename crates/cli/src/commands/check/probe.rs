//! Small requests, each bounded in time and size.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use tokmeter_engine::dataset::{Prompt, Session, Turn};
use tokmeter_engine::endpoint::{Decoder, Endpoint, ExchangeView, Reply};
use tokmeter_engine::request::{ModelSelection, RequestBuilder, RequestConfig, Target};
use tokmeter_engine::secret::Secret;
use tokmeter_engine::seed::Seed;
use tokmeter_http::{
    ClientConfig, Exchange, Fetcher, HttpVersion, Limits, Request, TlsOptions, TransportError,
};

use crate::args::check::CheckArgs;
use crate::exit::Failure;
use crate::settings::{endpoint, pairs, transport};

/// Most bytes of any answer that are read.
pub const MAX_BYTES: usize = 32 << 20;

/// Asks one server over connections that it keeps.
pub struct Probe {
    fetcher: Fetcher,
    transport: ClientConfig,
    /// Where requests for text go.
    pub target: Target,
    /// Where the model list is.
    pub models: Target,
    builder: RequestBuilder,
    timeout: Duration,
    /// The model to ask.
    pub model: Option<String>,
    /// The server wants `max_tokens`.
    pub legacy_max_tokens: bool,
}

/// A request for text, and what came of it.
pub struct Answer {
    /// The exchange.
    pub exchange: Exchange,
    /// The answer as read, if one came.
    pub reply: Option<Reply>,
}

impl Answer {
    /// Why it is no success.
    pub fn problem(&self) -> Option<String> {
        if let Some(error) = &self.exchange.error {
            return Some(error.message.clone());
        }
        let Some(reply) = &self.reply else { return Some("no answer came".to_owned()) };
        let error = reply.error.as_ref()?;
        let said = error.said.as_ref().map_or(error.message.as_str(), |said| said.message.as_str());
        Some(match error.code {
            Some(code) => format!("status {code}: {said}"),
            None => said.to_owned(),
        })
    }

    /// From the first byte sent to the first token, ms.
    pub fn first_token_ms(&self) -> Option<f64> {
        let sent = self.exchange.trace.request_send_start_ns?;
        let first = self.reply.as_ref().filter(|reply| reply.streamed)?.deltas.first()?;
        Some(first.at.0.saturating_sub(sent.0) as f64 / 1e6)
    }
}

impl Probe {
    /// Settles flags; sends nothing.
    pub fn new(args: &CheckArgs) -> Result<Probe, Failure> {
        let timeout = transport::seconds("--timeout", args.timeout)?;
        if timeout.is_zero() {
            return Err(Failure::usage("--timeout: seconds above 0 are expected"));
        }
        if args.api_key.as_ref().is_some_and(|key| !key.bytes().all(|byte| byte.is_ascii_graphic())) {
            return Err(Failure::usage(
                "--api-key: the key has characters a header cannot hold (a line end?)",
            ));
        }
        let wrong_url = |mut failure: Failure| {
            failure.message = failure.message.replacen("--url: ", "", 1);
            failure
        };
        let path = args.endpoint_type.metadata().path;
        let target = endpoint::target(&args.url, path).map_err(wrong_url)?;
        let models = endpoint::target(&args.url, Some("/v1/models")).map_err(wrong_url)?;
        let transport = ClientConfig {
            tls: TlsOptions {
                ca_file: args.cacert.clone(),
                insecure: args.insecure,
                ..TlsOptions::default()
            },
            connect_timeout: timeout,
            limits: Limits { max_body_bytes: MAX_BYTES, ..Limits::default() },
            ..ClientConfig::default()
        };
        let config = RequestConfig {
            endpoint: Arc::new(Endpoint::new(args.endpoint_type)),
            models: Vec::new(),
            model_selection: ModelSelection::RoundRobin,
            seed: Seed(0),
            targets: vec![target.clone()],
            streaming: true,
            api_key: args.api_key.as_deref().map(Secret::new),
            headers: pairs::headers(&args.header)?,
            extra: serde_json::Map::new(),
            legacy_max_tokens: false,
            per_chunk_usage: false,
            include_usage: true,
            timeout,
            sticky: false,
            cancellation: None,
        };
        Ok(Probe {
            fetcher: fetcher(&transport)?,
            transport,
            target,
            models,
            builder: RequestBuilder::new(config),
            timeout,
            model: None,
            legacy_max_tokens: false,
        })
    }

    /// Time limit of each request.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Takes this command's secrets out of a text.
    pub fn scrub(&self, text: &mut String) {
        self.builder.scrubber().text(text);
    }

    /// Gets a page of the server, with the user's headers.
    pub fn get(&self, path: &str, accept: &'static str) -> Exchange {
        self.fetcher.send(self.page(path, accept, self.timeout))
    }

    /// Gets the model list over a connection of its own with another HTTP version.
    ///
    /// # Errors
    /// What stood in the way below HTTP.
    pub fn get_with(&self, version: HttpVersion) -> Result<Exchange, String> {
        const LIMIT: Duration = Duration::from_secs(5);
        let limit = self.timeout.min(LIMIT);
        let config = ClientConfig { http_version: version, connect_timeout: limit, ..self.transport.clone() };
        let fetcher = Fetcher::new(&config).map_err(|error| error.to_string())?;
        Ok(fetcher.send(self.page(&self.models.path, "application/json", limit)))
    }

    /// Connects whatever the certificate says and sends nothing secret: to tell what TLS would have been.
    pub fn look_behind_the_certificate(&self) -> Option<Exchange> {
        let tls = TlsOptions { insecure: true, ..self.transport.tls.clone() };
        let fetcher = Fetcher::new(&ClientConfig { tls, ..self.transport.clone() }).ok()?;
        let mut request = self.page("/", "*/*", self.timeout);
        request.headers = HeaderMap::new();
        request.method = Method::HEAD;
        Some(fetcher.send(request))
    }

    fn page(&self, path: &str, accept: &'static str, timeout: Duration) -> Request {
        let mut headers = self.builder.credentials();
        for (name, value) in &self.builder.config().headers {
            headers.insert(name.clone(), value.clone());
        }
        if let Some(authorization) = &self.target.authorization {
            headers.entry(header::AUTHORIZATION).or_insert_with(|| authorization.clone());
        }
        headers.entry(header::ACCEPT).or_insert(HeaderValue::from_static(accept));
        let agent = concat!("tokmeter/", env!("CARGO_PKG_VERSION"));
        headers.entry(header::USER_AGENT).or_insert(HeaderValue::from_static(agent));
        Request {
            origin: Arc::clone(&self.target.origin),
            method: Method::GET,
            path: path.into(),
            headers,
            body: Bytes::new(),
            sticky: None,
            last_of_sticky: false,
            timeout: Some(timeout),
            cancel_after: None,
        }
    }

    /// Asks for text.
    pub fn ask(&self, prompt: &str, output_tokens: u32, streaming: bool) -> Answer {
        let builder = RequestBuilder::new(RequestConfig {
            models: self.model.iter().map(|model| Arc::from(model.as_str())).collect(),
            legacy_max_tokens: self.legacy_max_tokens,
            streaming,
            ..self.builder.config().clone()
        });
        let body = match builder.body(&session(prompt, output_tokens), 0, &[]) {
            Ok(body) => body,
            // The APIs of this command take any text.
            Err(error) => {
                tracing::debug!(%error, "no body");
                return Answer { exchange: Exchange::default(), reply: None };
            }
        };
        let exchange = self.fetcher.send(builder.single(&self.target, body));
        let decoder = Decoder::new(Arc::clone(&builder.config().endpoint), false);
        let reply = ExchangeView::of(&exchange, streaming).map(|view| decoder.decode(&view));
        Answer { exchange, reply }
    }
}

fn fetcher(transport: &ClientConfig) -> Result<Fetcher, Failure> {
    Fetcher::new(transport).map_err(|error| Failure::usage(error.to_string()))
}

fn session(prompt: &str, output_tokens: u32) -> Session {
    let turn = Turn {
        prompt: Prompt::Texts { texts: vec![prompt.into()], images: Vec::new() },
        input_tokens: None,
        output_tokens: Some(output_tokens),
        delay: Duration::ZERO,
        at: None,
        model: None,
        extra: None,
    };
    Session {
        id: "check_000000".into(),
        system: None,
        context: None,
        turns: vec![turn],
        self_contained: true,
    }
}

/// The status of an answer, or why there is none.
pub fn status(exchange: &Exchange) -> Result<u16, String> {
    match (&exchange.error, &exchange.head) {
        (Some(TransportError { message, .. }), _) => Err(message.clone()),
        (None, Some(head)) => Ok(head.status.as_u16()),
        (None, None) => Err("no answer came".to_owned()),
    }
}
