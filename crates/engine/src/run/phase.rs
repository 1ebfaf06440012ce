//! One phase: deal the load to the shards, wait for them, say what was delivered.

use std::sync::Arc;

use tokio::sync::oneshot;
use tokmeter_http::clock;
use tokmeter_record::{BenchmarkPhase, ClockAnchor, MonoNs, WallNs};

use crate::dataset::Dataset;
use crate::feed::{Dealing, Feeder, FeederReport, Job};
use crate::plan::{Budget, PhaseIdentity, ShardLoad, ShardPlan, TurnPacing};
use crate::request::RequestBuilder;
use crate::schedule::{LoadShape, PhasePlan, Schedule, Share};
use crate::seed::Seed;
use crate::shard::{Assignment, ShardHandle};
use crate::slots::{SlotWaits, Slots};

/// Time between the decision to start and the first send, so that every shard is ready.
const LEAD_NS: u64 = 2_000_000;

/// One phase of a run.
#[derive(Clone, Debug)]
pub struct PhaseConfig {
    /// Warmup or profiling.
    pub phase: BenchmarkPhase,
    /// Name in files.
    pub name: String,
    /// How much, and when.
    pub plan: PhasePlan,
}

/// What a phase did.
#[derive(Clone, Debug)]
pub struct PhaseReport {
    /// Warmup or profiling.
    pub phase: BenchmarkPhase,
    /// Name in files.
    pub name: String,
    /// First instant of the schedule.
    pub start: WallNs,
    /// When the last request had returned.
    pub end: WallNs,
    /// First instant of the schedule on the monotonic clock.
    pub start_mono: MonoNs,
    /// How much later than the common start that was asked for, ns; absent without one.
    pub late_ns: Option<u64>,
    /// Requests started.
    pub requests: u64,
    /// Requests this machine was to start; absent when the phase does not count them.
    pub asked_requests: Option<u64>,
    /// Arrivals that found the concurrency cap of an open loop reached; absent without a cap.
    pub slot_waits: Option<SlotWaits>,
    /// Requests that waited for a prefill slot; absent without `--prefill-concurrency`.
    pub prefill_waits: Option<SlotWaits>,
    /// How the feeder of prepared sessions did.
    pub feeder: FeederReport,
}

/// What all phases of a run share.
pub(super) struct Stage<'a> {
    pub shards: &'a [ShardHandle],
    pub builder: &'a Arc<RequestBuilder>,
    pub dataset: &'a Arc<Dataset>,
    pub seed: Seed,
    pub anchor: &'a ClockAnchor,
    /// This machine's part of the phase.
    pub share: Share,
    /// Common start of all machines.
    pub start_at: Option<WallNs>,
}

pub(super) fn run(config: &PhaseConfig, index: u32, stage: &Stage) -> std::io::Result<PhaseReport> {
    let plan = &config.plan;
    let shards = stage.shards.len();
    let identity = Arc::new(PhaseIdentity {
        phase: config.phase,
        index,
        profiling_index: (config.phase == BenchmarkPhase::Profiling).then_some(0),
        name: config.name.as_str().into(),
    });
    let share = stage.share;
    let turns = stage.dataset.clone();
    let asked_requests = plan.requests_of(share, move |session| turns.turns_of(session));
    let budget = Arc::new(Budget::new(asked_requests, plan.sessions_of(share), share));
    let soonest = clock::now().after(LEAD_NS);
    // Read now: the wall clock may have been adjusted since the run began.
    let wanted = stage.start_at.map(|at| clock::anchor().mono(at));
    let start = wanted.map_or(soonest, |wanted| wanted.max(soonest));
    let feeder = start_feeder(config.phase, plan, stage, start)?;
    let caps = Caps::of(plan, share);
    let mut finished = Vec::new();
    for (shard, (handle, feed)) in stage.shards.iter().zip(feeder.feeds).enumerate() {
        let (done, is_done) = oneshot::channel();
        let plan = ShardPlan {
            identity: identity.clone(),
            budget: budget.clone(),
            start,
            load: shard_load(plan, stage, shard, start, &caps),
            prefill: caps.prefill.clone(),
            opens: if shard == 0 { caps.all() } else { Vec::new() },
            stop_at: plan.duration.map(|duration| start.after(duration.as_nanos() as u64)),
            grace_ns: plan.grace.map(|grace| grace.as_nanos() as u64),
        };
        // A shard that is gone has panicked; joining it tells.
        let _ = handle.assignments.send(Assignment { plan, feed, done });
        finished.push(is_done);
    }
    debug_assert_eq!(finished.len(), shards);
    let ends = finished.into_iter().filter_map(|is_done| is_done.blocking_recv().ok());
    let last_end = ends.max().unwrap_or(start).max(start);
    Ok(PhaseReport {
        phase: config.phase,
        name: config.name.clone(),
        start: stage.anchor.wall(start),
        end: stage.anchor.wall(last_end),
        start_mono: start,
        late_ns: wanted.map(|wanted| start.0 - wanted.0),
        asked_requests,
        requests: budget.requests_started(),
        slot_waits: caps.concurrency.as_ref().map(Slots::waits),
        prefill_waits: caps.prefill.as_ref().map(Slots::waits),
        feeder: feeder.report,
    })
}

