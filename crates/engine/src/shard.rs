//! A shard: one thread, one current-thread runtime, its own connections. It sends requests when its plan
//! says so, and hands the raw exchanges on. It never parses, never writes, never waits for a writer.

mod arrivals;
mod busy;
mod prefill;
mod queue;
mod session;
mod slot;
mod timer;

use std::cell::Cell;
use std::num::NonZeroU64;
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinSet, LocalSet};
use tokmeter_http::{Client, ClientConfig, ConfigError, clock};
use tokmeter_record::MonoNs;

pub(crate) use queue::ExchangeQueue;
use queue::Overflow;

use crate::decode::Finished;
use crate::endpoint::Decoder;
use crate::feed::{Feed, Job, Next};
use crate::live::Live;
use crate::plan::{Budget, PhaseIdentity, ShardLoad, ShardPlan};
use crate::request::RequestBuilder;
use crate::slots::{SlotPermit, Slots};
use busy::Busy;
use timer::Timer;

/// Why a shard could not start.
#[derive(Debug, thiserror::Error)]
pub enum ShardError {
    /// Connections cannot be made as configured: TLS material, kernel stamps, limits.
    #[error(transparent)]
    Transport(#[from] ConfigError),
    /// The system refused a thread, a timer or a runtime.
    #[error("cannot start a shard: {0}")]
    System(#[from] std::io::Error),
}

/// What the run asks of everyone in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// Go on.
    Run,
    /// Send nothing new; let requests in flight finish within the grace period.
    Drain,
    /// Cancel requests in flight.
    Abort,
}

/// Everything a shard is made of.
pub(crate) struct ShardParts {
    pub index: usize,
    pub transport: Arc<ClientConfig>,
    pub requests: Arc<RequestBuilder>,
    pub exchanges: ExchangeQueue,
    pub live: Arc<Live>,
    pub urgency: watch::Receiver<Urgency>,
}

/// A phase to run, and where to say that it is over.
pub(crate) struct Assignment {
    pub plan: ShardPlan,
    pub feed: Feed,
    /// Told the instant at which the shard's last request of the phase had ended.
    pub done: oneshot::Sender<MonoNs>,
}

/// The run's handle of a shard's thread.
pub(crate) struct ShardHandle {
    pub assignments: mpsc::UnboundedSender<Assignment>,
    pub thread: std::thread::JoinHandle<()>,
}

/// What all tasks of a shard share.
pub(crate) struct Shard {
    index: usize,
    client: Client,
    timer: Timer,
    requests: Arc<RequestBuilder>,
    /// Finds first tokens while an answer is under way, for prefill slots.
    first_tokens: Decoder,
    exchanges: Overflow,
    flushing: Cell<bool>,
    live: Arc<Live>,
    sticky_keys: Cell<u64>,
    last_end: Cell<MonoNs>,
}

/// Starts the shard's thread; fails when its client cannot be built (TLS material, sockets).
pub(crate) fn start(parts: ShardParts) -> Result<ShardHandle, ShardError> {
    let (assignments, inbox) = mpsc::unbounded_channel();
    let (ready, is_ready) = std::sync::mpsc::channel();
    let thread = std::thread::Builder::new()
        .name(format!("shard-{}", parts.index))
        .spawn(move || run(parts, inbox, &ready))?;
    match is_ready.recv() {
        Ok(Ok(())) => Ok(ShardHandle { assignments, thread }),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(std::io::Error::other("its thread ended before it was ready").into()),
    }
}

fn run(
    parts: ShardParts,
    mut inbox: mpsc::UnboundedReceiver<Assignment>,
    ready: &std::sync::mpsc::Sender<Result<(), ShardError>>,
) {
    // The default slack of 50 us would be lateness of every timer on this thread.
    let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = ready.send(Err(error.into()));
            return;
        }
    };
    LocalSet::new().block_on(&runtime, async move {
        let (client, timer) = match build(parts.transport, parts.index) {
            Ok(built) => built,
            Err(error) => {
                let _ = ready.send(Err(error));
                return;
            }
        };
        let _ = ready.send(Ok(()));
        let shard = Rc::new(Shard {
            index: parts.index,
            client,
            timer,
            first_tokens: parts.requests.decoder(false),
            requests: parts.requests,
            exchanges: parts.exchanges.overflow(),
            flushing: Cell::new(false),
            live: parts.live,
            sticky_keys: Cell::new((parts.index as u64) << 40),
            last_end: Cell::new(MonoNs(0)),
        });
        while let Some(assignment) = inbox.recv().await {
            shard.run_phase(assignment, parts.urgency.clone()).await;
        }
    });
}

fn build(transport: Arc<ClientConfig>, index: usize) -> Result<(Client, Timer), ShardError> {
    Ok((Client::new(transport, index as u32)?, Timer::start()?))
}

