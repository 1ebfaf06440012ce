//! One run against one simulated server.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokmeter_engine::dataset::{Dataset, DatasetConfig};
use tokmeter_engine::delivery::Delivery;
use tokmeter_engine::endpoint::{Endpoint, EndpointType};
use tokmeter_engine::request::{ModelSelection, RequestConfig, Target};
use tokmeter_engine::run::{PhaseConfig, RunConfig, TokenPolicy};
use tokmeter_engine::schedule::{Cancellations, LoadConfig, LoadContext, PhasePlan, Schedule, Share};
use tokmeter_engine::seed::Seed;
use tokmeter_engine::tokenizer::Tokenizer;
use tokmeter_engine::{CollectorError, Live, RecordSink, RunControl, run};
use tokmeter_http::{ClientConfig, Origin};
use tokmeter_record::metric::Slos;
use tokmeter_record::{BenchmarkPhase, RequestRecord};
use tokmeter_sim::{Distribution, RequestLog, Sim, SimConfig};

/// What a run left behind.
pub struct Played {
    pub records: Vec<RequestRecord>,
    pub log: Vec<Arc<RequestLog>>,
    pub dataset: Arc<Dataset>,
    pub plan: PhasePlan,
    /// First instant of the profiling phase, wall clock.
    pub start_ns: i64,
    pub seed: Seed,
    /// Asked against delivered, as the run says.
    pub delivery: Delivery,
}

/// A run to make.
pub struct Play {
    pub load: LoadConfig,
    pub dataset: DatasetConfig,
    pub sim: SimConfig,
    pub shards: usize,
    pub seed: u64,
    /// The machine this is.
    pub share: Share,
}

impl Default for Play {
    fn default() -> Self {
        let mut sim = SimConfig::default();
        sim.log.bodies = true;
        sim.output.prefix_cache_blocks = 1 << 20;
        let mut dataset = DatasetConfig::default();
        (dataset.prompt.isl, dataset.prompt.osl) = (Some(20.0), Some(3.0));
        Self { load: LoadConfig::default(), dataset, sim, shards: 2, seed: 7, share: Share::WHOLE }
    }
}

struct Collected(Vec<RequestRecord>);

impl RecordSink for Collected {
    fn record(&mut self, record: &RequestRecord, _: Option<&str>) -> Result<(), CollectorError> {
        self.0.push(record.clone());
        Ok(())
    }
}

impl Play {
    pub fn with_answer(mut self, ttft_ms: f64, itl_ms: f64) -> Self {
        self.sim.timing.ttft_ms = Distribution::constant(ttft_ms);
        self.sim.timing.itl_ms = Distribution::constant(itl_ms);
        self
    }

    pub fn play(self) -> Played {
        let seed = Seed(self.seed);
        let sim = Sim::start(self.sim).expect("a free loopback port");
        let dataset =
            Arc::new(Dataset::open(&self.dataset, seed, &Tokenizer::Builtin).expect("a good dataset"));
        let context = LoadContext {
            streaming: true,
            timestamps: !dataset.instants().is_empty(),
            turns_mean: dataset.turns_mean(),
        };
        let plans = self.load.plan(&context).expect("flags that agree");
        let origin = Origin::parse(&sim.url()).expect("the simulator's URL").origin;
        let endpoint = Endpoint::new(EndpointType::Chat);
        let request = RequestConfig {
            endpoint: Arc::new(endpoint),
            models: vec![Arc::from("sim-model")],
            model_selection: ModelSelection::RoundRobin,
            seed,
            targets: vec![Target { origin, path: Arc::from("/v1/chat/completions"), authorization: None }],
            streaming: true,
            api_key: None,
            headers: Vec::new(),
            extra: serde_json::Map::new(),
            legacy_max_tokens: false,
            per_chunk_usage: false,
            include_usage: true,
            timeout: Duration::from_secs(60),
            sticky: false,
            cancellation: plans
                .profiling
                .cancellation
                .map(|cancel| Cancellations::new(seed, cancel.percent, cancel.delay)),
        };
        let phase =
            |phase: BenchmarkPhase, plan| PhaseConfig { phase, name: phase.as_str().to_owned(), plan };
        let plan = plans.profiling.clone();
        let warmup = plans.warmup.map(|plan| phase(BenchmarkPhase::Warmup, plan));
        let config = RunConfig {
            request,
            transport: Arc::new(ClientConfig::default()),
            dataset: dataset.clone(),
            tokenizer: Arc::new(Tokenizer::Builtin),
            tokens: TokenPolicy::Server,
            phases: warmup.into_iter().chain([phase(BenchmarkPhase::Profiling, plans.profiling)]).collect(),
            shards: self.shards,
            decoders: 1,
            seed,
            share: self.share,
            start_at: None,
            records_file: None,
            raw_file: None,
            http_trace: false,
            keep_text: false,
            keep_trace: false,
            slos: Slos::default(),
        };
        let control = RunControl::default();
        let live = Arc::new(Live::default());
        let outcome =
            run(config, Collected(Vec::new()), live, &control, |_| {}).expect("the run is carried out");
        let start_ns = outcome.profiling().expect("profiling ran").start.0 as i64;
        let served = sim.stop().expect("the simulator stops");
        let log = served.requests.into_iter().collect();
        let delivery = outcome.delivery.expect("profiling ran");
        Played { records: outcome.sink.0, log, dataset, plan, start_ns, seed, delivery }
    }
}

