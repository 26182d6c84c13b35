//! What is sent to the writer, and what it answers.

use super::Writer;
use crate::connection::{ConnectionId, Notify};
use crate::measure::Measured;
use actix::prelude::*;
use kirosu_protocol::{Effect, Error, Fence, Stats, TaskId};
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

/// Commands that take effect in this order. Each is answered once its effect is durable. A submission that is dropped
/// before the writer has begun it is answered with an error, wherever it is dropped.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Submit {
    pub(super) owed: PendingReply,
    pub(super) commands: Vec<(u64, Command)>,
}

impl Submit {
    /// The commands of a caller, each with the caller's own number for it.
    pub fn new(caller: Caller, commands: Vec<(u64, Command)>) -> Submit {
        let tags = commands.iter().map(|(tag, _)| *tag).collect();
        Submit {
            owed: PendingReply::new(caller, tags),
            commands,
        }
    }
}

impl Submit {
    /// The number of commands, from the first, that fit into a commit of `most` tasks; `tasks`, which it has already, grows by
    /// theirs.
    pub(super) fn fit(&self, tasks: &mut usize, most: usize) -> usize {
        let fits = |(_, command): &&(u64, Command)| {
            let fits = *tasks < most;
            *tasks += if fits { weight(command) } else { 0 };
            fits
        };
        self.commands.iter().take_while(fits).count()
    }

    /// The first commands on their own; the others stay.
    pub(super) fn take_first(&mut self, count: usize) -> Submit {
        Submit {
            owed: self.owed.take_first(count),
            commands: self.commands.drain(..count).collect(),
        }
    }
}

/// How many tasks a command is about, at the most.
fn weight(command: &Command) -> usize {
    match command {
        Command::Lease { ask, .. } => ask.max_tasks.max(1) as usize,
        Command::EnqueueBatch(tasks) => tasks.len(),
        Command::Acks(acks) => acks.len(),
        _ => 1,
    }
}

/// A command's number, as its caller gave it, and the answer to it.
pub type Numbered = (u64, Result<Outcome, Error>);

/// Answers to a caller, each with the number it gave. A command may be answered twice: first as parked, then with tasks.
///
/// The receiver may end before it handles the message. Tasks that were leased in it then go back to the queue at once.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Answers {
    list: Vec<Numbered>,
    give_back: Option<Addr<Writer>>,
}

impl Answers {
    /// Answers that lease no task.
    pub fn new(list: Vec<Numbered>) -> Answers {
        Answers {
            list,
            give_back: None,
        }
    }

    /// Answers with leased tasks, which this writer takes back when nobody receives the message.
    pub fn with_leases(list: Vec<Numbered>, writer: Addr<Writer>) -> Answers {
        Answers {
            list,
            give_back: Some(writer),
        }
    }

    /// The answers; the receiver is responsible for the leases in it from now on.
    pub fn take(mut self) -> Vec<Numbered> {
        std::mem::take(&mut self.list)
    }
}

impl Drop for Answers {
    fn drop(&mut self) {
        let Some(writer) = self.give_back.take() else {
            return;
        };
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

/// Leases whose answer reached nobody.
#[derive(Message)]
#[rtype(result = "()")]
pub struct GiveBack(pub Vec<(TaskId, Fence)>);

/// Waits until every submission that the writer has received is committed and answered.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Settle;

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
pub struct ReportLeases;

/// Asks the writer to look at the clock, and to tell the reaper of the next deadline.
#[derive(Message)]
#[rtype(result = "()")]
pub struct ReportDeadline;

/// The rules have changed: they are read again.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Tune;

/// Gives free pages of the store back to the disk, in a step that takes milliseconds; answers whether there are more.
#[derive(Message)]
#[rtype(result = "bool")]
pub struct Shrink;

/// Answers owed to one caller. Dropped unanswered (an actor crashed), it answers with an error, so that no caller waits
/// for ever.
pub struct PendingReply {
    caller: Caller,
    tags: Vec<u64>,
    begun: bool,
}

impl PendingReply {
    /// Owes an answer to each of these numbers.
    pub fn new(caller: Caller, tags: Vec<u64>) -> PendingReply {
        PendingReply {
            caller,
            tags,
            begun: false,
        }
    }

    /// From now on the commands may have taken effect.
    pub fn begin(&mut self) {
        self.begun = true;
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
    pub fn split(&mut self, tag: u64) -> PendingReply {
        self.tags.retain(|owed| *owed != tag);
        PendingReply {
            caller: self.caller.clone(),
            tags: vec![tag],
            begun: self.begun,
        }
    }

    /// Owes the answers to the first numbers on their own, from now on.
    pub fn take_first(&mut self, count: usize) -> PendingReply {
        let rest = self.tags.split_off(count.min(self.tags.len()));
        PendingReply {
            caller: self.caller.clone(),
            tags: std::mem::replace(&mut self.tags, rest),
            begun: self.begun,
        }
    }

    /// Answers all, in the order of the commands. Where tasks are leased, `give_back` names the writer.
    pub fn answer(
        mut self,
        results: impl Iterator<Item = Result<Outcome, Error>>,
        give_back: Option<Addr<Writer>>,
    ) {
        let tags = std::mem::take(&mut self.tags);
        let list = tags.into_iter().zip(results).collect();
        self.caller.reply.do_send(Answers { list, give_back });
    }
}

impl Drop for PendingReply {
    fn drop(&mut self) {
        if self.tags.is_empty() {
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
            .tags
            .drain(..)
            .map(|tag| (tag, Err(Error::internal(effect, message))))
            .collect();
        self.caller.reply.do_send(Answers::new(answers));
    }
}
