//! `wait_children`: lets the task of a run wait for its children once the run has ended.

use super::{Begun, Command, Outcome, RequestScope, Started, refuse_unexpected};
use crate::connection::as_holder;
use kirosu_protocol::{Error, WaitChildrenParams};

pub fn begin(params: WaitChildrenParams, scope: &mut RequestScope<'_>) -> Begun {
    let task = params.task_id;
    if task == 0 {
        let message =
            "missing parameter: `task_id`; only the token of a run says which task is meant";
        return Err(Error::invalid_params(message));
    }
    let fence = scope.leases().fence_or_live(task, params.fence);
    let command = Command::WaitChildren { task, fence };
    let command = as_holder(fence, params.worker_id, command);
    Ok(Started::Submit(command, finish))
}

fn finish(outcome: Outcome, scope: &mut RequestScope<'_>) {
    match outcome {
        Outcome::WaitsChildren(answer) => scope.answer(&answer),
        outcome => refuse_unexpected(&outcome, scope),
    }
}
