//! From a read request to a plan: identity, authorization, parsing, faults. Shared by HTTP/1.1
//! and HTTP/2.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::atomic::Ordering::Relaxed;

use crate::api::Api;
use crate::clock::{mono_ns, wall_ns};
use crate::fault::Fault;
use crate::log::{Outcome, RequestLog};
use crate::payload::Payload;
use crate::plan::{Draws, Plan};
use crate::server::Shared;

/// Request headers that matter, in any HTTP version.
#[derive(Debug, Default)]
pub struct Identity {
    pub request_id: Option<String>,
    pub correlation_id: Option<String>,
    pub traceparent: Option<String>,
    /// `X-Sim-Script`.
    pub script: Option<String>,
    /// `Authorization: Bearer` or `x-api-key`.
    pub key: Option<String>,
}

impl Identity {
    /// Looks at one header.
    pub fn notice(&mut self, name: &str, value: &[u8]) {
        let slot = match name.len() {
            12 if name.eq_ignore_ascii_case("x-request-id") => &mut self.request_id,
            16 if name.eq_ignore_ascii_case("x-correlation-id") => &mut self.correlation_id,
            11 if name.eq_ignore_ascii_case("traceparent") => &mut self.traceparent,
            12 if name.eq_ignore_ascii_case("x-sim-script") => &mut self.script,
            9 if name.eq_ignore_ascii_case("x-api-key") => &mut self.key,
            13 if name.eq_ignore_ascii_case("authorization") => &mut self.key,
            _ => return,
        };
        let text = String::from_utf8_lossy(value);
        *slot = Some(text.strip_prefix("Bearer ").unwrap_or(&text).to_owned());
    }
}

/// A log entry under construction; dropped, it goes to the log, so that no request is lost,
/// whatever ends it.
pub struct OpenLog {
    entry: Box<RequestLog>,
    shared: Arc<Shared>,
}

impl OpenLog {
    /// The head of an inference request was read.
    pub fn open(shared: &Arc<Shared>, path: &str, identity: &Identity, head_received_ns: u64) -> Self {
        shared.tally.receive();
        let entry = RequestLog {
            ordinal: shared.next_ordinal.fetch_add(1, Relaxed),
            x_request_id: identity.request_id.clone(),
            x_correlation_id: identity.correlation_id.clone(),
            traceparent: identity.traceparent.clone(),
            path: path.to_owned(),
            head_received_ns,
            ..RequestLog::default()
        };
        Self { entry: Box::new(entry), shared: Arc::clone(shared) }
    }

    /// Does the configuration ask for one row per write?
    pub fn keeps_writes(&self) -> bool {
        self.shared.config.log.writes
    }

    /// Ends it; a scripted fault stays one even if the client reacts to it by leaving.
    pub fn close(mut self, outcome: Outcome) {
        self.entry.outcome = if self.entry.fault.is_some() { Outcome::Fault } else { outcome };
    }
}

impl Deref for OpenLog {
    type Target = RequestLog;

    fn deref(&self) -> &RequestLog {
        &self.entry
    }
}

impl DerefMut for OpenLog {
    fn deref_mut(&mut self) -> &mut RequestLog {
        &mut self.entry
    }
}

impl Drop for OpenLog {
    fn drop(&mut self) {
        let mut entry = std::mem::take(&mut *self.entry);
        entry.end_ns = mono_ns();
        entry.end_wall_ns = wall_ns();
        if entry.fault.is_some() {
            // It stays one even if the client reacts by leaving.
            entry.outcome = Outcome::Fault;
        } else if entry.outcome == Outcome::ServerStopped && !self.shared.stopping.load(Relaxed) {
            entry.outcome = Outcome::ClientDisconnected;
        }
        self.shared.tally.finish(&entry);
        self.shared.log.add(entry);
    }
}

/// Why a request gets no answer.
#[derive(Debug)]
pub struct Refusal {
    pub status: u16,
    pub message: String,
}

impl Refusal {
    pub fn new(status: u16, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }
}

/// What a request asked for, decided.
pub struct Order {
    pub plan: Plan,
    pub draws: Draws,
}

/// What is known of a request from its head alone.
pub struct Intent {
    draws: Draws,
    pub fault: Option<Fault>,
}

/// Chooses the fault of a request, before its body is read.
pub fn intend(shared: &Shared, identity: &Identity, log: &mut RequestLog) -> Result<Intent, Refusal> {
    let config = &shared.config;
    let mut draws = Draws::new(config.seed, identity.request_id.as_deref(), log.ordinal);
    let fault = match &identity.script {
        Some(script) => Some(script.parse::<Fault>().map_err(|reason| Refusal::new(400, reason))?),
        None => draws.fault(&config.faults, log.ordinal),
    };
    let fault = fault.filter(|fault| *fault != Fault::None);
    log.fault = fault.map(|fault| fault.name().to_owned());
    Ok(Intent { draws, fault })
}

/// Reads the body, decides the answer and fills in the log.
pub fn decide(
    shared: &Shared,
    api: Api,
    identity: &Identity,
    intent: Result<Intent, Refusal>,
    body: &[u8],
    log: &mut RequestLog,
) -> Result<Order, Refusal> {
    let config = &shared.config;
    log.body_bytes = body.len() as u64;
    if config.log.bodies {
        log.body = Some(String::from_utf8_lossy(body).into_owned());
    }
    if config.api_key.as_deref().is_some_and(|key| identity.key.as_deref() != Some(key)) {
        return Err(Refusal::new(401, "Invalid API Key"));
    }
    let Intent { mut draws, fault } = intent?;
    let payload: Payload<'_> = serde_json::from_slice(body)
        .map_err(|error| Refusal::new(400, format!("unreadable body: {error}")))?;
    let model = payload.model.first();
    log.model = model.to_owned();
    if config.strict_models && !config.models.iter().any(|served| served == model) {
        return Err(Refusal::new(404, format!("The model `{model}` does not exist.")));
    }
    let cached = (config.output.prefix_cache_blocks > 0)
        .then(|| shared.prefix_cache.lock().unwrap_or_else(PoisonError::into_inner).look_up(&payload));
    let created = wall_ns() / 1_000_000_000;
    let plan = Plan::new(config, api, &payload, cached, created, fault, &mut draws);
    log.stream = plan.stream;
    log.prompt_bytes = payload.prompt_bytes();
    log.prompt_tokens = plan.prompt_tokens;
    log.cached_tokens = cached.unwrap_or(0);
    log.max_tokens = payload.max_output();
    log.planned_tokens = plan.total();
    Ok(Order { plan, draws })
}
