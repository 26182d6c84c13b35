//! What the writer notes of commands and their effects, as pure functions, and of the requests that wait.

use super::messages::{Answers, Caller};
use crate::leases::Decided;
use kirosu_protocol::{Effect, Error, EventKind, PermissionState, Status};
use kirosu_store::{Command, Outcome, ParkId};
use std::collections::HashMap;

/// Parked leases and who waits for them. Dropped (the writer crashed), each is answered with nothing, so that its
/// worker asks again.
#[derive(Default)]
pub(super) struct ParkedRequests(pub HashMap<ParkId, (Caller, u64)>);

impl Drop for ParkedRequests {
    fn drop(&mut self) {
        for (caller, tag) in self.0.values() {
            caller
                .reply
                .do_send(Answers::new(vec![(*tag, Ok(Outcome::Leased(Vec::new())))]));
        }
    }
}

/// A change after which the lease with this fence is over.
pub(super) fn closed_lease(change: &EventKind) -> Option<(i64, i64)> {
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

/// A decision on a tool question, for the holder who waits for it.
pub(super) fn decided(change: &EventKind) -> Option<Decided> {
    match change {
        EventKind::Approval {
            approval_id,
            task_id,
            fence,
            state,
            // What a rule decided, its asker knows.
            rule: None,
            ..
        } if *state != PermissionState::Open => Some(Decided {
            task_id: *task_id,
            fence: *fence,
            approval_id: *approval_id,
            state: *state,
        }),
        _ => None,
    }
}

/// What is to be known of a command after the store has taken it.
#[derive(Clone, Copy, Default)]
pub(super) struct CommandContext {
    /// Under which name the request is parked, if it is.
    pub park: Option<ParkId>,
    /// Whose wait is over. It is forgotten only now: an earlier command of the same commit may have woken it, and its
    /// tasks must reach its connection to be given back.
    pub unparked: Option<ParkId>,
    /// Why leases end that it ends.
    pub why: &'static str,
}

impl CommandContext {
    /// Before the store takes it.
    pub fn of(command: &Command) -> CommandContext {
        let mut note = CommandContext::default();
        match command {
            Command::Lease { park, .. } => note.park = *park,
            Command::Unpark(park) => note.unparked = Some(*park),
            Command::ExpireDue { .. } => note.why = "expired",
            Command::ReleaseSession { .. } => note.why = "session_lost",
            _ => note.why = "taken",
        }
        note
    }
}

pub(super) fn unanswered() -> Error {
    Error::internal(
        Effect::Unknown,
        "the store gave no answer to this request; whether it took effect is unknown",
    )
}
