//! The identity of a caller of the writer, its pending replies, and messages to clients.

use actix::prelude::*;
use kirosu_protocol::{Effect, Error, Fence, Notice, TaskId};
use kirosu_store::{Outcome, Principal};
use std::sync::Arc;

/// A connection's number, unique within the hub's process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(pub u64);

impl ConnectionId {
    /// The hub's own actors, which call the writer without a connection.
    pub const HUB: ConnectionId = ConnectionId(0);
}

/// A message from the hub to a client's connection that answers no request.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub enum Notify {
    /// Sends the notice to the client.
    Client(Notice),
    /// Closes the connection: another one has opened its session.
    Superseded,
    /// Keys were revoked: ends what waits under them.
    KeysRevoked,
}

/// The sender of commands. It decides who holds the leases, and where the answers go.
#[derive(Clone)]
pub struct Caller {
    /// The connection, or [`ConnectionId::HUB`] for the hub's own actors.
    pub connection: ConnectionId,
    /// The session of the connection. `None` means that it opened none.
    pub session: Option<Arc<str>>,
    /// The recipient of notices about leases. `None` for a session, which is found by its name and may have reconnected, and
    /// for a client that never sent `hello` and may not understand them.
    pub notify: Option<Recipient<Notify>>,
    /// The recipient of the answers.
    pub reply: Recipient<CommandAnswers>,
    /// The party for the audit trail. `None`: the commands leave no entry.
    pub by: Option<Arc<Principal>>,
}

impl Caller {
    /// One of the hub's own actors.
    pub fn hub(reply: Recipient<CommandAnswers>) -> Caller {
        Caller {
            connection: ConnectionId::HUB,
            session: None,
            notify: None,
            reply,
            by: None,
        }
    }
}

/// The number that a caller gave to a command, and the answer to that command.
pub type NumberedAnswer = (u64, Result<Outcome, Error>);

/// Answers to a caller. A command may be answered twice: first as parked, then with tasks.
///
/// The receiver may stop before it handles the message. The leases in it are then given back to the queue at once.
#[derive(Message)]
#[rtype(result = "()")]
pub struct CommandAnswers {
    list: Vec<NumberedAnswer>,
    give_back: Option<Arc<Recipient<GiveBack>>>,
}

impl CommandAnswers {
    /// Answers without leases.
    pub fn new(list: Vec<NumberedAnswer>) -> CommandAnswers {
        CommandAnswers {
            list,
            give_back: None,
        }
    }

    /// Answers with leases. `give_back` gets them if the message is dropped unread.
    pub fn with_leases(
        list: Vec<NumberedAnswer>,
        give_back: Option<Arc<Recipient<GiveBack>>>,
    ) -> CommandAnswers {
        CommandAnswers { list, give_back }
    }

    /// Takes the answers. From now on the receiver is responsible for the leases in them.
    pub fn take(mut self) -> Vec<NumberedAnswer> {
        std::mem::take(&mut self.list)
    }
}

impl Drop for CommandAnswers {
    fn drop(&mut self) {
        let Some(writer) = self.give_back.take() else {
            return;
        };
        // Empty after `take`.
        let leases: Vec<(TaskId, Fence)> = std::mem::take(&mut self.list)
            .into_iter()
            .filter_map(|(_, answer)| match answer {
                Ok(Outcome::Leased(tasks)) => Some(tasks),
                _ => None,
            })
            .flatten()
            .map(|task| (task.task_id, task.fence))
            .collect();
        if !leases.is_empty() {
            writer.do_send(GiveBack(leases));
        }
    }
}

/// Leases whose answer reached no client.
#[derive(Message)]
#[rtype(result = "()")]
pub struct GiveBack(pub Vec<(TaskId, Fence)>);

/// The duty to answer commands of one caller. If it is dropped unanswered (an actor crashed), it answers with an error, so
/// that no caller waits forever.
pub struct PendingReply {
    caller: Caller,
    numbers: Vec<u64>,
    begun: bool,
}

impl PendingReply {
    /// A reply to the commands with these numbers, in order.
    pub fn new(caller: Caller, numbers: Vec<u64>) -> PendingReply {
        PendingReply {
            caller,
            numbers,
            begun: false,
        }
    }

    /// Records that the commands may have taken effect from now on.
    pub fn begin(&mut self) {
        self.begun = true;
    }

    /// The receiver of the reply.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// The numbers, in order.
    pub fn numbers(&self) -> &[u64] {
        &self.numbers
    }

    /// Passes the duty on to the caller of this function.
    pub fn into_parts(mut self) -> (Caller, Vec<u64>) {
        (self.caller.clone(), std::mem::take(&mut self.numbers))
    }

    /// Moves one number to a reply of its own.
    pub fn split(&mut self, number: u64) -> PendingReply {
        self.numbers.retain(|other| *other != number);
        self.with_numbers(vec![number])
    }

    /// Moves the first numbers to a reply of their own.
    pub fn take_first(&mut self, count: usize) -> PendingReply {
        let rest = self.numbers.split_off(count.min(self.numbers.len()));
        let first = std::mem::replace(&mut self.numbers, rest);
        self.with_numbers(first)
    }

    fn with_numbers(&self, numbers: Vec<u64>) -> PendingReply {
        PendingReply {
            caller: self.caller.clone(),
            numbers,
            begun: self.begun,
        }
    }

    /// Answers all commands, in their order. If `results` lease tasks, `give_back` gets the leases that reach no client.
    pub fn answer(
        mut self,
        results: impl Iterator<Item = Result<Outcome, Error>>,
        give_back: Option<Arc<Recipient<GiveBack>>>,
    ) {
        let numbers = std::mem::take(&mut self.numbers);
        let list = numbers.into_iter().zip(results).collect();
        self.caller
            .reply
            .do_send(CommandAnswers::with_leases(list, give_back));
    }
}

impl Drop for PendingReply {
    fn drop(&mut self) {
        if self.numbers.is_empty() {
            return;
        }
        let (effect, message) = if self.begun {
            (
                Effect::Unknown,
                "a part of the hub crashed while it worked on this request, and was restarted; whether the request took effect is unknown, send it again",
            )
        } else {
            (
                Effect::None,
                "a part of the hub crashed before it began this request, and was restarted; nothing was done, send it again",
            )
        };
        let answers = self
            .numbers
            .drain(..)
            .map(|number| (number, Err(Error::internal(effect, message))))
            .collect();
        self.caller.reply.do_send(CommandAnswers::new(answers));
    }
}
