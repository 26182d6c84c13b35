//! The messages of the lease registry.

use super::lease::HolderReport;
use super::registry::Holder;
use crate::caller::{Caller, ConnectionId, Notify};
use actix::prelude::*;
use kirosu_protocol::{Fence, HeldLease, PermissionId, PermissionState, Task, TaskId, TaskRun};
use kirosu_store::{EndedLease, LiveLease};
use std::collections::HashMap;
use std::sync::Arc;

/// A lease and its holder.
#[derive(Clone)]
pub struct GrantedLease {
    /// The leased task.
    pub task_id: TaskId,
    /// The lease's fence.
    pub fence: Fence,
    /// The session that holds it. `None`: the connection holds it.
    pub session: Option<Arc<str>>,
    /// The connection over which it was leased.
    pub connection: ConnectionId,
    /// The recipient of notices, see [`Caller::notify`].
    pub notify: Option<Recipient<Notify>>,
}

impl GrantedLease {
    /// The run under the lease, if its holder has a token for it: if it has a session.
    pub fn run(&self) -> Option<TaskRun> {
        self.session.as_ref()?;
        Some(TaskRun {
            task_id: self.task_id,
            fence: self.fence,
        })
    }

    /// The leases of `tasks`, which `caller` holds.
    pub fn of<'a>(
        tasks: &'a [Task],
        caller: &'a Caller,
    ) -> impl Iterator<Item = GrantedLease> + 'a {
        tasks.iter().map(|task| GrantedLease {
            task_id: task.task_id,
            fence: task.fence,
            session: caller.session.clone(),
            connection: caller.connection,
            notify: caller.notify.clone(),
        })
    }
}

/// Changes of leases that one commit made.
#[derive(Message)]
#[rtype(result = "()")]
pub struct LeasesChanged {
    /// New leases.
    pub granted: Vec<GrantedLease>,
    /// Tasks that are no longer leased, with the fence that ended.
    pub closed: Vec<(TaskId, Fence)>,
    /// Permission requests of live leases that were decided. Their holders are notified.
    pub decided: Vec<DecidedPermission>,
    /// Leases that were ended by someone other than the holder, and why. Their holders are notified.
    pub ended: Vec<(EndedLease, &'static str)>,
}

/// A permission request that was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecidedPermission {
    /// The task of the run that sent the request.
    pub task_id: TaskId,
    /// The lease of that run.
    pub fence: Fence,
    /// The id of the request.
    pub approval_id: PermissionId,
    /// The state after the decision.
    pub state: PermissionState,
}

impl DecidedPermission {
    /// Whether the run under this lease sent the request.
    pub(super) fn is_of(&self, lease: &GrantedLease) -> bool {
        (self.task_id, self.fence) == (lease.task_id, lease.fence)
    }
}

/// The leases that are live in the store when the writer opens it.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Rebuild(pub Vec<LiveLease>);

/// Passes output or progress of a run to the actor of its lease.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Forward {
    /// The task.
    pub task_id: TaskId,
    /// The fence of the lease, or `LIVE_LEASE` for the task's live one.
    pub fence: Fence,
    /// The output or progress.
    pub report: HolderReport,
}

/// Lists the leases of all holders.
#[derive(Message)]
#[rtype(result = "HashMap<Holder, Vec<HeldLease>>")]
pub struct ListHeld;

/// Lists the leases of one holder.
#[derive(Message)]
#[rtype(result = "Vec<HeldLease>")]
pub struct HeldBy(pub Holder);

/// The agent of a run has begun to wait for tasks below its own, or has ended a wait: notifies the holder of the lease.
#[derive(Message)]
#[rtype(result = "()")]
pub struct RunWaits {
    /// The run.
    pub run: TaskRun,
    /// Whether a wait has begun.
    pub waiting: bool,
}
