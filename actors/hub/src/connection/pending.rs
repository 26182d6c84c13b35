//! The state of a request that is not answered yet.

use super::responses::Tag;
use crate::identity::ClientIdentity;
use crate::verbs::Finish;
use crate::verbs::ack::AckProgress;
use crate::verbs::group::GroupProgress;
use crate::verbs::wait::WaitProgress;
use actix::SpawnHandle;
use kirosu_protocol::{Method, RawId, TaskRun};
use kirosu_store::ParkId;
use serde_json::value::RawValue;
use std::sync::Arc;

/// A request between its line and its answer.
pub struct PendingRequest {
    /// The client's id of the request.
    pub id: RawId,
    /// Whether the client speaks JSON-RPC 2.0.
    pub jsonrpc: bool,
    /// Its method. `None` if there is none of its name.
    pub method: Option<Method>,
    /// The party for which the request speaks. `None` for a line that is no request.
    pub identity: Option<Arc<ClientIdentity>>,
    /// Whether it is known that no person sits at the client's terminal: it may approve no more than `human` tasks.
    pub only_human: bool,
    /// The run whose agent waits with this request.
    pub waiting_run: Option<TaskRun>,
    /// How the answer is made.
    pub responding: Responding,
    /// The name under which the store parks the request. `None` if it is not parked.
    pub park: Option<ParkId>,
    /// The timer that ends its wait.
    pub timer: Option<SpawnHandle>,
    /// Whether it counts as a waiting request of its connection.
    pub counts_as_waiting: bool,
}

impl PendingRequest {
    /// A request that has just been read.
    pub fn new(
        id: RawId,
        jsonrpc: bool,
        method: Option<Method>,
        identity: Option<Arc<ClientIdentity>>,
    ) -> PendingRequest {
        PendingRequest {
            id,
            jsonrpc,
            method,
            identity,
            only_human: false,
            waiting_run: None,
            responding: Responding::Elsewhere,
            park: None,
            timer: None,
            counts_as_waiting: false,
        }
    }
}

/// How a request's answer is made.
pub enum Responding {
    /// Not from an outcome of the writer: another actor answers.
    Elsewhere,
    /// From the writer's outcome of the request's one command.
    Once(Finish),
    /// From the writer's outcome of the request's one command: this, if it succeeds.
    Prepared(Box<RawValue>),
    /// From the outcomes of one or several acks, and of a lease.
    Ack(Box<AckProgress>),
    /// From the outcomes of many commands, page by page.
    Group(Box<GroupProgress>),
    /// From the ends of tasks, which the event bus sends.
    Wait(Box<WaitProgress>),
}

/// One of the two kinds of commands that a request may send to the writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandPart {
    /// The command of the request itself.
    First = 0,
    /// The lease after an ack, or a dependency of the tasks to retry.
    Second = 1,
}

/// The number of a command whose answer belongs to no request.
pub const UNANSWERED: u64 = u64::MAX;

/// The number of the command that gives back the leases of a session whose key was revoked. It belongs to no request, either.
pub const REVOKED: u64 = UNANSWERED - 1;

/// The number under which the writer answers a command.
pub fn command_number(tag: Tag, part: CommandPart) -> u64 {
    tag * 2 + part as u64
}

/// The request and the part that a command number belongs to.
pub fn command_origin(number: u64) -> (Tag, CommandPart) {
    let part = match number % 2 {
        0 => CommandPart::First,
        _ => CommandPart::Second,
    };
    (number / 2, part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_number_leads_back_to_its_request() {
        for (tag, part) in [(0, CommandPart::First), (7, CommandPart::Second)] {
            assert_eq!(command_origin(command_number(tag, part)), (tag, part));
        }
    }
}
