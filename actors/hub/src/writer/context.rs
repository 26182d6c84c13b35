//! Pure rules about commands and their effects, and the parked requests.

use crate::caller::{Caller, CommandAnswers};
use crate::leases::DecidedPermission;
use kirosu_protocol::{Effect, Error, EventKind, Fence, PermissionState, Status, TaskId};
use kirosu_store::{Command, Outcome, ParkId};
use std::collections::HashMap;

/// The parked lease requests and their callers. If it is dropped (the writer crashed), each request is answered with no
/// tasks, so that its worker sends the next one.
#[derive(Default)]
pub(super) struct ParkedRequests(pub HashMap<ParkId, (Caller, u64)>);

impl Drop for ParkedRequests {
    fn drop(&mut self) {
        for (caller, number) in self.0.values() {
            let answer = (*number, Ok(Outcome::Leased(Vec::new())));
            caller.reply.do_send(CommandAnswers::new(vec![answer]));
        }
    }
}

/// The lease that an event ended, if it ended one.
pub(super) fn closed_lease(change: &EventKind) -> Option<(TaskId, Fence)> {
    match change {
        EventKind::Task {
            task_id,
            status,
            fence,
            ..
        } if *status != Status::Leased && *fence > 0 => Some((*task_id, *fence)),
        _ => None,
    }
}

/// The decision of a permission request whose lease holder waits for it, if the event is one.
pub(super) fn decided(change: &EventKind) -> Option<DecidedPermission> {
    match change {
        EventKind::Approval {
            approval_id,
            task_id,
            fence,
            state,
            // A decision by a rule is the answer to the request itself: its holder does not wait.
            rule: None,
            ..
        } if *state != PermissionState::Open => Some(DecidedPermission {
            task_id: *task_id,
            fence: *fence,
            approval_id: *approval_id,
            state: *state,
        }),
        _ => None,
    }
}

/// Facts about a command that the writer needs after the store has consumed the command.
#[derive(Clone, Copy, Default)]
pub(super) struct CommandContext {
    /// The name under which the store may park the request.
    pub park: Option<ParkId>,
    /// The parked request that the command ends. The writer forgets it only after the commit: an earlier command of the same
    /// commit may have woken it, and these tasks must reach the connection to be given back.
    pub unparked: Option<ParkId>,
    /// The reason for the end of the leases that the command ends: `expired`, `session_lost` or `taken`.
    pub why: &'static str,
}

impl CommandContext {
    /// Reads the facts before the store consumes the command.
    pub fn of(command: &Command) -> CommandContext {
        let mut context = CommandContext::default();
        match command {
            Command::Lease { park, .. } => context.park = *park,
            Command::Unpark(park) => context.unparked = Some(*park),
            Command::ExpireDue { .. } => context.why = "expired",
            Command::ReleaseSession { .. } => context.why = "session_lost",
            _ => context.why = "taken",
        }
        context
    }
}

/// The answer to a command for which the store returned no outcome.
pub(super) fn unanswered() -> Error {
    Error::internal(
        Effect::Unknown,
        "the store gave no answer to this request; whether it took effect is unknown",
    )
}