impl Shard {
    /// Runs one phase: until its work is done, or its stop and grace period are over.
    async fn run_phase(self: &Rc<Self>, assignment: Assignment, urgency: watch::Receiver<Urgency>) {
        let Assignment { plan, feed, done } = assignment;
        let (stop, stopped) = watch::channel(false);
        let busy = Busy::start(plan.start);
        let mut work = JoinSet::new();
        let context = Rc::new(PhaseContext {
            shard: self.clone(),
            identity: plan.identity,
            budget: plan.budget,
            start: plan.start,
            stop_at: plan.stop_at,
            prefill: plan.prefill,
            feed,
            stopped,
        });
        // Ends with this function, whether or not all slots have opened.
        let mut ramps = JoinSet::new();
        for slots in plan.opens {
            ramps.spawn_local(open_slots(context.clone(), slots));
        }
        match plan.load {
            ShardLoad::Slots { free_at } => {
                for free_at in free_at {
                    work.spawn_local(slot::run(context.clone(), free_at));
                }
            }
            ShardLoad::Rate { arrivals, max_in_flight } => {
                work.spawn_local(arrivals::requests(context.clone(), arrivals, max_in_flight));
            }
            ShardLoad::Sessions { pacing, max_in_flight } => {
                work.spawn_local(arrivals::sessions(context.clone(), pacing, max_in_flight));
            }
        }
        let all_done = async { while work.join_next().await.is_some() {} };
        tokio::pin!(all_done);
        tokio::select! {
            () = &mut all_done => {}
            () = self.stop_wanted(plan.stop_at, urgency.clone()) => {
                context.budget.stop();
                let _ = stop.send(true);
                tokio::select! {
                    () = &mut all_done => {}
                    () = self.grace_over(plan.grace_ns, urgency) => {
                        self.client.cancel_all();
                        all_done.await;
                    }
                }
            }
        }
        while !self.exchanges.flush() {
            self.timer.until(clock::now().after(RETRY_NS)).await;
        }
        self.live.shard_was_busy(busy.ppm());
        self.live.shard_waited(busy.core_wait_ns().unwrap_or(0));
        self.live.lay_unread(self.client.stats().receive_lag.unread_high_bytes);
        let _ = done.send(self.last_end.get());
    }

    /// Hands a finished exchange to the decoders; waits only when they are hopelessly behind.
    async fn hand_on(self: &Rc<Self>, finished: Finished) {
        if !self.exchanges.push(finished) && !self.flushing.replace(true) {
            let shard = self.clone();
            tokio::task::spawn_local(async move {
                while !shard.exchanges.flush() {
                    shard.timer.until(clock::now().after(RETRY_NS)).await;
                }
                shard.flushing.set(false);
            });
        }
        if self.exchanges.is_full() {
            self.live.decode_stalled();
            while self.exchanges.is_full() {
                self.timer.until(clock::now().after(RETRY_NS)).await;
            }
        }
    }

    /// Resolves at the plan's stop instant or when the run is told to drain.
    async fn stop_wanted(&self, stop_at: Option<MonoNs>, mut urgency: watch::Receiver<Urgency>) {
        let told = async {
            // A closed channel means the run itself is gone: drain as well.
            let _ = urgency.wait_for(|level| *level >= Urgency::Drain).await;
        };
        match stop_at {
            Some(at) => tokio::select! {
                () = self.timer.until(at) => {}
                () = told => {}
            },
            None => told.await,
        }
    }

    /// Resolves when requests in flight have had their grace period, or must be cancelled now.
    async fn grace_over(&self, grace_ns: Option<u64>, mut urgency: watch::Receiver<Urgency>) {
        let abort = async {
            let _ = urgency.wait_for(|level| *level >= Urgency::Abort).await;
        };
        match grace_ns {
            Some(grace) => tokio::select! {
                () = self.timer.until(clock::now().after(grace)) => {}
                () = abort => {}
            },
            None => abort.await,
        }
    }
}

/// One phase on one shard, shared by the tasks that carry it out.
struct PhaseContext {
    shard: Rc<Shard>,
    identity: Arc<PhaseIdentity>,
    budget: Arc<Budget>,
    start: MonoNs,
    stop_at: Option<MonoNs>,
    prefill: Option<Slots>,
    feed: Feed,
    stopped: watch::Receiver<bool>,
}

impl PhaseContext {
    fn is_stopped(&self) -> bool {
        *self.stopped.borrow()
    }

    /// The next job, waiting for the feeder when it is behind; `None` at the end or when stopped.
    async fn next_job(&self) -> Option<Job> {
        loop {
            if self.is_stopped() {
                return None;
            }
            match self.feed.next() {
                Next::Job(job) => return Some(job),
                Next::End => return None,
                Next::NotYet => self.shard.timer.until(clock::now().after(RETRY_NS)).await,
            }
        }
    }

    /// Sleeps until `at`; false when the phase was stopped before.
    async fn sleep_until(&self, at: MonoNs) -> bool {
        if clock::now() >= at {
            return !self.is_stopped();
        }
        let mut stopped = self.stopped.clone();
        tokio::select! {
            () = self.shard.timer.until(at) => !self.is_stopped(),
            _ = stopped.wait_for(|stopped| *stopped) => false,
        }
    }

    /// Waits for a permit; `None` when the phase was stopped before. Waiting is counted.
    async fn slot(&self, slots: &Slots) -> Option<SlotPermit> {
        if let Some(permit) = slots.try_take() {
            return Some(permit);
        }
        self.shard.live.waited_for_slot();
        let from = clock::now();
        let mut stopped = self.stopped.clone();
        let permit = tokio::select! {
            permit = slots.take() => permit,
            _ = stopped.wait_for(|stopped| *stopped) => None,
        };
        slots.waited(from, clock::now(), permit.is_some());
        permit
    }
}

/// Opens the slots of a ramp when they are due.
async fn open_slots(context: Rc<PhaseContext>, slots: Slots) {
    for offset_ns in slots.later_openings() {
        if !context.sleep_until(context.start.after(offset_ns)).await {
            return;
        }
        slots.open_one();
    }
}

/// How soon to ask a neighbour thread again that was behind, ns.
const RETRY_NS: u64 = 100_000;
