//! The reports of one live lease: output and progress, written in the order in which they came.

use crate::writer::Writer;
use crate::writer::messages::{Answers, Caller, PendingReply, Submit};
use actix::prelude::*;
use kirosu_store::Command;
use kirosu_supervision::{ChildContext, supervised};

/// Output or progress of the run, to be kept in the order in which it came.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Report {
    /// The answer that the reporter is owed.
    pub owed: PendingReply,
    /// What is to be kept.
    pub command: Command,
}

/// The lease is over: what was reported is still written, then the actor ends.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Over;

/// The actor.
pub struct Lease {
    child: ChildContext,
    writer: Addr<Writer>,
    /// Reports that wait while others are being written: they become one batch.
    waiting: Vec<Report>,
    writing: Vec<PendingReply>,
    over: bool,
}

supervised!(Lease);

impl Lease {
    /// Starts with no report waiting.
    pub fn new(child: ChildContext, writer: Addr<Writer>) -> Lease {
        Lease {
            child,
            writer,
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
        for (index, mut report) in self.waiting.drain(..).enumerate() {
            report.owed.begin();
            self.writing.push(report.owed);
            commands.push((index as u64, report.command));
        }
        let caller = Caller::hub(ctx.address().recipient());
        self.writer.do_send(Submit::new(caller, commands));
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

    fn handle(&mut self, answers: Answers, ctx: &mut Self::Context) {
        let writing = std::mem::take(&mut self.writing);
        for (owed, (_, answer)) in writing.into_iter().zip(answers.take()) {
            owed.answer(std::iter::once(answer), None);
        }
        self.write_waiting(ctx);
        if self.over && self.writing.is_empty() {
            self.child.finish(ctx);
        }
    }
}

impl Handler<Over> for Lease {
    type Result = ();

    fn handle(&mut self, _: Over, ctx: &mut Self::Context) {
        self.over = true;
        if self.writing.is_empty() {
            self.child.finish(ctx);
        }
    }
}
