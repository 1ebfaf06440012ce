//! A slot of a closed loop: one session after the other.

use std::rc::Rc;

use tokmeter_record::MonoNs;

use super::PhaseContext;
use super::session::{self, Turns};
use crate::plan::TurnPacing;

/// Runs sessions until the phase gives no more. The slot is free first at `free_at`, then whenever a
/// session has ended: that is when the next request was intended.
pub(super) async fn run(context: Rc<PhaseContext>, mut free_at: MonoNs) {
    if !context.sleep_until(free_at).await {
        return;
    }
    while context.budget.take_session().is_some() {
        let Some(job) = context.next_job().await else { return };
        free_at = session::run(&context, job, free_at, &Turns::Paced(TurnPacing::AfterReply)).await;
    }
}
