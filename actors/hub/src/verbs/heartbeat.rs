//! `heartbeat`: extends a lease.

use super::{Begun, Command, Outcome, RequestScope, Started, refuse_unexpected};
use crate::connection::{ConnectionLeases, as_holder};
use kirosu_protocol::{HeartbeatAnswer, HeartbeatParams};

pub fn begin(params: HeartbeatParams, scope: &mut RequestScope<'_>) -> Begun {
    Ok(Started::Submit(command(params, scope.leases()), finish))
}

/// The command that extends the lease.
pub fn command(params: HeartbeatParams, leases: &ConnectionLeases) -> Command {
    let fence = leases.fence_or_live(params.task_id, params.fence);
    let command = Command::Heartbeat {
        task: params.task_id,
        fence,
        lease_ms: params.lease_ms,
    };
    as_holder(fence, params.worker_id, command)
}

fn finish(outcome: Outcome, scope: &mut RequestScope<'_>) {
    match outcome {
        Outcome::Extended {
            lease_until_ms,
            waits_children,
        } => scope.answer(&HeartbeatAnswer {
            ok: true,
            leased_until: lease_until_ms as f64 / 1000.0,
            waits_children,
        }),
        outcome => refuse_unexpected(&outcome, scope),
    }
}
