//! How late an open loop sends, against the same loop with tokio's timer.
//!
//! `cargo bench -p tokmeter-engine --bench pacing [-- RATE [SECONDS]]`. Both loops send constant arrivals to
//! the simulated server in this process; lateness is the first byte sent minus the intended instant. The second
//! loop does less: it sleeps and sends, nothing is decoded or recorded. The last row is the machine's own: a thread
//! that only sleeps by timerfd until each instant, and sends nothing.
#![allow(clippy::print_stdout)]

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokmeter_engine::dataset::{Dataset, DatasetConfig};
use tokmeter_engine::endpoint::{Endpoint, EndpointType};
use tokmeter_engine::request::{ModelSelection, RequestBuilder, RequestConfig, Target};
use tokmeter_engine::run::{PhaseConfig, RunConfig, TokenPolicy};
use tokmeter_engine::schedule::{ArrivalPattern, LoadConfig, LoadContext, Share};
use tokmeter_engine::seed::Seed;
use tokmeter_engine::tokenizer::Tokenizer;
use tokmeter_engine::{CollectorError, Live, RecordSink, RunControl, run};
use tokmeter_http::exchange::Request;
use tokmeter_http::{Client, ClientConfig, Origin, clock};
use tokmeter_record::metric::Slos;
use tokmeter_record::{BenchmarkPhase, RequestRecord};
use tokmeter_sim::{Distribution, Sim, SimConfig};

const SEED: Seed = Seed(1);

/// Median and 99th percentile, µs.
struct Lateness {
    p50: f64,
    p99: f64,
}

impl Lateness {
    fn of(mut late_us: Vec<f64>) -> Lateness {
        late_us.sort_by(f64::total_cmp);
        let at = |q: f64| late_us[((late_us.len() - 1) as f64 * q).round() as usize];
        Lateness { p50: at(0.5), p99: at(0.99) }
    }
}

struct Forget;

impl RecordSink for Forget {
    fn record(&mut self, _: &RequestRecord, _: Option<&str>) -> Result<(), CollectorError> {
        Ok(())
    }
}

fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|arg| arg.parse::<f64>().ok());
    let rate = numbers.next().unwrap_or(2_000.0);
    let requests = (rate * numbers.next().unwrap_or(5.0)) as u64;
    let mut config = SimConfig::default();
    config.timing.ttft_ms = Distribution::constant(1.0);
    config.timing.itl_ms = Distribution::constant(0.0);
    config.log.keep_requests = 0;
    let sim = Sim::start(config).expect("a free loopback port");
    let request = request_config(&sim.url());

    println!("{requests} requests at {rate}/s, lateness of the first byte in us");
    println!("{:<22} {:>9} {:>9}", "loop", "p50", "p99");
    let ours = engine_loop(request.clone(), rate, requests);
    println!("{:<22} {:>9.1} {:>9.1}", "tokmeter (timerfd)", ours.p50, ours.p99);
    let tokio = tokio_loop(request, rate, requests);
    println!("{:<22} {:>9.1} {:>9.1}", "tokio's timer", tokio.p50, tokio.p99);
    println!("{:<22} {:>9.3} {:>9.3}", "ratio", ours.p50 / tokio.p50, ours.p99 / tokio.p99);
    let machine = sleep_only(rate, requests);
    println!("{:<22} {:>9.1} {:>9.1}", "sleep only, no request", machine.p50, machine.p99);
}

fn request_config(url: &str) -> RequestConfig {
    let origin = Origin::parse(url).expect("the simulator's URL").origin;
    RequestConfig {
        endpoint: Arc::new(Endpoint::new(EndpointType::Chat)),
        models: vec!["sim-model".into()],
        model_selection: ModelSelection::RoundRobin,
        seed: SEED,
        targets: vec![Target { origin, path: "/v1/chat/completions".into(), authorization: None }],
        streaming: true,
        api_key: None,
        headers: Vec::new(),
        extra: serde_json::Map::new(),
        legacy_max_tokens: false,
        per_chunk_usage: false,
        include_usage: true,
        timeout: Duration::from_secs(60),
        sticky: false,
        cancellation: None,
    }
}

fn dataset() -> Arc<Dataset> {
    let mut config = DatasetConfig::default();
    (config.prompt.isl, config.prompt.osl) = (Some(100.0), Some(1.0));
    Arc::new(Dataset::open(&config, SEED, &Tokenizer::Builtin).expect("synthetic flags are valid"))
}

