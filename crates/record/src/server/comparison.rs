//! Client and server side by side: what a run measured, what the engines behind it reported over the same window,
//! and what the difference is made of.
//!
//! A client measures from the start of its request to the arrival of a token; an engine measures from the arrival of
//! the request to the making of the token. Between the two lie, in this order: setting up the connection, sending the
//! request, the network, a gateway, and the time until the client looks at what arrived. The first two are measured by
//! the client, a gateway by its own metrics; what is left is the network and the HTTP layer of the server. The parts
//! of a difference add up to it. With the kernel's receive stamps the client's own lag is in none of its latencies: it
//! is told beside them. Without those stamps it cannot be measured, and is part of what is left.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;

use super::known::{Engine, Role, RoleReading, ServerView};
use crate::metric::{MetricId, catalogue as c};
use crate::statistics::{MetricSet, MetricSummary};

/// A quantity that both sides know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Compared {
    /// ms. Client: `time_to_first_token`.
    TimeToFirstToken,
    /// ms. Client: `request_latency`.
    RequestLatency,
    /// ms. Client: `inter_token_latency`, a mean for each request; engines observe each token.
    InterTokenLatency,
    /// ms in the engine's queue; the client cannot see it.
    QueueTime,
    /// Requests at once. Client: `effective_concurrency`. Server: those in execution and those that wait.
    RequestsInFlight,
    /// Requests that wait in the engine; the client cannot see it.
    RequestsWaiting,
    /// Requests in the window. Client: all that ended, failures included.
    Requests,
    /// Tokens of the prompts. Client: the answers' usage, else its own count.
    PromptTokens,
    /// Tokens generated. Client: the answers' usage, else its own count.
    OutputTokens,
}

impl Compared {
    /// What people call it, with its unit.
    pub fn label(self) -> &'static str {
        match self {
            Compared::TimeToFirstToken => "Time to first token (ms)",
            Compared::RequestLatency => "Request latency (ms)",
            Compared::InterTokenLatency => "Inter-token latency (ms)",
            Compared::QueueTime => "Queue time (ms)",
            Compared::RequestsInFlight => "Requests in flight",
            Compared::RequestsWaiting => "Requests waiting",
            Compared::Requests => "Requests",
            Compared::PromptTokens => "Prompt tokens",
            Compared::OutputTokens => "Output tokens",
        }
    }
}

/// One side's figures for a quantity; a quantity has a total or a mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Side {
    /// Sum over the window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<f64>,
    /// Mean.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avg: Option<f64>,
    /// Median; a server's is estimated from buckets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p50: Option<f64>,
    /// 99th percentile; a server's is estimated from buckets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p99: Option<f64>,
    /// Highest sample of a gauge.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
}

impl Side {
    fn is_empty(&self) -> bool {
        [self.total, self.avg, self.p50, self.p99, self.max].iter().all(Option::is_none)
    }

    fn main(&self) -> Option<f64> {
        self.total.or(self.avg)
    }
}

/// Where a part of a difference was spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Waiting for a connection, name resolution, TCP and TLS: measured by the client.
    ConnectionSetup,
    /// Writing the request to the socket: measured by the client.
    Sending,
    /// In front of the engine: the front end's own figure less the engine's.
    Gateway,
    /// The rest: network, and the HTTP layer of the server.
    Network,
    /// The rest where the client's stamps are taken when it reads: its lag is among it.
    NetworkAndClientLag,
}

impl Cause {
    /// What people call it.
    pub fn label(self) -> &'static str {
        match self {
            Cause::ConnectionSetup => "connection set-up",
            Cause::Sending => "sending",
            Cause::Gateway => "gateway",
            Cause::Network => "network and HTTP layer",
            Cause::NetworkAndClientLag => "network, HTTP layer and client lag",
        }
    }
}

/// A part of a difference of means.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Share {
    /// Where it was spent.
    pub cause: Cause,
    /// How much, ms. The rest can be negative where the two sides average over different requests.
    pub ms: f64,
}

/// One quantity on both sides.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// What is compared.
    pub quantity: Compared,
    /// The server's metrics it comes from.
    pub server_metrics: Vec<Arc<str>>,
    /// As the client saw it.
    #[serde(skip_serializing_if = "Side::is_empty")]
    pub client: Side,
    /// As the server reported it.
    pub server: Side,
    /// Client less server, of the totals or the means.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub difference: Option<f64>,
    /// What a difference in latency is made of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub shares: Vec<Share>,
}

