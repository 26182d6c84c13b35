//! Numbers of attempts as people write them: 1 is a task's first attempt.

use super::{Failure, HubClient};
use kirosu_protocol::{Fence, GetAnswer, GetParams, TaskId};

/// The fence by which the hub knows an attempt of a task.
///
/// # Errors
/// The hub refuses, or the task has had no such attempt.
pub async fn fence_of(number: u64, task_id: TaskId, hub: &HubClient) -> Result<Fence, Failure> {
    let params = GetParams {
        task_id,
        ..GetParams::default()
    };
    fence_in(number, &hub.request_idempotent(&params).await?)
}

fn fence_in(number: u64, answer: &GetAnswer) -> Result<Fence, Failure> {
    let index = usize::try_from(number).ok();
    if let Some(fence) = index.and_then(|number| answer.fence_of(number)) {
        return Ok(fence);
    }
    // Scripts pass fences, which `--json` prints.
    let fence = Fence::try_from(number).unwrap_or(Fence::MAX);
    let is_known = answer.task.fence == fence || answer.attempts.iter().any(|it| it.fence == fence);
    if is_known {
        return Ok(fence);
    }
    let id = answer.task.task_id;
    Err(Failure::Local(match answer.number_of(answer.task.fence) {
        _ if answer.task.fence == 0 => format!("task {id} has had no attempt yet"),
        1 => format!("task {id} has had one attempt, so there is no attempt {number}"),
        most => format!("task {id} has had {most} attempts, so there is no attempt {number}"),
    }))
}
