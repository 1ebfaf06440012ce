//! One session: its turns, one after the other, each sent and handed on.

use std::cell::RefCell;
use std::sync::Arc;

use tokio::sync::oneshot;
use tokmeter_http::clock;
use tokmeter_record::{BenchmarkPhase, MonoNs};
use uuid::Uuid;

use super::PhaseContext;
use super::arrivals::DueTurns;
use super::prefill;
use crate::dataset::Turn;
use crate::decode::Finished;
use crate::endpoint::Message;
use crate::feed::Job;
use crate::plan::TurnPacing;
use crate::slots::{SlotPermit, Slots};

/// Leave to send one request, given by an arrival.
#[derive(Debug)]
pub(super) struct Ticket {
    pub intended: MonoNs,
    pub slots: Option<Slots>,
}

/// What makes the turns of a session due.
pub(super) enum Turns {
    /// The session itself, by a rule.
    Paced(TurnPacing),
    /// The arrivals of the phase: each turn waits for a ticket.
    Ticketed {
        /// The ticket that began the session.
        first: RefCell<Option<Ticket>>,
        /// Where later turns queue.
        due: DueTurns,
    },
}

/// When a turn was intended, and the slot it holds while it is in flight.
struct Leave {
    intended: MonoNs,
    _slot: Option<SlotPermit>,
}

/// Runs a session that should begin at `intended`. Returns the instant at which its last request ended.
pub(super) async fn run(context: &PhaseContext, job: Job, intended: MonoNs, turns: &Turns) -> MonoNs {
    let shard = &context.shard;
    let session = &job.session;
    let correlation_id = Uuid::new_v4();
    let sticky = shard.requests.is_sticky().then(|| shard.sticky_keys.replace(shard.sticky_keys.get() + 1));
    let count = job.turns.map_or(session.turns.len(), |turns| session.turns.len().min(turns as usize));
    let mut history: Vec<Message> = Vec::new();
    let (mut intended, mut ended) = (intended, intended);
    for (index, turn) in session.turns[..count].iter().enumerate() {
        let Some(leave) = wait_for_turn(context, turns, turn, index, intended, ended).await else { break };
        intended = leave.intended;
        let prefill = match &context.prefill {
            None => None,
            Some(slots) => match context.slot(slots).await {
                Some(slot) => Some(slot),
                None => break,
            },
        };
        let Some(number) = context.budget.take_request() else { break };
        let last = index + 1 == count;
        let request_id = Uuid::new_v4();
        let body = match index {
            0 => job.first_body.clone(),
            // The first turn of the same session was built by the same endpoint: this one can be too.
            _ => match shard.requests.body(session, index, &history) {
                Ok(body) => body,
                Err(error) => {
                    tracing::error!("session {}: turn {index} cannot be sent: {error}", session.id);
                    break;
                }
            },
        };
        let mut request =
            shard.requests.request(number, body.clone(), request_id, correlation_id, sticky, last);
        if context.identity.phase == BenchmarkPhase::Warmup {
            request.cancel_after = None;
        }

        shard.live.request_started();
        let exchange = match prefill {
            None => shard.client.send(request).await,
            // Boxed, as all that is rare: it would make the future of every request larger.
            Some(slot) => Box::pin(prefill::send(&shard.client, request, slot, &shard.first_tokens)).await,
        };
        ended = clock::now();
        shard.live.request_ended();
        shard.last_end.set(ended);
        drop(leave);

        let answered =
            exchange.error.is_none() && exchange.head.as_ref().is_some_and(|head| head.status.is_success());
        let converses = !last && !session.self_contained;
        let (reply_to, reply) = match answered && converses {
            true => {
                let (sender, receiver) = oneshot::channel();
                (Some(sender), Some(receiver))
            }
            false => (None, None),
        };
        let finished = Finished {
            phase: context.identity.clone(),
            number,
            turn_index: index as u32,
            request_id,
            correlation_id,
            session: session.clone(),
            history: history.clone(),
            intended,
            sticky,
            body,
            exchange,
            shard: shard.index,
            reply_to,
        };
        shard.hand_on(finished).await;
        if !converses {
            continue;
        }
        // Without a reply to answer, a conversation cannot go on.
        let Some(reply) = reply else { break };
        let Ok(Some(text)) = reply.await else { break };
        history.push(Message::User { turn: index });
        history.push(Message::Assistant { content: Arc::from(text) });
    }
    ended
}

/// Waits until a turn is due; `None` when the phase ended before.
async fn wait_for_turn(
    context: &PhaseContext,
    turns: &Turns,
    turn: &Turn,
    index: usize,
    previous_intended: MonoNs,
    previous_end: MonoNs,
) -> Option<Leave> {
    let after_reply = previous_end.after(turn.delay.as_nanos() as u64);
    match turns {
        Turns::Paced(_) if index == 0 => Some(Leave { intended: previous_intended, _slot: None }),
        Turns::Paced(pacing) => {
            let intended = match (pacing, turn.at) {
                (TurnPacing::Trace(clock), Some(at)) => context.start.after(clock.offset_ns(at)),
                (TurnPacing::Cadence(gap), _) => previous_intended.after(*gap),
                _ => after_reply,
            };
            context.sleep_until(intended).await.then_some(Leave { intended, _slot: None })
        }
        Turns::Ticketed { first, due } => {
            let ticket = match first.take() {
                Some(ticket) => ticket,
                None => {
                    if !context.sleep_until(after_reply).await {
                        return None;
                    }
                    let given = due.wait()?;
                    let mut stopped = context.stopped.clone();
                    tokio::select! {
                        ticket = given => ticket.ok()?,
                        _ = stopped.wait_for(|stopped| *stopped) => return None,
                    }
                }
            };
            let slot = match &ticket.slots {
                None => None,
                Some(slots) => Some(context.slot(slots).await?),
            };
            Some(Leave { intended: ticket.intended, _slot: slot })
        }
    }
}
