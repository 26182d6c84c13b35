//! `notify_test`: a test for a target of notifications.

use super::{Begun, Command, Outcome, RequestScope, Started, refuse_unexpected};
use kirosu_protocol::{NotifyTestAnswer, NotifyTestParams};

pub fn begin(params: NotifyTestParams, _: &mut RequestScope<'_>) -> Begun {
    Ok(Started::Submit(Command::TestTarget(params.name), finish))
}

fn finish(outcome: Outcome, scope: &mut RequestScope<'_>) {
    match outcome {
        Outcome::Noticed(number) => scope.answer(&NotifyTestAnswer { number }),
        outcome => refuse_unexpected(&outcome, scope),
    }
}
