//! All flags of `profile`, resolved for one run.

use std::sync::Arc;

use serde_json::Value;
use tokmeter_engine::dataset::Dataset;
use tokmeter_engine::request::RequestConfig;
use tokmeter_engine::run::TokenPolicy;
use tokmeter_engine::schedule::{Cancellations, LoadContext, LoadPlan, Share};
use tokmeter_engine::seed::Seed;
use tokmeter_engine::tokenizer::Tokenizer;
use tokmeter_http::ClientConfig;
use tokmeter_record::WallNs;
use tokmeter_record::format::names::ArtifactNames;
use tokmeter_record::statistics;

use super::ranks::{self, Rank, Shared};
use super::{artifact, echo, endpoint, load, pairs, transport};
use crate::args::profile::ProfileArgs;
use crate::exit::Failure;

/// One run, ready to start. Nothing has been sent or written yet.
pub struct ProfileSettings {
    /// What is sent and how answers are read.
    pub request: RequestConfig,
    /// Connections.
    pub transport: Arc<ClientConfig>,
    /// Sessions.
    pub dataset: Arc<Dataset>,
    /// Counts tokens where the server does not.
    pub tokenizer: Arc<Tokenizer>,
    /// Whose token counts are used.
    pub tokens: TokenPolicy,
    /// Warmup and profiling.
    pub load: LoadPlan,
    /// Seed of all draws, and whether the user gave it.
    pub seed: Seed,
    /// See `seed`.
    pub seed_given: bool,
    /// This machine's place in a run that several share.
    pub rank: Option<Rank>,
    /// The part of the load that this machine runs.
    pub share: Share,
    /// The same for all ranks of a run; `None` for a run of one machine.
    pub run_id: Option<String>,
    /// When the measured load begins.
    pub start_at: Option<WallNs>,
    /// 12 hex digits, the same in all files of the run.
    pub benchmark_id: String,
    /// Where files go.
    pub names: ArtifactNames,
    /// How statistics are taken.
    pub statistics: statistics::Options,
    /// The configuration, as files show it.
    pub input_config: Value,
    /// Threads that send.
    pub shards: usize,
    /// Threads that decode.
    pub decoders: usize,
    /// Entries of `inputs.json`; `None` writes none (traces).
    pub inputs: Option<u64>,
}

impl ProfileSettings {
    /// Requests in flight at most on this machine.
    pub fn slots(&self) -> Option<u32> {
        self.load.profiling.concurrency.map(|slots| self.share.slots_of(slots))
    }
}

