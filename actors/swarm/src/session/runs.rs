//! The session's side of a run: starts its invocation, sends heartbeats, cancels it.

use std::time::Duration;

use actix::prelude::*;
use kirosu_protocol::HeldLease;
use kirosu_protocol::task::{FailureClass, Task};
use tokio::sync::oneshot;
use tracing::Instrument;

use crate::account::AccountGate;
use crate::invocation::{FinishedRun, Invocation, RunRequest, report};
use crate::run_end::{CancelCause, LeaseReport, RunEnd, lease_of};
use crate::session::machine::Event;
use crate::session::{Run, Session, calls};

impl Session {
    pub(super) fn start(&mut self, task: Task, ctx: &mut Context<Self>) {
        let lease = lease_of(&task);
        let Some(link) = self.link.clone() else {
            return;
        };
        let HeldLease { task_id, fence } = lease;
        // A child of the session's span, which is entered here.
        let span = tracing::error_span!("run", task_id, fence);
        span.in_scope(|| tracing::debug!("runs"));
        let (cancel, cancel_requested) = oneshot::channel();
        let (ended, end) = oneshot::channel();
        let gate = AccountGate::new(self.pool.swarm.accounts.clone(), self.pass.take());
        let mut work = Some(RunRequest {
            pool: self.pool.clone(),
            session: self.index,
            task,
            gate: gate.clone(),
            link,
            cancel_requested,
            ended,
            span,
        });
        let name = format!("{}.{}", lease.task_id, lease.fence);
        let spawned = self
            .pool
            .supervisors
            .invocations
            .spawn(name, move |child| Invocation::new(child, work.take()));
        let every = (self.pool.options().lease / 3).max(Duration::from_millis(100));
        let heartbeats =
            ctx.run_interval(every, |session, ctx| session.on(Event::HeartbeatDue, ctx));
        self.folder = None;
        self.run = Some(Run {
            lease,
            cancel: Some(cancel),
            heartbeats,
            unwanted: false,
            gate,
            waits: 0,
        });
        self.pool.set_busy(self.index, true);
        if let Err(error) = spawned {
            tracing::warn!(task_id, fence, %error, "the run was not started; its lease goes back");
        }
        let not_started = spawned.is_err();
        ctx.spawn(end.into_actor(self).map(move |ended, session, ctx| {
            let end = match ended {
                Ok(FinishedRun { end, folder }) => {
                    session.folder = folder;
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

    /// Logs the end without the result or the error's text, which may contain parts of the prompt.
    fn log_end(&self, lease: HeldLease, end: &RunEnd) {
        let _named = self.span.enter();
        let HeldLease { task_id, fence } = lease;
        let (RunEnd::Report(LeaseReport::Ack(ack)) | RunEnd::Cancelled(ack)) = end else {
            tracing::debug!(task_id, fence, "the run did not begin; its lease goes back");
            return;
        };
        let provider = ack.provider.as_deref();
        match ack.class {
            None => tracing::debug!(task_id, fence, provider, "the run is done"),
            Some(FailureClass::Parked) => {
                tracing::debug!(
                    task_id,
                    fence,
                    provider,
                    "the run waits for children of its task"
                );
            }
            Some(class) => {
                let class = class.as_str();
                tracing::info!(task_id, fence, provider, class, "the run failed");
            }
        }
    }

    fn ended(&mut self, lease: HeldLease, end: RunEnd, ctx: &mut Context<Self>) {
        self.log_end(lease, &end);
        if self.run.as_ref().is_some_and(|run| run.unwanted) {
            self.pool.conversations.forget(lease.task_id);
        }
        self.child.handled();
        self.on(Event::Ended(lease, end), ctx);
    }

    pub(super) fn cancel(&mut self, cause: CancelCause) {
        let Some(run) = &mut self.run else { return };
        let HeldLease { task_id, fence } = run.lease;
        let why = match cause {
            CancelCause::Requested => "its task was cancelled",
            CancelCause::Lost => "another session has its lease",
            CancelCause::Drain => "the session stops and the drain is over",
        };
        tracing::info!(task_id, fence, "the run is ended: {why}");
        run.unwanted = cause == CancelCause::Requested;
        if let Some(cancel) = run.cancel.take() {
            let _ = cancel.send(cause);
        }
    }

    /// The agent of a run has begun or ended a wait for tasks below its own. While it waits for any, the pool has another session,
    /// and the account capacity for another run: else the tasks for which it waits might never run.
    pub(super) fn run_waits(&mut self, lease: HeldLease, waiting: bool) {
        let run = self.run.as_ref().filter(|run| run.lease == lease);
        let Some(waits) = run.map(|run| run.waits) else {
            return;
        };
        self.set_waits(match waiting {
            true => waits + 1,
            false => waits.saturating_sub(1),
        });
    }

    /// The waits of which the hub knows are over.
    pub(super) fn forget_waits(&mut self) {
        self.set_waits(0);
    }

    fn set_waits(&mut self, waits: u32) {
        let Some(run) = &mut self.run else { return };
        let before = std::mem::replace(&mut run.waits, waits) > 0;
        let now = waits > 0;
        if before != now {
            run.gate.set_waiting(now);
            self.pool.replace_waiting(now);
        }
    }

    pub(super) fn drop_run(&mut self, ctx: &mut Context<Self>) {
        if let Some(run) = self.run.take() {
            ctx.cancel_future(run.heartbeats);
            self.pool.set_busy(self.index, false);
            match run.waits {
                0 => self.pool.end_idle_replacements(self.index),
                _ => self.pool.replace_waiting(false),
            }
        }
    }

    pub(super) fn heartbeat(&mut self, lease: HeldLease, ctx: &mut Context<Self>) {
        let Some(link) = &self.link else { return };
        let heartbeat = calls::heartbeat(link.client(), lease, self.pool.options().lease)
            .instrument(self.span.clone());
        ctx.spawn(
            heartbeat
                .into_actor(self)
                .map(move |pulse, session, ctx| session.on(Event::Heartbeat(lease, pulse), ctx)),
        );
    }
}
