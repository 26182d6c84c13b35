//! What a session asks of the hub, and what it tells it, while its machine waits.

use std::time::Duration;

use actix::prelude::*;
use kirosu_protocol::client::CallError;
use kirosu_protocol::task::Task;
use kirosu_protocol::verbs::hello::HeldLease;
use kirosu_protocol::verbs::lease::LeaseParams;
use tracing::Instrument;

use crate::account::LeaseTurn;
use crate::invocation::job;
use crate::pool::slot::{NOT_STARTED_DELAY, TaskSlot};
use crate::run_end::LeaseReport;
use crate::session::machine::{ReportResult, SessionEvent};
use crate::session::{REFUSED, Session, calls};
use crate::workspace;

/// Pause after a lease without an answer; the client itself waits for the connection.
const SHORT_PAUSE: Duration = Duration::from_millis(100);

impl Session {
    /// Asks for a turn: no lease is held for an account that is full or parked, and none where the pool can start no
    /// more runs; then the pool says when it is tried again.
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
            self.on(SessionEvent::Turn(turn), ctx);
        }
    }

    pub(super) fn lease(&mut self, turn: LeaseTurn, ctx: &mut Context<Self>) {
        let Some(link) = &self.link else { return };
        let mut params = calls::lease_params(&self.pool.options(), &self.worker_id);
        if turn == LeaseTurn::Quick {
            params.wait_ms = 0;
        }
        let client = link.client();
        let asked = async move {
            let outcome = client.request::<LeaseParams>(&params).await;
            if let Err(CallError::Timeout { .. }) = outcome {
                client.reconnect();
            }
            outcome
        };
        ctx.spawn(asked.into_actor(self).map(|outcome, session, ctx| {
            let event = match outcome {
                Ok(answer) => {
                    session.refused.reset();
                    session.refusal = None;
                    session.granted(answer.tasks)
                }
                Err(error) => session.lease_failed(&error),
            };
            session.on(event, ctx);
            // What did not become a run gives its place on the lane back.
            session.pass = None;
        }));
    }

    /// Takes the place on the lane for what was leased.
    fn granted(&mut self, tasks: Vec<Task>) -> SessionEvent {
        let Some(task) = tasks.first() else {
            return SessionEvent::Leased(tasks);
        };
        if let Some(Err(why)) = self.slot.as_mut().map(TaskSlot::run) {
            return SessionEvent::NoRoom(tasks, why, NOT_STARTED_DELAY);
        }
        // Another provider than the pool's, or none at all: the run sees to it.
        let Some(providers) = job::routes_of(&self.pool, task) else {
            return SessionEvent::Leased(tasks);
        };
        match self.waiter.begin(&providers) {
            Ok(pass) => {
                self.queued = false;
                self.pass = Some(pass);
                SessionEvent::Leased(tasks)
            }
            Err(why) => SessionEvent::NoRoom(tasks, why, Duration::ZERO),
        }
    }

    fn lease_failed(&mut self, error: &CallError) -> SessionEvent {
        let span = self.span.clone();
        let _named = span.enter();
        let refusal = error.refusal().map(|refusal| refusal.message.clone());
        self.pause = match &refusal {
            Some(_) => self.refused.next().unwrap_or(REFUSED.max),
            None => SHORT_PAUSE,
        };
        match refusal {
            Some(why) if self.refusal.as_ref() != Some(&why) => {
                tracing::warn!("the hub gives no lease: {why}; asking again");
                self.refusal = Some(why);
            }
            Some(_) => {}
            None => {
                tracing::debug!(%error, "a lease has no answer");
            }
        }
        SessionEvent::LeaseFailed
    }

    pub(super) fn report(
        &mut self,
        lease: HeldLease,
        report: LeaseReport,
        ctx: &mut Context<Self>,
    ) {
        let Some(link) = &self.link else { return };
        let told = calls::tell(link.client(), lease, report).instrument(self.span.clone());
        ctx.spawn(
            told.into_actor(self)
                .map(move |(told, done), session, ctx| {
                    if told != ReportResult::Unknown {
                        session.report_delays.reset();
                    }
                    if done && told == ReportResult::Answered {
                        session.discard();
                    }
                    session.on(SessionEvent::Reported(lease, told), ctx);
                }),
        );
    }

    /// The hub has the result: the folder that was made for the task is of no more use.
    fn discard(&mut self) {
        if let Some(place) = self.place.take().filter(|place| place.made) {
            tokio::task::spawn_blocking(move || workspace::discard(&place));
        }
    }
}