/// What one engine reported, against the client.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SideBySide {
    /// Who reported.
    pub engine: Engine,
    /// Where; several for replicas.
    pub endpoint_urls: Vec<Arc<str>>,
    /// The quantities, in a fixed order.
    pub rows: Vec<Comparison>,
    /// Mean time from the kernel's receipt of bytes until the client read them, ms: in none of the latencies above.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_lag_ms: Option<f64>,
    /// What a reader should know before comparing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// Puts the engines' reports beside the client's figures, one for each engine that served requests in the window.
pub fn side_by_side(views: &[ServerView], client: &MetricSet) -> Vec<SideBySide> {
    let engines: BTreeSet<Engine> = views.iter().map(|view| view.engine).collect();
    let front = engines.contains(&Engine::Dynamo).then(|| merged(views, Engine::Dynamo));
    let compare = |engine: Engine| {
        let readings = merged(views, engine);
        let gateway = front.as_ref().filter(|_| engine != Engine::Dynamo);
        let rows = rows(engine, &readings, client, gateway);
        let notes = notes(engine, &rows);
        let of_engine = views.iter().filter(|view| view.engine == engine);
        let endpoint_urls = of_engine.map(|view| Arc::clone(&view.endpoint_url)).collect();
        SideBySide { engine, endpoint_urls, rows, client_lag_ms: client.value(c::CLIENT_RECV_LAG), notes }
    };
    let served = |side: &SideBySide| side.rows.iter().any(|row| row.server.main().is_some_and(|n| n > 0.0));
    engines.into_iter().map(compare).filter(served).collect()
}

type Readings = BTreeMap<Role, RoleReading>;

/// The reports of all replicas as one: totals and gauges add up, means are weighted by their observations, and
/// percentiles are kept only where a single replica served.
fn merged(views: &[ServerView], engine: Engine) -> Readings {
    let mut all = Readings::new();
    for view in views.iter().filter(|view| view.engine == engine) {
        for (role, reading) in &view.readings {
            match all.get_mut(role) {
                None => {
                    all.insert(*role, reading.clone());
                }
                Some(known) if reading.count == Some(0) && known.count.is_some() => {}
                Some(known) if known.count == Some(0) => *known = reading.clone(),
                Some(known) => add(known, reading),
            }
        }
    }
    all
}

fn add(known: &mut RoleReading, more: &RoleReading) {
    let sum = |a: Option<f64>, b: Option<f64>| a.map_or(b, |a| Some(a + b.unwrap_or(0.0)));
    known.total = sum(known.total, more.total);
    if let (Some(count), Some(further)) = (known.count, more.count) {
        let count = count + further;
        known.count = Some(count);
        known.avg = known.total.filter(|_| count > 0).map(|total| total / count as f64);
    } else {
        known.avg = sum(known.avg, more.avg);
    }
    known.max = sum(known.max, more.max);
    (known.p50, known.p90, known.p99) = (None, None, None);
}

fn rows(engine: Engine, server: &Readings, client: &MetricSet, front: Option<&Readings>) -> Vec<Comparison> {
    let observed = |role| server.get(&role).filter(|reading| reading.count.is_some_and(|count| count > 0));
    let latency = |quantity, role, id: Option<MetricId>| {
        let reading = observed(role)?;
        let measured = id.and_then(|id| client.get(id)).map(of_client).unwrap_or_default();
        let mut row = row(quantity, &[reading], measured, in_ms(reading));
        if matches!(role, Role::TimeToFirstToken | Role::RequestLatency) {
            let front = front.and_then(|front| in_ms(front.get(&role)?).avg);
            row.shares = shares(&row, client, front);
        }
        Some(row)
    };
    let total = |quantity, role, ids: &[MetricId]| {
        let reading = server.get(&role)?;
        let measured = Side { total: ids.iter().find_map(|id| client.value(*id)), ..Side::default() };
        Some(row(quantity, &[reading], measured, Side { total: reading.total, ..Side::default() }))
    };
    let (running, waiting) = (server.get(&Role::Running), server.get(&Role::Waiting));
    let gauge = |reading: &RoleReading| Side { avg: reading.avg, max: reading.max, ..Side::default() };
    let in_flight = running.map(|running| {
        let measured = client.get(c::EFFECTIVE_CONCURRENCY).map(of_client).unwrap_or_default();
        match waiting {
            // Dynamo's requests in flight include those that wait.
            Some(waiting) if engine != Engine::Dynamo => {
                let avg = running.avg.zip(waiting.avg).map(|(running, waiting)| running + waiting);
                let measured = Side { p50: None, p99: None, ..measured };
                row(
                    Compared::RequestsInFlight,
                    &[running, waiting],
                    measured,
                    Side { avg, ..Side::default() },
                )
            }
            _ => row(Compared::RequestsInFlight, &[running], measured, gauge(running)),
        }
    });
    let rows = [
        latency(Compared::TimeToFirstToken, Role::TimeToFirstToken, Some(c::TIME_TO_FIRST_TOKEN)),
        latency(Compared::RequestLatency, Role::RequestLatency, Some(c::REQUEST_LATENCY)),
        latency(Compared::InterTokenLatency, Role::InterTokenLatency, Some(c::INTER_TOKEN_LATENCY)),
        latency(Compared::QueueTime, Role::QueueTime, None),
        in_flight,
        waiting.map(|reading| row(Compared::RequestsWaiting, &[reading], Side::default(), gauge(reading))),
        total(Compared::Requests, Role::Requests, &[c::COMPLETED_REQUEST_COUNT, c::REQUEST_COUNT]),
        total(Compared::PromptTokens, Role::PromptTokens, &[c::TOTAL_USAGE_PROMPT_TOKENS, c::TOTAL_ISL]),
        total(
            Compared::OutputTokens,
            Role::GenerationTokens,
            &[c::TOTAL_USAGE_COMPLETION_TOKENS, c::TOTAL_OSL],
        ),
    ];
    rows.into_iter().flatten().filter(|row| !row.server.is_empty()).collect()
}