/// What a phase holds back, over all its shards.
struct Caps {
    /// Of an open loop; a closed loop has tasks for slots.
    concurrency: Option<Slots>,
    prefill: Option<Slots>,
}

impl Caps {
    fn of(plan: &PhasePlan, share: Share) -> Self {
        let open_loop = !matches!(plan.shape, LoadShape::Closed);
        let concurrency = plan.concurrency.filter(|_| open_loop);
        Caps {
            concurrency: concurrency.map(|cap| Slots::new(cap, plan.concurrency_ramp, share)),
            prefill: plan.prefill_concurrency.map(|cap| Slots::new(cap, plan.prefill_ramp, share)),
        }
    }

    fn all(&self) -> Vec<Slots> {
        self.concurrency.iter().chain(&self.prefill).cloned().collect()
    }
}

/// Sessions in the order in which they are sent, prepared ahead.
fn start_feeder(
    phase: BenchmarkPhase,
    plan: &PhasePlan,
    stage: &Stage,
    start: MonoNs,
) -> std::io::Result<Feeder> {
    let (builder, dataset) = (stage.builder.clone(), stage.dataset.clone());
    let is_warmup = phase == BenchmarkPhase::Warmup;
    let of_trace = matches!(plan.shape, LoadShape::FixedSchedule(_));
    let job = move |number: u64, intended: Option<MonoNs>, turns: Option<u32>| {
        let session = match (is_warmup, of_trace) {
            (true, _) => dataset.warmup_session(number),
            (false, true) => dataset.traced_session(number),
            (false, false) => dataset.session(number),
        };
        let first_body = builder.body(&session, 0, &[])?;
        Ok(Job { session, first_body, intended, turns })
    };
    let shards = stage.shards.len();
    match plan.shape {
        LoadShape::Closed | LoadShape::Rate { .. } => {
            let share = stage.share;
            let jobs = (0..).map(move |index| job(share.nth(index), None, None));
            Feeder::start(shards, Dealing::Shared, jobs)
        }
        LoadShape::FixedSchedule(_) | LoadShape::UserCentric(_) => {
            let arrivals = schedule(plan, stage, stage.share);
            let jobs = arrivals.map(move |arrival| {
                let intended = start.after(arrival.intended_offset_ns);
                job(arrival.session.unwrap_or(arrival.number), Some(intended), arrival.turns)
            });
            Feeder::start(shards, Dealing::RoundRobin, jobs)
        }
    }
}

/// The part of the load that one shard carries.
fn shard_load(plan: &PhasePlan, stage: &Stage, shard: usize, start: MonoNs, caps: &Caps) -> ShardLoad {
    let of_shard = stage.share.split(shard as u32, stage.shards.len() as u32).unwrap_or(stage.share);
    let max_in_flight = caps.concurrency.clone();
    match &plan.shape {
        LoadShape::Closed => {
            let ramp = plan.slot_ramp();
            let slots = of_shard.count_of(u64::from(plan.concurrency.unwrap_or(1)));
            let free_at = (0..slots).map(|index| start.after(ramp.opens_at_ns(of_shard.nth(index))));
            ShardLoad::Slots { free_at: free_at.collect() }
        }
        LoadShape::Rate { .. } => {
            ShardLoad::Rate { arrivals: schedule(plan, stage, of_shard), max_in_flight }
        }
        LoadShape::FixedSchedule(_) | LoadShape::UserCentric(_) => {
            let whole = schedule(plan, stage, Share::WHOLE);
            let pacing = match (whole.trace_clock(), whole.turn_gap_ns()) {
                (Some(clock), _) => TurnPacing::Trace(clock),
                (None, Some(gap)) => TurnPacing::Cadence(gap),
                (None, None) => TurnPacing::AfterReply,
            };
            ShardLoad::Sessions { pacing, max_in_flight }
        }
    }
}

fn schedule(plan: &PhasePlan, stage: &Stage, share: Share) -> Schedule {
    let dataset = stage.dataset.clone();
    let turns_of = move |session: u64| dataset.turns_of(session);
    Schedule::new(plan, stage.seed, share, stage.dataset.instants(), turns_of)
}
