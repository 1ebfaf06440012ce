//! Waiting until the servers answer, before anything is measured (`--wait-for-model-…`).

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use tokmeter_http::exchange::{Exchange, Request};
use tokmeter_http::{ClientConfig, Fetcher, FetcherError};
use uuid::Uuid;

use crate::choice::choice;
use crate::dataset::{Prompt, Session, Turn};
use crate::endpoint::{BodyError, ExchangeView};
use crate::request::{RequestBuilder, Target};
use crate::run::RunControl;

choice! {
    /// What shows that a server is ready (`--wait-for-model-mode`).
    pub enum ReadinessMode {
        /// A small request of the run's own kind is answered.
        Inference = "inference",
        /// `/v1/models` lists the model.
        Models = "models",
        /// Both.
        Both = "both",
    }
}

/// How long to wait, and for what.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Readiness {
    /// What shows it.
    pub mode: ReadinessMode,
    /// After this long the run is given up.
    pub timeout: Duration,
    /// Pause between two attempts.
    pub interval: Duration,
}

/// Why the run cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum NotReady {
    /// The settings of connections cannot be used.
    #[error(transparent)]
    Transport(#[from] FetcherError),
    /// The endpoint cannot send a small request.
    #[error("no request to ask the server with: {0}")]
    Body(#[from] BodyError),
    /// The time is over.
    #[error("{server} was not ready after {seconds} s: {reason}")]
    TimedOut {
        /// Scheme, host and port.
        server: String,
        /// The time waited.
        seconds: f64,
        /// What the last attempt met.
        reason: String,
    },
    /// The user does not want to wait any longer.
    #[error("interrupted while waiting for the server")]
    Interrupted,
}

/// Time limit of one attempt; loading a model takes long, answering a few tokens does not.
const ATTEMPT: Duration = Duration::from_secs(30);
/// Longest model list that is read.
const MODELS_BYTES: usize = 16 << 20;

impl Readiness {
    /// Waits until every server is ready. `waiting` is told each attempt's failure.
    ///
    /// # Errors
    /// When the time is over, the user interrupts, or nothing can be sent at all.
    pub fn wait(
        &self,
        builder: &RequestBuilder,
        transport: &ClientConfig,
        control: &RunControl,
        mut waiting: impl FnMut(&str),
    ) -> Result<(), NotReady> {
        let fetcher = Fetcher::new(transport)?;
        let body = builder.body(&probe_session(builder), 0, &[])?;
        let begin = Instant::now();
        for target in &builder.config().targets {
            while let Err(reason) = self.ask(&fetcher, builder, target, &body) {
                let left = self.timeout.saturating_sub(begin.elapsed());
                if left.is_zero() {
                    return Err(NotReady::TimedOut {
                        server: target.origin.authority(),
                        seconds: self.timeout.as_secs_f64(),
                        reason,
                    });
                }
                waiting(&reason);
                pause(self.interval.min(left), control)?;
            }
        }
        Ok(())
    }

    fn ask(
        &self,
        fetcher: &Fetcher,
        builder: &RequestBuilder,
        target: &Target,
        body: &Bytes,
    ) -> Result<(), String> {
        if self.mode != ReadinessMode::Inference {
            lists_models(fetcher, builder, target)?;
        }
        if self.mode != ReadinessMode::Models {
            answers(fetcher, builder, target, body)?;
        }
        Ok(())
    }
}

/// Sleeps in short pieces, so that Ctrl-C is heard.
fn pause(length: Duration, control: &RunControl) -> Result<(), NotReady> {
    const PIECE: Duration = Duration::from_millis(20);
    let end = Instant::now() + length;
    while Instant::now() < end {
        if control.was_interrupted() {
            return Err(NotReady::Interrupted);
        }
        std::thread::sleep(PIECE.min(end.saturating_duration_since(Instant::now())));
    }
    Ok(())
}

/// One word, one token of answer.
fn probe_session(builder: &RequestBuilder) -> Session {
    let ranks = builder.config().endpoint.kind().ranks();
    let prompt = match ranks {
        true => Prompt::Ranking { query: "ready?".into(), passages: vec!["yes".into()] },
        false => Prompt::Texts { texts: vec!["ready?".into()], images: Vec::new() },
    };
    let turn = Turn {
        prompt,
        input_tokens: None,
        output_tokens: Some(1),
        delay: Duration::ZERO,
        at: None,
        model: None,
        extra: None,
    };
    Session {
        id: "ready_000000".into(),
        system: None,
        context: None,
        turns: vec![turn],
        self_contained: true,
    }
}

fn answers(fetcher: &Fetcher, builder: &RequestBuilder, target: &Target, body: &Bytes) -> Result<(), String> {
    let request = Request {
        timeout: Some(ATTEMPT),
        ..builder.request_to(target, body.clone(), Uuid::new_v4(), Uuid::new_v4())
    };
    let exchange = fetcher.send(request);
    let status = status(&exchange)?;
    match (status.is_success(), ExchangeView::of(&exchange, builder.config().streaming)) {
        (true, Some(view)) => match builder.decoder(false).decode(&view).error {
            None => Ok(()),
            Some(error) => Err(format!("a small request failed: {}", error.message)),
        },
        _ => Err(format!("a small request was answered with status {}", status.as_u16())),
    }
}

fn lists_models(fetcher: &Fetcher, builder: &RequestBuilder, target: &Target) -> Result<(), String> {
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    headers.extend(builder.credentials());
    if let Some(authorization) = &target.authorization {
        headers.entry(header::AUTHORIZATION).or_insert_with(|| authorization.clone());
    }
    let exchange = fetcher.send(Request {
        origin: target.origin.clone(),
        method: Method::GET,
        path: "/v1/models".into(),
        headers,
        body: Bytes::new(),
        sticky: None,
        last_of_sticky: false,
        timeout: Some(ATTEMPT),
        cancel_after: None,
    });
    let status = status(&exchange)?;
    if !status.is_success() {
        return Err(format!("/v1/models was answered with status {}", status.as_u16()));
    }
    let bytes = &exchange.body.bytes;
    let list: serde_json::Value = match bytes.len() <= MODELS_BYTES {
        true => serde_json::from_slice(bytes).map_err(|error| format!("/v1/models is no JSON: {error}"))?,
        false => return Err("the list of /v1/models is too long".to_owned()),
    };
    let listed: Vec<&str> =
        list["data"].as_array().into_iter().flatten().filter_map(|model| model["id"].as_str()).collect();
    match builder.config().models.iter().find(|model| !listed.contains(&&***model)) {
        None => Ok(()),
        Some(missing) => Err(format!("/v1/models does not list `{missing}`")),
    }
}

fn status(exchange: &Exchange) -> Result<StatusCode, String> {
    match (&exchange.error, &exchange.head) {
        (Some(error), _) => Err(error.message.clone()),
        (None, Some(head)) => Ok(head.status),
        (None, None) => Err("no answer came".to_owned()),
    }
}
