//! What is sent to the writer, and what it answers.

use crate::connection::{ConnectionId, Notify};
use crate::measure::Measured;
use actix::prelude::*;
use kirosu_protocol::{Effect, Error, Stats};
use kirosu_store::{Command, Outcome};
use std::sync::Arc;

/// Who asks: tells the lease's holder apart, and where its answers go.
#[derive(Clone)]
pub struct Caller {
    /// The connection, or [`ConnectionId::HUB`] for the hub's own actors.
    pub connection: ConnectionId,
    /// The session that the connection opened, if any.
    pub session: Option<Arc<str>>,
    /// How it is told of a lease's end, when it has no session but said `hello`.
    pub notify: Option<Recipient<Notify>>,
    /// Where the answers go.
    pub reply: Recipient<Answers>,
}

impl Caller {
    /// One of the hub's own actors.
    pub fn hub(reply: Recipient<Answers>) -> Caller {
        Caller {
            connection: ConnectionId::HUB,
            session: None,
            notify: None,
            reply,
        }
    }
}

/// Commands that take effect in this order. Each is answered once its effect is durable.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Submit {
    /// Who asks.
    pub caller: Caller,
    /// The commands, each with the caller's own number for it.
    pub commands: Vec<(u64, Command)>,
}

/// Answers to a caller, each with the number it gave. A command may be answered twice: first as parked, then with tasks.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Answers(pub Vec<(u64, Result<Outcome, Error>)>);

/// Asks for the counters; answered after every command sent before.
#[derive(Message)]
#[rtype(result = "Stats")]
pub struct GetStats;

/// Asks for what the writer measured.
#[derive(Message)]
#[rtype(result = "Box<Measured>")]
pub struct GetMetrics;

/// No more leases are handed out until the process ends.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Drain;

/// Asks the writer to tell the keeper of leases of the living ones.
#[derive(Message)]
#[rtype(result = "()")]
pub struct TellLeases;

/// Asks the writer to look at the clock, and to tell the reaper of the next deadline.
#[derive(Message)]
#[rtype(result = "()")]
pub struct TellDeadline;

/// The rules have changed: they are read again.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Tune;

/// Gives free pages of the store back to the disk, in a step that takes milliseconds; answers whether there are more.
#[derive(Message)]
#[rtype(result = "bool")]
pub struct Shrink;

/// Answers owed to one caller. Dropped unanswered (the writer crashed), it says so: nobody waits for ever.
pub struct Owed {
    caller: Caller,
    tags: Vec<u64>,
}

impl Owed {
    /// Owes an answer to each of these numbers.
    pub fn new(caller: Caller, tags: Vec<u64>) -> Owed {
        Owed { caller, tags }
    }

    /// Who asks.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// The numbers, in order.
    pub fn tags(&self) -> &[u64] {
        &self.tags
    }

    /// Passes the debt on: the caller is owed by somebody else from now on.
    pub fn into_parts(mut self) -> (Caller, Vec<u64>) {
        (self.caller.clone(), std::mem::take(&mut self.tags))
    }

    /// Owes the answer to one of the numbers on its own, from now on.
    pub fn split(&mut self, tag: u64) -> Owed {
        self.tags.retain(|owed| *owed != tag);
        Owed::new(self.caller.clone(), vec![tag])
    }

    /// Answers all, in the order of the commands.
    pub fn answer(mut self, results: impl Iterator<Item = Result<Outcome, Error>>) {
        let tags = std::mem::take(&mut self.tags);
        self.caller
            .reply
            .do_send(Answers(tags.into_iter().zip(results).collect()));
    }
}

impl Drop for Owed {
    fn drop(&mut self) {
        if self.tags.is_empty() {
            return;
        }
        let lost = "a part of the hub crashed while it worked on this request, and was restarted; whether the request took effect is unknown, send it again";
        let answers = self
            .tags
            .drain(..)
            .map(|tag| (tag, Err(Error::internal(Effect::Unknown, lost))))
            .collect();
        self.caller.reply.do_send(Answers(answers));
    }
}
