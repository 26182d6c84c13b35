//! `progress`: stores the progress of a run.

use super::{Begun, Command, RequestScope, forward};
use crate::connection::as_holder;
use kirosu_protocol::ProgressParams;

pub fn begin(params: ProgressParams, scope: &mut RequestScope<'_>) -> Begun {
    let task = params.task_id;
    let fence = scope.leases().fence_or_live(task, params.fence);
    let command = Command::Progress {
        task,
        fence,
        data: params.data,
    };
    let command = as_holder(fence, params.worker_id, command);
    Ok(forward(task, fence, command, scope))
}
