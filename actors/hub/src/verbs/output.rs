//! `output`: stores a chunk of a run's output.

use super::{Begun, Command, RequestScope, forward};
use crate::connection::as_holder;
use kirosu_protocol::OutputParams;

pub fn begin(params: OutputParams, scope: &mut RequestScope<'_>) -> Begun {
    let task = params.task_id;
    let fence = scope.leases().fence_or_live(task, params.fence);
    let command = Command::Output {
        task,
        fence,
        chunk: params.chunk,
        text: params.text,
    };
    let command = as_holder(fence, params.worker_id, command);
    Ok(forward(task, fence, command, scope))
}
