//! `retry_failed`: queues all failed tasks of a queue again.

use super::{Begun, Command, Outcome, RequestScope, Started, refuse_unexpected};
use kirosu_protocol::{RetryFailedAnswer, RetryFailedParams};

pub fn begin(params: RetryFailedParams, _: &mut RequestScope<'_>) -> Begun {
    let command = Command::RetryFailed {
        queue: params.queue,
    };
    Ok(Started::Submit(command, finish))
}

fn finish(outcome: Outcome, scope: &mut RequestScope<'_>) {
    match outcome {
        Outcome::Counted { count, .. } => scope.answer(&RetryFailedAnswer { retried: count }),
        outcome => refuse_unexpected(&outcome, scope),
    }
}
