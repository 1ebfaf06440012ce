//! One run from start to end: threads, phases, drain. What it measured goes to the sink, what it did is the
//! [`RunOutcome`].

mod control;
mod phase;

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::bounded;
use tokmeter_http::{ClientConfig, clock};
use tokmeter_record::metric::Slos;
use tokmeter_record::{BenchmarkPhase, ClockAnchor, WallNs};

pub use control::RunControl;
pub use phase::{PhaseConfig, PhaseReport};

use crate::collect::{Collector, CollectorError, CollectorFiles, CollectorOutcome, RecordSink};
use crate::dataset::Dataset;
use crate::decode::{self, DecodeOptions, DecoderParts, TokenCounting};
use crate::delivery::Delivery;
use crate::health::{Health, HealthReport};
use crate::live::{Live, LiveCounts};
use crate::notes::RunNotes;
use crate::request::{RequestBuilder, RequestConfig};
use crate::schedule::Share;
use crate::seed::Seed;
use crate::shard::{self, ExchangeQueue, ShardError, ShardHandle, ShardParts};
use crate::tokenizer::Tokenizer;
use crate::truth::SentPrefixes;

/// Exchanges that may wait for a decoder, each.
const DECODE_QUEUE: usize = 512;
/// Records that may wait for the collector.
const COLLECT_QUEUE: usize = 1024;

/// How tokens are counted in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenPolicy {
    /// Usage or nothing (`--use-server-token-count`).
    Server,
    /// Our tokenizer for everything (`--tokenizer`).
    Tokenizer,
    /// Usage where offered, else the built-in vocabulary.
    Auto,
}

/// Everything a run is made of.
pub struct RunConfig {
    /// What is sent and how answers are read.
    pub request: RequestConfig,
    /// Connections.
    pub transport: Arc<ClientConfig>,
    /// Sessions to send.
    pub dataset: Arc<Dataset>,
    /// Counts tokens where the server does not.
    pub tokenizer: Arc<Tokenizer>,
    /// Whose token counts are used.
    pub tokens: TokenPolicy,
    /// Warmup first, if there is one; then profiling.
    pub phases: Vec<PhaseConfig>,
    /// Threads that send.
    pub shards: usize,
    /// Threads that decode.
    pub decoders: usize,
    /// Seed of all draws.
    pub seed: Seed,
    /// The part of the load that this machine runs.
    pub share: Share,
    /// When the measured phase begins, on all machines; as soon as possible without it.
    pub start_at: Option<WallNs>,
    /// `profile_export.jsonl`, when wanted.
    pub records_file: Option<PathBuf>,
    /// `profile_export_raw.jsonl`, when wanted.
    pub raw_file: Option<PathBuf>,
    /// Put `trace_data` into the records.
    pub http_trace: bool,
    /// Keep answer texts for the sink.
    pub keep_text: bool,
    /// Make traces for the sink, also when the records have none.
    pub keep_trace: bool,
    /// What makes a request good (`--goodput`).
    pub slos: Slos,
}