impl Played {
    /// Records of the measured phase in the order in which they were intended.
    pub fn profiling(&self) -> Vec<&RequestRecord> {
        let mut records: Vec<_> = self
            .records
            .iter()
            .filter(|record| record.metadata.benchmark_phase == BenchmarkPhase::Profiling)
            .collect();
        records.sort_by_key(|record| record.metadata.credit_issued_ns.map(|at| at.0));
        records
    }

    /// The server's line of a record.
    pub fn served(&self, record: &RequestRecord) -> &RequestLog {
        let id = record.metadata.x_request_id.as_deref();
        self.log
            .iter()
            .find(|line| line.x_request_id.as_deref() == id)
            .expect("every request reached the server")
    }

    /// When a request was intended, from the start of the phase.
    pub fn intended_ns(&self, record: &RequestRecord) -> i64 {
        record.metadata.credit_issued_ns.expect("always known").0 as i64 - self.start_ns
    }

    /// When the server had read a request, from the start of the phase.
    pub fn received_ns(&self, record: &RequestRecord) -> i64 {
        self.served(record).body_received_wall_ns as i64 - self.start_ns
    }

    /// The instants the schedule asked for.
    pub fn asked_ns(&self) -> Vec<i64> {
        let dataset = self.dataset.clone();
        let turns_of = move |session| dataset.turns_of(session);
        Schedule::new(&self.plan, self.seed, Share::WHOLE, self.dataset.instants(), turns_of)
            .map(|arrival| arrival.intended_offset_ns as i64)
            .collect()
    }

    /// No request is at the server before its intended instant. The clocks of both sides are read apart, so
    /// a wall clock that is being adjusted may show a millisecond.
    pub fn assert_never_early(&self) {
        for record in self.profiling() {
            let (intended, received) = (self.intended_ns(record), self.received_ns(record));
            assert!(received > intended - 1_000_000, "received {received}, intended {intended}");
        }
    }

    /// Requests in service at once, at most: from the arrival of the head to the end, by the server's log.
    pub fn most_in_service(&self) -> usize {
        let mut edges: Vec<(u64, i32)> = Vec::new();
        for line in &self.log {
            edges.push((line.body_received_ns, 1));
            edges.push((last_write_ns(line), -1));
        }
        edges.sort_unstable();
        let (mut now, mut most) = (0i32, 0i32);
        for (_, step) in edges {
            now += step;
            most = most.max(now);
        }
        most as usize
    }

    /// Log lines of each session, in the order in which the server read them.
    pub fn sessions(&self) -> HashMap<String, Vec<&RequestLog>> {
        let mut sessions: HashMap<String, Vec<&RequestLog>> = HashMap::new();
        for line in &self.log {
            sessions.entry(line.x_correlation_id.clone().expect("always sent")).or_default().push(line);
        }
        for lines in sessions.values_mut() {
            lines.sort_by_key(|line| line.body_received_ns);
        }
        sessions
    }

    /// Bodies that the server read, sorted.
    pub fn bodies(&self) -> Vec<String> {
        let mut bodies: Vec<String> = self.log.iter().map(|line| body_text(line).to_owned()).collect();
        bodies.sort();
        bodies
    }
}

/// The client cannot have the whole answer before this instant. (`end_ns` is the server's own bookkeeping
/// after it, which a busy machine does late.)
pub fn last_write_ns(line: &RequestLog) -> u64 {
    line.writes.last().map_or(line.end_ns, |write| write.write_start_ns)
}

pub fn body_text(line: &RequestLog) -> &str {
    line.body.as_deref().expect("the log keeps bodies")
}

pub fn body(line: &RequestLog) -> serde_json::Value {
    serde_json::from_str(body_text(line)).expect("a JSON body")
}