fn row(quantity: Compared, readings: &[&RoleReading], client: Side, server: Side) -> Comparison {
    let difference = client.main().zip(server.main()).map(|(client, server)| client - server);
    let server_metrics = readings.iter().map(|reading| Arc::clone(&reading.metric)).collect();
    Comparison { quantity, server_metrics, client, server, difference, shares: Vec::new() }
}

fn of_client(summary: &MetricSummary) -> Side {
    Side { avg: summary.avg, p50: summary.p50, p99: summary.p99, ..Side::default() }
}

/// Engines report seconds.
fn in_ms(reading: &RoleReading) -> Side {
    let ms = |seconds: Option<f64>| seconds.map(|seconds| seconds * 1e3);
    Side { avg: ms(reading.avg), p50: ms(reading.p50), p99: ms(reading.p99), ..Side::default() }
}

/// What the difference of two mean latencies is made of; `front` is the mean of a front end before the engine.
fn shares(row: &Comparison, client: &MetricSet, front: Option<f64>) -> Vec<Share> {
    let Some(difference) = row.difference else { return Vec::new() };
    let measured = |cause, id| Some(Share { cause, ms: client.value(id)? });
    let gateway = front.zip(row.server.avg).map(|(front, engine)| front - engine);
    let known = [
        measured(Cause::ConnectionSetup, c::HTTP_REQ_CONNECTION_OVERHEAD),
        measured(Cause::Sending, c::HTTP_REQ_SENDING),
        gateway.map(|ms| Share { cause: Cause::Gateway, ms }),
    ];
    let mut shares: Vec<Share> = known.into_iter().flatten().collect();
    let ms = difference - shares.iter().map(|share| share.ms).sum::<f64>();
    let kernel_stamps = client.value(c::CLIENT_RECV_LAG).is_some();
    let cause = if kernel_stamps { Cause::Network } else { Cause::NetworkAndClientLag };
    shares.push(Share { cause, ms });
    shares
}

/// A server that counts other requests than the client's reports figures of other requests.
fn notes(engine: Engine, rows: &[Comparison]) -> Vec<String> {
    let name = engine.display();
    let requests = rows.iter().find(|row| row.quantity == Compared::Requests);
    let counts = requests.and_then(|row| row.client.total.zip(row.server.total));
    let mut notes = Vec::new();
    match counts {
        Some((client, server)) if server > client * 1.01 + 0.5 => notes.push(format!(
            "{name} finished {server} requests in the window, the client {client}: others use the server too, \
             and its figures are not of this run alone"
        )),
        Some((client, server)) if server < client * 0.99 - 0.5 => notes.push(format!(
            "{name} finished {server} of the client's {client} requests: failed and cancelled ones may not count there"
        )),
        _ => {}
    }
    let rest = |row: &Comparison| row.shares.last().is_some_and(|share| share.ms < 0.0);
    if rows.iter().any(rest) {
        notes.push(format!(
            "the parts the client measured exceed the difference to {name}: its histograms are means over other requests \
             or of a coarser clock"
        ));
    }
    notes
}

#[cfg(test)]
mod tests;
