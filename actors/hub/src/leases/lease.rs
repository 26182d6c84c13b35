//! One live lease: who holds it, what it prints, and how its end is told to the holder.

use crate::connection::Notify;
use crate::leases::{Decided, Granted};
use crate::sessions::{Sessions, Tell};
use crate::writer::Writer;
use crate::writer::messages::{Answers, Caller, Owed, Submit};
use actix::prelude::*;
use kirosu_protocol::{Fence, Status, TaskId};
use kirosu_store::Command;
use kirosu_supervision::{ChildContext, supervised};
use std::rc::Rc;

/// Output or progress of the run, to be kept in the order in which it came.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Report {
    /// The answer that the reporter is owed.
    pub owed: Owed,
    /// What is to be kept.
    pub command: Command,
}

/// The lease is over.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Over {
    /// When somebody else than the holder ended the lease: the holder is told.
    pub ended: Option<Ending>,
}

/// A lease that its holder did not end itself.
pub struct Ending {
    /// Where the task stands now.
    pub status: Status,
    /// `expired`, `session_lost` or `taken`.
    pub why: &'static str,
    /// What a person said about it.
    pub reason: Option<String>,
}

/// Whom every lease speaks to. Shared, as tens of thousands of leases a second begin and end.
pub struct Neighbours {
    /// Keeps their output.
    pub writer: Addr<Writer>,
    /// Finds their holders.
    pub sessions: Addr<Sessions>,
}

/// The actor.
pub struct Lease {
    child: ChildContext,
    granted: Granted,
    neighbours: Rc<Neighbours>,
    /// Reports that wait while others are being written: they become one batch.
    waiting: Vec<Report>,
    writing: Vec<Owed>,
    over: bool,
}

supervised!(Lease);

impl Lease {
    /// Starts with an empty box of reports.
    pub fn new(child: ChildContext, granted: Granted, neighbours: Rc<Neighbours>) -> Lease {
        Lease {
            child,
            granted,
            neighbours,
            waiting: Vec::new(),
            writing: Vec::new(),
            over: false,
        }
    }

    fn write_waiting(&mut self, ctx: &mut Context<Self>) {
        if !self.writing.is_empty() || self.waiting.is_empty() {
            return;
        }
        let mut commands = Vec::with_capacity(self.waiting.len());
        for (index, report) in self.waiting.drain(..).enumerate() {
            self.writing.push(report.owed);
            commands.push((index as u64, report.command));
        }
        let caller = Caller::hub(ctx.address().recipient());
        self.neighbours.writer.do_send(Submit { caller, commands });
    }

    fn tell_holder(&self, ended: Ending) {
        let (task_id, fence): (TaskId, Fence) = (self.granted.task_id, self.granted.fence);
        let notify = match ended.status {
            Status::Cancelled => Notify::Cancel {
                task_id,
                fence,
                reason: ended.reason,
            },
            _ => Notify::LeaseLost {
                task_id,
                fence,
                reason: ended.why,
            },
        };
        self.notify(notify);
    }

    fn notify(&self, notify: Notify) {
        match (&self.granted.session, &self.granted.notify) {
            (Some(session), _) => self.neighbours.sessions.do_send(Tell {
                session: session.to_string(),
                notify,
            }),
            (None, Some(connection)) => connection.do_send(notify),
            (None, None) => {}
        }
    }
}

impl Actor for Lease {
    type Context = Context<Self>;
}

impl Handler<Report> for Lease {
    type Result = ();

    fn handle(&mut self, report: Report, ctx: &mut Self::Context) {
        self.child.handled();
        self.waiting.push(report);
        self.write_waiting(ctx);
    }
}

impl Handler<Answers> for Lease {
    type Result = ();

    fn handle(&mut self, Answers(answers): Answers, ctx: &mut Self::Context) {
        let writing = std::mem::take(&mut self.writing);
        for (owed, (_, answer)) in writing.into_iter().zip(answers) {
            owed.answer(std::iter::once(answer));
        }
        self.write_waiting(ctx);
        if self.over && self.writing.is_empty() {
            self.child.finish(ctx);
        }
    }
}

impl Handler<Decided> for Lease {
    type Result = ();

    fn handle(&mut self, decided: Decided, _: &mut Self::Context) {
        self.notify(Notify::Decided {
            task_id: decided.task_id,
            fence: decided.fence,
            approval_id: decided.approval_id,
            state: decided.state,
        });
    }
}

impl Handler<Over> for Lease {
    type Result = ();

    fn handle(&mut self, Over { ended }: Over, ctx: &mut Self::Context) {
        if let Some(ended) = ended {
            self.tell_holder(ended);
        }
        self.over = true;
        if self.writing.is_empty() {
            self.child.finish(ctx);
        }
    }
}