fn engine_loop(request: RequestConfig, rate: f64, requests: u64) -> Lateness {
    let load = LoadConfig {
        request_rate: Some(rate),
        arrival_pattern: Some(ArrivalPattern::Constant),
        request_count: Some(requests),
        ..LoadConfig::default()
    };
    let context = LoadContext { streaming: true, timestamps: false, turns_mean: 1.0 };
    let plan = load.plan(&context).expect("flags that agree").profiling;
    let config = RunConfig {
        request,
        transport: Arc::new(ClientConfig::default()),
        dataset: dataset(),
        tokenizer: Arc::new(Tokenizer::Builtin),
        tokens: TokenPolicy::Server,
        phases: vec![PhaseConfig { phase: BenchmarkPhase::Profiling, name: "profiling".into(), plan }],
        shards: 1,
        decoders: 1,
        seed: SEED,
        share: Share::WHOLE,
        start_at: None,
        records_file: None,
        raw_file: None,
        http_trace: false,
        keep_trace: false,
        keep_text: false,
        slos: Slos::default(),
    };
    let live = Arc::new(Live::default());
    let outcome = run(config, Forget, live, &RunControl::default(), |_| {}).expect("the run is carried out");
    let delivery = outcome.delivery.expect("profiling ran");
    assert_eq!(delivery.delivered.requests, requests);
    let lag = delivery.schedule_lag_ms.expect("requests were sent");
    Lateness { p50: lag.p50 * 1e3, p99: lag.p99 * 1e3 }
}

fn tokio_loop(config: RequestConfig, rate: f64, requests: u64) -> Lateness {
    let builder = RequestBuilder::new(config);
    let (dataset, target) = (dataset(), &builder.config().targets[0]);
    let prepared: Vec<Request> = (0..requests)
        .map(|number| {
            let body = builder.body(&dataset.session(number), 0, &[]).expect("texts fit chat");
            request(target, body)
        })
        .collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let late_us = tokio::task::LocalSet::new().block_on(&runtime, async move {
        let client = Rc::new(Client::new(Arc::new(ClientConfig::default()), 0).expect("default settings"));
        let (start, start_ns) = (Instant::now(), clock::now());
        let mut sending = Vec::with_capacity(prepared.len());
        for (number, request) in prepared.into_iter().enumerate() {
            let offset = Duration::from_secs_f64(number as f64 / rate);
            tokio::time::sleep_until((start + offset).into()).await;
            let intended = start_ns.after(offset.as_nanos() as u64);
            let client = client.clone();
            sending.push(tokio::task::spawn_local(async move {
                let sent = client.send(request).await.trace.request_send_start_ns?;
                Some(sent.0.saturating_sub(intended.0) as f64 / 1e3)
            }));
        }
        let mut late = Vec::with_capacity(sending.len());
        for sent in sending {
            late.push(sent.await.expect("no panic").expect("it was sent"));
        }
        late
    });
    Lateness::of(late_us)
}

/// Lateness of waking alone: what no loop on this machine can be better than, unless it never sleeps.
fn sleep_only(rate: f64, requests: u64) -> Lateness {
    let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC).expect("a timer");
    let start = clock::now();
    let late_us = (0..requests).map(|number| {
        let intended = start.after((number as f64 / rate * 1e9) as u64 + 1_000_000);
        let (seconds, nanoseconds) = (intended.0 / 1_000_000_000, intended.0 % 1_000_000_000);
        let expiry = Itimerspec {
            it_interval: Timespec { tv_sec: 0, tv_nsec: 0 },
            it_value: Timespec { tv_sec: seconds as i64, tv_nsec: nanoseconds as i64 },
        };
        timerfd_settime(&timer, TimerfdTimerFlags::ABSTIME, &expiry).expect("a valid time");
        rustix::io::read(&timer, &mut [0u8; 8]).expect("it expires");
        clock::now().0.saturating_sub(intended.0) as f64 / 1e3
    });
    Lateness::of(late_us.collect())
}

fn request(target: &Target, body: Bytes) -> Request {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Request {
        origin: target.origin.clone(),
        method: Method::POST,
        path: target.path.clone(),
        headers,
        body,
        sticky: None,
        last_of_sticky: false,
        timeout: Some(Duration::from_secs(60)),
        cancel_after: None,
    }
}
