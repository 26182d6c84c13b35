//! `release`: gives a lease back without a result.

use super::{Begun, Command, RequestScope, Started, finish_ok};
use crate::connection::as_holder;
use kirosu_protocol::ReleaseParams;

pub fn begin(params: ReleaseParams, scope: &mut RequestScope<'_>) -> Begun {
    let fence = scope.leases().fence_or_live(params.task_id, params.fence);
    let command = Command::Release {
        task: params.task_id,
        fence,
        delay_ms: params.delay_ms,
        reason: params.reason,
    };
    let command = as_holder(fence, params.worker_id, command);
    Ok(Started::Submit(command, finish_ok))
}
