//! Sending the pairs.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde::Serialize;
use tokio::runtime::Runtime;
use tokio::task::LocalSet;
use tokmeter_http::exchange::{Exchange, Request};
use tokmeter_http::{Client, ConfigError};
use tokmeter_record::MonoNs;
use tokmeter_record::time::Instant as _;
use uuid::Uuid;

use super::body::Mold;
use super::{Arm, TaxConfig, headers, transport};
use crate::endpoint::{Decoder, Endpoint, EndpointType, ExchangeView, Reply};
use crate::seed::below;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A stage of a request whose time is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Name resolution, TCP and TLS; only with a new connection for each request.
    Connect,
    /// From the first write of the request to the first byte of the answer's body.
    Ttfb,
    /// From the first write of the request to its first token: content, reasoning or tool call.
    FirstToken,
    /// From the beginning of the request, connecting included, to the last byte of the answer's body.
    Total,
}

impl Stage {
    /// All stages, in order.
    pub const ALL: [Stage; 4] = [Stage::Connect, Stage::Ttfb, Stage::FirstToken, Stage::Total];

    /// Its name in tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Stage::Connect => "connect",
            Stage::Ttfb => "TTFB",
            Stage::FirstToken => "first token",
            Stage::Total => "total",
        }
    }
}

/// Times of one request by [`Stage::ALL`], ms; `None` where the stage did not occur.
pub(super) type Times = [Option<f64>; 4];

/// Both requests of a pair.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair {
    pub direct_first: bool,
    pub direct: Times,
    pub through: Times,
}

/// The pairs of a cell.
#[derive(Debug, Default)]
pub(super) struct Pairs {
    /// Those of which both requests succeeded, in the order of their ends.
    pub complete: Vec<Pair>,
    pub direct_failures: u64,
    pub through_failures: u64,
    pub first_failure: Option<String>,
}

struct Way {
    arm: Arm,
    headers: HeaderMap,
    client: Client,
}

/// Sends pairs; keeps its connections from cell to cell.
pub(super) struct Load {
    ways: Rc<[Way; 2]>,
    decoder: Rc<Decoder>,
    config: Rc<TaxConfig>,
}

/// What the workers of a cell share.
struct Shared {
    mold: Mold,
    number: u64,
    sent: Cell<u64>,
    pairs: RefCell<Pairs>,
}

impl Load {
    pub(super) fn new(config: &TaxConfig) -> Result<Self, ConfigError> {
        let transport = Arc::new(transport(config));
        let way = |arm: &Arm, shard: u32| -> Result<Way, ConfigError> {
            let client = Client::new(Arc::clone(&transport), shard)?;
            client.prepare(&arm.origin)?;
            Ok(Way { arm: arm.clone(), headers: headers(arm, config), client })
        };
        Ok(Load {
            ways: Rc::new([way(&config.direct, 0)?, way(&config.through, 1)?]),
            decoder: Rc::new(Decoder::new(Arc::new(Endpoint::new(EndpointType::Chat)), false)),
            config: Rc::new(config.clone()),
        })
    }

    /// The pairs of one cell. `number` tells cells apart.
    pub(super) fn run(&self, runtime: &Runtime, concurrency: usize, mold: Mold, number: u64) -> Pairs {
        let shared =
            Rc::new(Shared { mold, number, sent: Cell::new(0), pairs: RefCell::new(Pairs::default()) });
        let local = LocalSet::new();
        for _ in 0..concurrency {
            let (ways, decoder) = (Rc::clone(&self.ways), Rc::clone(&self.decoder));
            let (config, shared) = (Rc::clone(&self.config), Rc::clone(&shared));
            local.spawn_local(async move { worker(&ways, &decoder, &config, &shared).await });
        }
        runtime.block_on(local);
        shared.pairs.take()
    }
}

async fn worker(ways: &[Way; 2], decoder: &Decoder, config: &TaxConfig, shared: &Shared) {
    loop {
        let index = shared.sent.get();
        if index >= config.warmup_pairs + config.pairs {
            return;
        }
        shared.sent.set(index + 1);
        let draw = shared.number << 40 | index;
        let direct_first = below(&mut config.seed.stream_at("tax order", draw), 2) == 0;
        let order = if direct_first { [0, 1] } else { [1, 0] };
        let mut results: [Result<Times, String>; 2] = [Err(String::new()), Err(String::new())];
        for side in order {
            let body = shared.mold.body(draw << 1 | side as u64);
            let exchange = ways[side].client.send(request(&ways[side], config, body)).await;
            results[side] = times(&exchange, decoder, config.streaming);
        }
        if index >= config.warmup_pairs {
            note(&mut shared.pairs.borrow_mut(), direct_first, results);
        }
    }
}

fn request(way: &Way, config: &TaxConfig, body: bytes::Bytes) -> Request {
    let mut headers = way.headers.clone();
    if let Ok(id) = HeaderValue::try_from(Uuid::new_v4().to_string()) {
        headers.insert(REQUEST_ID, id);
    }
    Request {
        origin: Arc::clone(&way.arm.origin),
        method: Method::POST,
        path: Arc::clone(&way.arm.path),
        headers,
        body,
        sticky: None,
        last_of_sticky: false,
        timeout: Some(config.timeout),
        cancel_after: None,
    }
}

fn note(pairs: &mut Pairs, direct_first: bool, [direct, through]: [Result<Times, String>; 2]) {
    for (side, result) in [("direct", &direct), ("through the gateway", &through)] {
        let Err(reason) = result else { continue };
        match side {
            "direct" => pairs.direct_failures += 1,
            _ => pairs.through_failures += 1,
        }
        pairs.first_failure.get_or_insert_with(|| format!("{side}: {reason}"));
    }
    if let (Ok(direct), Ok(through)) = (direct, through) {
        pairs.complete.push(Pair { direct_first, direct, through });
    }
}

/// The times of a success, or why it is none.
fn times(exchange: &Exchange, decoder: &Decoder, streaming: bool) -> Result<Times, String> {
    if let Some(error) = &exchange.error {
        return Err(error.message.clone());
    }
    let reply = ExchangeView::of(exchange, streaming).map(|view| decoder.decode(&view));
    let reply = reply.ok_or("no response came")?;
    if let Some(error) = &reply.error {
        let said = error.said.as_ref().map_or(error.message.as_str(), |said| said.message.as_str());
        let code = error.code.map_or_else(String::new, |code| format!("status {code}: "));
        return Err(format!("{code}{}", said.chars().take(300).collect::<String>()));
    }
    Ok(stages(exchange, &reply))
}

fn stages(exchange: &Exchange, reply: &Reply) -> Times {
    let trace = &exchange.trace;
    let phases = trace.phases();
    let ms = |from: Option<MonoNs>, to: Option<MonoNs>| Some(to?.since(from?) as f64 / 1e6);
    let connected =
        phases.connecting().map(|connecting| (connecting + phases.dns_lookup.unwrap_or(0)) as f64 / 1e6);
    let first_token = reply.deltas.first().filter(|_| reply.streamed).map(|delta| delta.at);
    [
        connected,
        ms(trace.request_send_start_ns, trace.response_receive_start_ns),
        ms(trace.request_send_start_ns, first_token),
        ms(trace.start_ns, trace.response_receive_end_ns),
    ]
}
