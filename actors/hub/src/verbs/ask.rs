//! `ask`: a running agent requests permission for a tool.

use super::{Begun, Command, Outcome, RequestScope, Started, refuse_unexpected};
use kirosu_protocol::AskParams;

pub fn begin(mut params: Box<AskParams>, scope: &mut RequestScope<'_>) -> Begun {
    params.fence = params
        .fence
        .or_else(|| scope.leases().fence(params.task_id));
    Ok(Started::Submit(Command::RequestPermission(params), finish))
}

fn finish(outcome: Outcome, scope: &mut RequestScope<'_>) {
    match outcome {
        Outcome::Permission(answer) => scope.answer(&answer),
        outcome => refuse_unexpected(&outcome, scope),
    }
}
