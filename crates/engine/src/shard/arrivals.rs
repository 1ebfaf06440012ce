//! Open loops: things begin when the schedule says, whatever the server does.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokmeter_record::MonoNs;

use super::PhaseContext;
use super::session::{self, Ticket, Turns};
use crate::feed::Job;
use crate::plan::TurnPacing;
use crate::schedule::Schedule;
use crate::slots::Slots;

/// Turns of running sessions that wait for an arrival, longest first.
#[derive(Clone)]
pub(super) struct DueTurns(Rc<RefCell<Option<VecDeque<oneshot::Sender<Ticket>>>>>);

impl DueTurns {
    fn new() -> Self {
        DueTurns(Rc::new(RefCell::new(Some(VecDeque::new()))))
    }

    /// Queues a turn; `None` when there will be no more arrivals.
    pub(super) fn wait(&self) -> Option<oneshot::Receiver<Ticket>> {
        let (give, given) = oneshot::channel();
        self.0.borrow_mut().as_mut()?.push_back(give);
        Some(given)
    }

    /// Gives the ticket to the turn that has waited longest; back when none waits.
    fn give(&self, mut ticket: Ticket) -> Result<(), Ticket> {
        loop {
            let Some(waiting) = self.0.borrow_mut().as_mut().and_then(VecDeque::pop_front) else {
                return Err(ticket);
            };
            match waiting.send(ticket) {
                Ok(()) => return Ok(()),
                // That session was given up while its turn waited.
                Err(back) => ticket = back,
            }
        }
    }

    /// No more arrivals: turns that wait, now or later, will not be sent.
    fn close(&self) {
        self.0.borrow_mut().take();
    }
}

/// Sends a request at each arrival: the turn that has waited longest, or else the first of a new session.
pub(super) async fn requests(context: Rc<PhaseContext>, arrivals: Schedule, slots: Option<Slots>) {
    let due = DueTurns::new();
    let mut running = JoinSet::new();
    for arrival in arrivals {
        let intended = context.start.after(arrival.intended_offset_ns);
        if context.stop_at.is_some_and(|stop| intended >= stop) || !context.sleep_until(intended).await {
            break;
        }
        if context.budget.is_spent() {
            break;
        }
        while running.try_join_next().is_some() {}
        let ticket = Ticket { intended, slots: slots.clone() };
        let Err(ticket) = due.give(ticket) else { continue };
        match context.budget.take_session() {
            Some(_) => {
                let Some(job) = context.next_job().await else { break };
                running.spawn_local(begin(context.clone(), job, ticket, due.clone()));
            }
            // All sessions have begun; arrivals only serve the turns of those that still run.
            None if running.is_empty() => break,
            None => {}
        }
    }
    due.close();
    while running.join_next().await.is_some() {}
}

async fn begin(context: Rc<PhaseContext>, job: Job, ticket: Ticket, due: DueTurns) {
    let intended = ticket.intended;
    session::run(&context, job, intended, &Turns::Ticketed { first: RefCell::new(Some(ticket)), due }).await;
}

/// Begins a session at each instant its job carries.
pub(super) async fn sessions(context: Rc<PhaseContext>, pacing: TurnPacing, slots: Option<Slots>) {
    let mut running = JoinSet::new();
    while let Some(job) = context.next_job().await {
        let intended = job.intended.unwrap_or(context.start);
        if context.stop_at.is_some_and(|stop| intended >= stop) || !context.sleep_until(intended).await {
            break;
        }
        if context.budget.take_session().is_none() {
            break;
        }
        running.spawn_local(one_session(context.clone(), job, intended, pacing, slots.clone()));
        while running.try_join_next().is_some() {}
    }
    while running.join_next().await.is_some() {}
}

async fn one_session(
    context: Rc<PhaseContext>,
    job: Job,
    intended: MonoNs,
    pacing: TurnPacing,
    slots: Option<Slots>,
) {
    let permit = match &slots {
        None => None,
        Some(slots) => match context.slot(slots).await {
            Some(permit) => Some(permit),
            None => return,
        },
    };
    session::run(&context, job, intended, &Turns::Paced(pacing)).await;
    drop(permit);
}
