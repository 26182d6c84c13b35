//! What a session asks of the hub, and what it tells it, while its machine waits.

use std::time::Duration;

use actix::prelude::*;
use kirosu_protocol::client::CallError;
use kirosu_protocol::task::Task;
use kirosu_protocol::verbs::hello::HeldLease;
use kirosu_protocol::verbs::lease::LeaseParams;
use tracing::Instrument;

use crate::invocation::job;
use crate::lane::Turn;
use crate::pool::leave::{Leave, NOT_STARTED_DELAY};
use crate::session::machine::{Event, Report, Told};
use crate::session::{REFUSED, Session, calls};
use crate::workspace;

/// Pause after a lease without an answer; the client itself waits for the connection.
const SHORT_PAUSE: Duration = Duration::from_millis(100);

impl Session {
    /// Asks for a turn: no lease is held for an account that is full or parked, and none where the pool can start no
    /// more runs; then the pool says when it is tried again.
    pub(super) fn queue(&mut self, ctx: &mut Context<Self>) {
        if self.leave.is_none() {
            self.leave = self.pool.leave();
        }
        if self.leave.is_none() {
            return;
        }
        self.queued = true;
        let lanes = self.pool.lanes();
        if let Some(turn) = self.seat.ask(&lanes) {
            self.on(Event::Turn(turn), ctx);
        }
    }

    pub(super) fn lease(&mut self, turn: Turn, ctx: &mut Context<Self>) {
        let Some(line) = &self.line else { return };
        let mut ask = calls::lease_ask(&self.pool.options(), &self.worker_id);
        if turn == Turn::Quick {
            ask.wait_ms = 0;
        }
        let client = line.client();
        let asked = async move {
            let outcome = client.request::<LeaseParams>(&ask).await;
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
    fn granted(&mut self, tasks: Vec<Task>) -> Event {
        let Some(task) = tasks.first() else {
            return Event::Leased(tasks);
        };
        if let Some(Err(why)) = self.leave.as_mut().map(Leave::run) {
            return Event::NoRoom(tasks, why, NOT_STARTED_DELAY);
        }
        // Another provider than the pool's, or none at all: the run sees to it.
        let Some(providers) = job::routes_of(&self.pool, task) else {
            return Event::Leased(tasks);
        };
        match self.seat.begin(&providers) {
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
        let said = error.refusal().map(|refusal| refusal.message.clone());
        self.pause = match &said {
            Some(_) => self.refused.next().unwrap_or(REFUSED.max),
            None => SHORT_PAUSE,
        };
        match said {
            Some(why) if self.refusal.as_ref() != Some(&why) => {
                tracing::warn!("the hub gives no lease: {why}; asking again");
                self.refusal = Some(why);
            }
            Some(_) => {}
            None => {
                tracing::debug!(%error, "a lease has no answer");
            }
        }
        Event::LeaseFailed
    }

    pub(super) fn report(&mut self, lease: HeldLease, report: Report, ctx: &mut Context<Self>) {
        let Some(line) = &self.line else { return };
        let told = calls::tell(line.client(), lease, report).instrument(self.span.clone());
        ctx.spawn(
            told.into_actor(self)
                .map(move |(told, done), session, ctx| {
                    if told != Told::Unknown {
                        session.retells.reset();
                    }
                    if done && told == Told::Answered {
                        session.discard();
                    }
                    session.on(Event::Told(lease, told), ctx);
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
