//! The session's side of a run: started as an invocation, kept alive at the hub, ended before its time.

use std::time::Duration;

use actix::prelude::*;
use kirosu_protocol::task::{FailureClass, Task};
use kirosu_protocol::verbs::hello::HeldLease;
use tokio::sync::oneshot;
use tracing::Instrument;

use crate::invocation::{Ended, Invocation, Work, report};
use crate::session::machine::{Cause, End, Event, Report};
use crate::session::{Run, Session, calls};

impl Session {
    pub(super) fn start(&mut self, task: Task, ctx: &mut Context<Self>) {
        let lease = HeldLease {
            task_id: task.task_id,
            fence: task.fence,
        };
        let Some(line) = self.line.clone() else {
            return;
        };
        let HeldLease { task_id, fence } = lease;
        // A child of the session's span, which is entered here.
        let span = tracing::error_span!("run", task_id, fence);
        span.in_scope(|| tracing::debug!("runs"));
        let (leash, held) = oneshot::channel();
        let (ended, end) = oneshot::channel();
        let mut work = Some(Work {
            pool: self.pool.clone(),
            session: self.index,
            task,
            pass: self.pass.take(),
            line,
            leash: held,
            ended,
            span,
        });
        let name = format!("{}.{}", lease.task_id, lease.fence);
        let spawned = self
            .pool
            .invocations
            .spawn(name, move |child| Invocation::new(child, work.take()));
        let every = (self.pool.options().lease / 3).max(Duration::from_millis(100));
        let beats = ctx.run_interval(every, |session, ctx| session.on(Event::BeatDue, ctx));
        self.place = None;
        self.run = Some(Run {
            lease,
            leash: Some(leash),
            beats,
            unwanted: false,
        });
        if let Err(error) = spawned {
            tracing::warn!(task_id, fence, %error, "the run was not started; its lease goes back");
        }
        let not_started = spawned.is_err();
        ctx.spawn(end.into_actor(self).map(move |ended, session, ctx| {
            let end = match ended {
                Ok(Ended { end, place }) => {
                    session.place = place;
                    end
                }
                Err(_) if not_started => report::give_back("the pool starts no runs now"),
                Err(_) => {
                    let why = "the invocation crashed; see the hub's or agent's log";
                    let end = report::fail(lease, FailureClass::Crashed, why);
                    report::signed(end, session.pool.options().provider.name())
                }
            };
            session.ended(lease, end, ctx);
        }));
    }

    /// For the log: never the result or the error's text, which may hold what the prompt said.
    fn log_end(&self, lease: HeldLease, end: &End) {
        let _named = self.span.enter();
        let HeldLease { task_id, fence } = lease;
        let (End::Report(Report::Ack(ack)) | End::Cancelled(ack)) = end else {
            tracing::debug!(task_id, fence, "the run did not begin; its lease goes back");
            return;
        };
        let provider = ack.provider.as_deref();
        match ack.class {
            None => tracing::debug!(task_id, fence, provider, "the run is done"),
            Some(class) => {
                let class = class.as_str();
                tracing::info!(task_id, fence, provider, class, "the run failed");
            }
        }
    }

    fn ended(&mut self, lease: HeldLease, end: End, ctx: &mut Context<Self>) {
        self.log_end(lease, &end);
        if self.run.as_ref().is_some_and(|run| run.unwanted) {
            self.pool.conversations.forget(lease.task_id);
        }
        self.child.handled();
        self.on(Event::Ended(lease, end), ctx);
    }

    pub(super) fn cancel(&mut self, cause: Cause) {
        let Some(run) = &mut self.run else { return };
        let HeldLease { task_id, fence } = run.lease;
        let why = match cause {
            Cause::Asked => "somebody asked for it",
            Cause::Lost => "its lease is another's",
            Cause::Drain => "the session stops and the drain is over",
        };
        tracing::info!(task_id, fence, "the run is ended: {why}");
        run.unwanted = cause == Cause::Asked;
        if let Some(leash) = run.leash.take() {
            let _ = leash.send(cause);
        }
    }

    pub(super) fn drop_run(&mut self, ctx: &mut Context<Self>) {
        if let Some(run) = self.run.take() {
            ctx.cancel_future(run.beats);
        }
    }

    pub(super) fn beat(&mut self, lease: HeldLease, ctx: &mut Context<Self>) {
        let Some(line) = &self.line else { return };
        let beat = calls::beat(line.client(), lease, self.pool.options().lease)
            .instrument(self.span.clone());
        ctx.spawn(
            beat.into_actor(self)
                .map(move |pulse, session, ctx| session.on(Event::Beat(lease, pulse), ctx)),
        );
    }
}
