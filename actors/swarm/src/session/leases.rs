//! The session's turns, leases and reports.

use std::time::Duration;

use actix::prelude::*;
use kirosu_protocol::client::CallError;
use kirosu_protocol::task::Task;
use kirosu_protocol::{HeldLease, LeaseParams};
use tracing::Instrument;

use crate::account::LeaseTurn;
use crate::invocation::job;
use crate::pool::slot::{NOT_STARTED_DELAY, TaskSlot};
use crate::run_end::LeaseReport;
use crate::session::machine::{Event, ReportResult};
use crate::session::{REFUSED, Session, calls};
use crate::workspace;

/// Pause after a lease request without an answer; the client itself waits for the connection.
const SHORT_PAUSE: Duration = Duration::from_millis(100);

impl Session {
    /// Requests a turn. No lease is held for an account that is full or parked, nor while the pool can start no more
    /// runs; then the pool signals when to try again.
    pub(super) fn queue(&mut self, ctx: &mut Context<Self>) {
        if self.slot.is_none() {
            self.slot = self.pool.slot();
        }
        if self.slot.is_none() {
            return;
        }
        self.queued = true;
        let accounts = self.pool.accounts();
        if let Some(turn) = self.waiter.request_turn(&accounts) {
            self.on(Event::Turn(turn), ctx);
        }
    }

    pub(super) fn lease(&mut self, turn: LeaseTurn, ctx: &mut Context<Self>) {
        let Some(link) = &self.link else { return };
        let mut params = calls::lease_params(&self.pool.options(), &self.worker_id);
        if turn == LeaseTurn::Quick {
            params.wait_ms = 0;
        }
        let client = link.client();
        let request = async move {
            let outcome = client.request::<LeaseParams>(&params).await;
            // After an answer that cannot be read, `hello` names the leases that it granted.
            if let Err(CallError::Timeout { .. } | CallError::BadAnswer { .. }) = outcome {
                client.reconnect();
            }
            outcome
        };
        ctx.spawn(request.into_actor(self).map(|outcome, session, ctx| {
            let event = match outcome {
                Ok(answer) => {
                    session.refused.reset();
                    session.refusal = None;
                    session.granted(answer.tasks)
                }
                Err(error) => session.lease_failed(&error),
            };
            session.on(event, ctx);
            // A pass that did not become a run returns its capacity.
            session.pass = None;
        }));
    }

    /// Takes capacity on the account for the leased task.
    fn granted(&mut self, tasks: Vec<Task>) -> Event {
        let Some(task) = tasks.first() else {
            return Event::Leased(tasks);
        };
        if let Some(Err(why)) = self.slot.as_mut().map(TaskSlot::run) {
            return Event::NoRoom(tasks, why, NOT_STARTED_DELAY);
        }
        // For another provider than the pool's, the run itself waits for capacity.
        let Some(providers) = job::routes_of(&self.pool, task) else {
            return Event::Leased(tasks);
        };
        match self.waiter.begin(&providers) {
            Ok(pass) => {
                self.queued = false;
                self.pass = Some(pass);
                Event::Leased(tasks)
            }
            Err(why) => Event::NoRoom(tasks, why, Duration::ZERO),
        }
    }

    fn lease_failed(&mut self, error: &CallError) -> Event {
        let span = self.span.clone();
        let _named = span.enter();
        let refusal = match error {
            CallError::BadAnswer { .. } => Some(error.to_string()),
            error => error.refusal().map(|refusal| refusal.message.clone()),
        };
        self.pause = match &refusal {
            Some(_) => self.refused.next().unwrap_or(REFUSED.max),
            None => SHORT_PAUSE,
        };
        match refusal {
            Some(why) if self.refusal.as_ref() != Some(&why) => {
                tracing::warn!("the session cannot lease a task, and tries again: {why}");
                self.refusal = Some(why);
            }
            Some(_) => {}
            None => tracing::debug!(%error, "a lease has no answer"),
        }
        match error {
            CallError::BadAnswer { .. } => Event::LeaseUnreadable,
            _ => Event::LeaseFailed,
        }
    }

    pub(super) fn report(
        &mut self,
        lease: HeldLease,
        report: LeaseReport,
        ctx: &mut Context<Self>,
    ) {
        let Some(link) = &self.link else { return };
        let result = calls::send_report(link.client(), lease, report).instrument(self.span.clone());
        ctx.spawn(
            result
                .into_actor(self)
                .map(move |(result, done), session, ctx| {
                    if result != ReportResult::Unknown {
                        session.report_delays.reset();
                    }
                    if done && result == ReportResult::Answered {
                        session.discard();
                    }
                    session.on(Event::Reported(lease, result), ctx);
                }),
        );
    }

    /// Removes the folder that was made for the task, as the hub has its result.
    fn discard(&mut self) {
        if let Some(folder) = self.folder.take().filter(|folder| folder.made) {
            tokio::task::spawn_blocking(move || workspace::discard(&folder));
        }
    }
}
