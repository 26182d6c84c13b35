//! `pause`: stops leasing from a queue, or from all queues.

use super::{Begun, Started, refuse_unexpected};
use crate::connection::RequestScope;
use kirosu_protocol::verbs::pause::{PauseAnswer, PauseParams};
use kirosu_store::{Command, Outcome};

pub fn begin(params: PauseParams, _: &mut RequestScope<'_>) -> Begun {
    Ok(Started::Submit(Command::Pause(params.queue), finish))
}

/// Answers with the queues that are paused now.
pub(super) fn finish(outcome: Outcome, scope: &mut RequestScope<'_>) {
    match outcome {
        Outcome::Paused(paused) => scope.answer(&PauseAnswer { ok: true, paused }),
        outcome => refuse_unexpected(&outcome, scope),
    }
}
