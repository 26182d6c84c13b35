//! `pause`: stops leasing from a queue, or from all queues.

use super::{Begun, Command, Outcome, RequestScope, Started, refuse_unexpected};
use kirosu_protocol::{PauseAnswer, PauseParams};

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