/// Resolves the flags; opens and checks the dataset and the tokenizer.
pub fn resolve(args: &ProfileArgs) -> Result<ProfileSettings, Failure> {
    check(args)?;
    let rank = ranks::resolve(args, |name| std::env::var(name).ok())?;
    let share = rank.as_ref().map_or(Share::WHOLE, Rank::share);
    let mut transport = transport::resolve(&args.transport)?;
    transport.keep_request = args.output.export_http_trace;
    let seed_given = args.input.random_seed.is_some();
    let seed = args.input.random_seed.map_or_else(Seed::from_entropy, Seed);
    let mut request = endpoint::resolve(args, transport.reuse, seed)?;
    let (tokenizer, tokens) = tokenizer(args)?;
    let dataset_config = load::dataset(&args.input, args.endpoint.endpoint_type);
    let dataset = Dataset::open(&dataset_config, seed, &tokenizer)
        .map_err(|error| Failure::usage(error.to_string()))?;
    let context = LoadContext {
        streaming: request.streaming,
        timestamps: !dataset.instants().is_empty(),
        turns_mean: dataset.turns_mean(),
    };
    let load = load::load(args).plan(&context).map_err(|error| Failure::usage(error.to_string()))?;
    request.cancellation = load
        .profiling
        .cancellation
        .map(|cancellation| Cancellations::new(seed, cancellation.percent, cancellation.delay));

    for plan in load.warmup.iter().chain([&load.profiling]) {
        plan.check_share(share, dataset.turns_mean()).map_err(|error| {
            Failure::usage(error.to_string()).fix("ask for more, or for fewer ranks (--shard)")
        })?;
    }

    let mut directory = artifact::directory(args, &echo::stimulus(&load.profiling));
    if let Some(rank) = &rank {
        directory = ArtifactNames::new(directory, None).rank_directory(rank.rank, rank.ranks);
    }
    let input_config = echo::input_config(args, load.warmup.as_ref(), &load.profiling, &directory);
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    let parallel = load.profiling.concurrency.map_or(usize::MAX, |n| share.slots_of(n) as usize).max(1);
    check_capacity(&transport, &load, share, request.targets.len())?;
    let shared = Shared {
        ranks: rank.as_ref().map_or(1, |rank| rank.ranks),
        seed,
        start_at: args.ranks.start_at,
        dataset: &dataset_config,
        load: &load,
        input_config: &input_config,
    };
    let is_trace = dataset.format().is_some_and(|format| format.is_trace() || format.is_verbatim());
    let sessions = load.profiling.sessions.or(load.profiling.requests);
    Ok(ProfileSettings {
        shards: args.service.workers_max.unwrap_or((cores / 2).clamp(1, 16)).clamp(1, parallel),
        decoders: args.service.record_processors.unwrap_or((cores / 4).max(1)),
        inputs: (!is_trace).then(|| dataset.entries().or(sessions).unwrap_or(100)),
        request,
        transport: Arc::new(transport),
        dataset: Arc::new(dataset),
        tokenizer: Arc::new(tokenizer),
        tokens,
        benchmark_id: format!("{:012x}", Seed::from_entropy().0 & 0xffff_ffff_ffff),
        seed,
        seed_given,
        run_id: rank.as_ref().map(|_| shared.run_id()),
        rank,
        share,
        start_at: args.ranks.start_at,
        names: ArtifactNames::new(directory, args.output.profile_export_prefix.as_deref()),
        statistics: statistics::Options {
            slos: pairs::goodput(&args.output.goodput)?,
            slice_ns: args.output.slice_duration.map(|seconds| (seconds * 1e9) as u64),
            fixed_schedule: matches!(
                load.profiling.shape,
                tokmeter_engine::schedule::LoadShape::FixedSchedule(_)
            ),
            ..statistics::Options::default()
        },
        input_config,
        load,
    })
}

/// Refuses a load that this machine has not the open files or local ports for.
fn check_capacity(
    transport: &ClientConfig,
    load: &LoadPlan,
    share: Share,
    servers: usize,
) -> Result<(), Failure> {
    let in_flight = [load.warmup.as_ref(), Some(&load.profiling)].into_iter().flatten();
    let wanted = in_flight.filter_map(|plan| plan.concurrency).max();
    let wanted = wanted.map_or(1, |slots| u64::from(share.slots_of(slots)));
    let connections = transport.max_connections.map_or(wanted, |most| wanted.min(most as u64));
    tokmeter_http::os::check_capacity(connections, transport.source_addresses.len(), servers)
        .map_err(|error| Failure::usage(format!("--concurrency: {error}")))
}

/// Rules between flags of different groups that the parser cannot express.
fn check(args: &ProfileArgs) -> Result<(), Failure> {
    let api = args.endpoint.endpoint_type.metadata();
    if args.tokens.tokenizer.is_some() && !api.tokenizes_input && !api.produces_tokens {
        return Err(Failure::usage(format!(
            "--tokenizer: endpoint type `{}` has no tokens",
            args.endpoint.endpoint_type.as_str()
        ))
        .fix("leave the flag out"));
    }
    if let Some(slice) = args.output.slice_duration
        && !(slice.is_finite() && slice > 0.0)
    {
        return Err(
            Failure::usage(format!("--slice-duration: {slice} is no length of time")).fix("give seconds > 0")
        );
    }
    Ok(())
}

fn tokenizer(args: &ProfileArgs) -> Result<(Tokenizer, TokenPolicy), Failure> {
    if args.tokens.use_server_token_count {
        return Ok((Tokenizer::Builtin, TokenPolicy::Server));
    }
    match &args.tokens.tokenizer {
        None => Ok((Tokenizer::Builtin, TokenPolicy::Auto)),
        Some(given) => {
            let tokenizer =
                Tokenizer::open(given).map_err(|error| Failure::usage(format!("--tokenizer: {error}")))?;
            Ok((tokenizer, TokenPolicy::Tokenizer))
        }
    }
}
