//! The reports of one live lease: output and progress, stored in the order in which they came.

use crate::caller::{Caller, CommandAnswers, PendingReply};
use crate::writer::Writer;
use crate::writer::messages::Submit;
use actix::prelude::*;
use kirosu_store::{Command, Principal};
use kirosu_supervision::{ChildContext, supervised};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Output or progress of a run.
#[derive(Message)]
#[rtype(result = "()")]
pub struct HolderReport {
    /// The reply to the client that sent the report.
    pub reply: PendingReply,
    /// The command that stores it.
    pub command: Command,
}

impl HolderReport {
    /// The party that sent it.
    fn party(&self) -> Option<&Arc<Principal>> {
        self.reply.caller().by.as_ref()
    }
}

/// The lease is over: the actor stores the reports that it has, then stops.
#[derive(Message)]
#[rtype(result = "()")]
pub struct LeaseOver;

/// The actor that stores the reports of one lease.
pub struct LeaseActor {
    child: ChildContext,
    writer: Addr<Writer>,
    /// Reports that arrived while others are being stored. They become one submission.
    waiting: Vec<HolderReport>,
    /// Replies to the reports that the writer stores now, by the numbers of their commands.
    writing: BTreeMap<u64, PendingReply>,
    /// The number of the next command. Answers to an earlier incarnation of this actor, whose mailbox survives a crash, have
    /// lower ones and are ignored.
    next_command: u64,
    over: bool,
}

supervised!(LeaseActor);

impl LeaseActor {
    /// Starts without reports.
    pub fn new(child: ChildContext, writer: Addr<Writer>) -> LeaseActor {
        LeaseActor {
            next_command: u64::from(child.incarnation()) << 32,
            child,
            writer,
            waiting: Vec::new(),
            writing: BTreeMap::new(),
            over: false,
        }
    }

    fn write_waiting(&mut self, ctx: &mut Context<Self>) {
        if !self.writing.is_empty() || self.waiting.is_empty() {
            return;
        }
        // The commands of one submission have one party.
        let by = self.waiting.first().and_then(HolderReport::party).cloned();
        let others = |report: &HolderReport| report.party() != by.as_ref();
        let count = self
            .waiting
            .iter()
            .position(others)
            .unwrap_or(self.waiting.len());
        let mut commands = Vec::with_capacity(count);
        for mut report in self.waiting.drain(..count) {
            report.reply.begin();
            self.writing.insert(self.next_command, report.reply);
            commands.push((self.next_command, report.command));
            self.next_command += 1;
        }
        let caller = Caller {
            by,
            ..Caller::hub(ctx.address().recipient())
        };
        self.writer.do_send(Submit::new(caller, commands));
    }
}

impl Actor for LeaseActor {
    type Context = Context<Self>;
}

impl Handler<HolderReport> for LeaseActor {
    type Result = ();

    fn handle(&mut self, report: HolderReport, ctx: &mut Self::Context) {
        self.child.handled();
        self.waiting.push(report);
        self.write_waiting(ctx);
    }
}

impl Handler<CommandAnswers> for LeaseActor {
    type Result = ();

    fn handle(&mut self, answers: CommandAnswers, ctx: &mut Self::Context) {
        // A full commit takes only the first commands of a submission, so its answers can come in several messages.
        for (command, answer) in answers.take() {
            if let Some(reply) = self.writing.remove(&command) {
                reply.answer(std::iter::once(answer), None);
            }
        }
        self.write_waiting(ctx);
        if self.over && self.writing.is_empty() {
            self.child.finish(ctx);
        }
    }
}

impl Handler<LeaseOver> for LeaseActor {
    type Result = ();

    fn handle(&mut self, _: LeaseOver, ctx: &mut Self::Context) {
        self.over = true;
        if self.writing.is_empty() {
            self.child.finish(ctx);
        }
    }
}