/// Why a run could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A shard could not start.
    #[error(transparent)]
    Shard(#[from] ShardError),
    /// A file could not be written.
    #[error(transparent)]
    File(#[from] CollectorError),
    /// A thread could not be started.
    #[error("cannot start a thread: {0}")]
    Thread(#[source] std::io::Error),
    /// A thread of ours panicked: a bug.
    #[error("internal error: the {0} thread panicked")]
    Panicked(&'static str),
}

/// What a run did.
pub struct RunOutcome<S> {
    /// The sink, with every record in it.
    pub sink: S,
    /// The phases, in order.
    pub phases: Vec<PhaseReport>,
    /// Whether it was interrupted.
    pub was_cancelled: bool,
    /// Counts beside the metrics.
    pub notes: RunNotes,
    /// Load asked and delivered in the profiling phase; absent when it did not begin.
    pub delivery: Option<Delivery>,
    /// Counters at the end.
    pub counts: LiveCounts,
    /// How this machine and process did during the run.
    pub health: HealthReport,
    /// Clock readings at the start and at the end.
    pub anchors: (ClockAnchor, ClockAnchor),
    /// A file that could not be written to its end.
    pub file_error: Option<CollectorError>,
}

impl<S> RunOutcome<S> {
    /// The profiling phase.
    pub fn profiling(&self) -> Option<&PhaseReport> {
        self.phases.iter().find(|phase| phase.phase == BenchmarkPhase::Profiling)
    }
}

/// What a run tells on its way.
#[derive(Clone, Copy, Debug)]
pub enum PhaseEvent<'a> {
    /// A phase begins; its first request is sent about now.
    Begin {
        /// Position in the run.
        index: u32,
        /// Which.
        phase: &'a PhaseConfig,
        /// Now, or the common start that is waited for.
        at: WallNs,
    },
    /// A phase ended: all its requests have returned.
    End(&'a PhaseReport),
}

/// Carries out a run. `on_phase` is told when phases begin and end.
///
/// # Errors
/// When a thread, a connection setting or a file makes the run impossible. A failed request is no error.
pub fn run<S: RecordSink + 'static>(
    config: RunConfig,
    sink: S,
    live: Arc<Live>,
    control: &RunControl,
    mut on_phase: impl FnMut(PhaseEvent),
) -> Result<RunOutcome<S>, RunError> {
    // Threads and clocks of a run without warm-up start with the load, not at the beginning of a long wait.
    if config.phases.first().is_some_and(|phase| phase.phase == BenchmarkPhase::Profiling) {
        control.wait_for(config.start_at);
    }
    let anchor = clock::anchor();
    let health = Health::start();
    let builder = Arc::new(RequestBuilder::new(config.request));
    let (to_collector, from_decoders) = bounded(COLLECT_QUEUE);
    let (to_decoders, from_shards) = bounded(DECODE_QUEUE * config.decoders);

    let files = CollectorFiles { records: config.records_file.clone(), raw: config.raw_file.clone() };
    let stop = control.clone();
    let collector = Collector::create(&files, sink, live.clone(), Box::new(move || stop.stop()))?;
    let collector = spawn("collector", move || collector.run(from_decoders))?;

    let tokens =
        Arc::new(match (config.tokens, builder.config().endpoint.kind().metadata().produces_tokens) {
            (_, false) => TokenCounting::InputOnly(config.tokenizer.clone()),
            (TokenPolicy::Server, _) => TokenCounting::Server,
            (TokenPolicy::Tokenizer, _) => TokenCounting::Tokenizer(config.tokenizer.clone()),
            (TokenPolicy::Auto, _) => TokenCounting::Auto(config.tokenizer.clone()),
        });
    let options = DecodeOptions {
        streaming: builder.config().streaming,
        per_chunk_usage: builder.config().per_chunk_usage,
        records: config.records_file.is_some(),
        raw: config.raw_file.is_some(),
        http_trace: config.http_trace,
        outputs: config.keep_text,
        keep_trace: config.keep_trace,
        slos: config.slos,
    };
    let prefixes = Arc::new(SentPrefixes::default());
    let mut decoders = Vec::new();
    for index in 0..config.decoders {
        let parts = DecoderParts {
            index,
            exchanges: from_shards.clone(),
            collector: to_collector.clone(),
            requests: builder.clone(),
            tokens: tokens.clone(),
            prefixes: prefixes.clone(),
            anchor,
            options: options.clone(),
        };
        decoders.push(spawn("decode", move || decode::run(parts))?);
    }
    drop((to_collector, from_shards));

    let mut shards = Vec::new();
    for index in 0..config.shards {
        shards.push(shard::start(ShardParts {
            index,
            transport: config.transport.clone(),
            requests: builder.clone(),
            exchanges: ExchangeQueue::new(to_decoders.clone(), live.clone()),
            live: live.clone(),
            urgency: control.subscribe(),
        })?);
    }
    drop(to_decoders);

    let mut phases = Vec::new();
    for (index, phase) in config.phases.iter().enumerate() {
        let start_at = config.start_at.filter(|_| phase.phase == BenchmarkPhase::Profiling);
        control.wait_for(start_at);
        if control.is_stopping() {
            break;
        }
        let now = clock::wall_now();
        let at = start_at.map_or(now, |at| at.max(now));
        on_phase(PhaseEvent::Begin { index: index as u32, phase, at });
        let stage = phase::Stage {
            shards: &shards,
            builder: &builder,
            dataset: &config.dataset,
            seed: config.seed,
            anchor: &anchor,
            share: config.share,
            start_at,
        };
        let report = phase::run(phase, index as u32, &stage).map_err(RunError::Thread)?;
        on_phase(PhaseEvent::End(&report));
        phases.push(report);
    }

    join_shards(shards)?;
    for decoder in decoders {
        decoder.join().map_err(|_| RunError::Panicked("decode"))?;
    }
    let CollectorOutcome { sink, notes, instants, error } =
        collector.join().map_err(|_| RunError::Panicked("collector"))?;
    let profiling = config.phases.iter().zip(&phases);
    let delivery = profiling
        .filter(|(phase, _)| phase.phase == BenchmarkPhase::Profiling)
        .map(|(phase, report)| Delivery::of(phase, report, &instants, config.share))
        .next();
    Ok(RunOutcome {
        sink,
        delivery,
        phases,
        was_cancelled: control.was_interrupted(),
        notes,
        counts: live.counts(),
        health: health.finish(),
        anchors: (anchor, clock::anchor()),
        file_error: error,
    })
}

fn join_shards(shards: Vec<ShardHandle>) -> Result<(), RunError> {
    for shard in shards {
        drop(shard.assignments);
        shard.thread.join().map_err(|_| RunError::Panicked("shard"))?;
    }
    Ok(())
}

fn spawn<T: Send + 'static>(
    name: &str,
    body: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, RunError> {
    std::thread::Builder::new().name(name.into()).spawn(body).map_err(RunError::Thread)
}
