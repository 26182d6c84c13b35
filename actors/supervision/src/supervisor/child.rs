//! Starting and stopping single children.

use actix::{AsyncContext as _, Context};

use super::{Step, Supervisor, Then, Waiting, cancel};
use crate::cell::{State, order};
use crate::deadline::{SLACK, grace};
use crate::spec::Stop;

impl Supervisor {
    pub(super) fn start(&mut self, key: u64, ctx: &mut Context<Self>) {
        let Some(cell) = self.recipe.cell(key) else {
            self.desks.remove(&key);
            self.step_over(Waiting::Start(key));
            return;
        };
        let desk = self.desk(key);
        if desk.live {
            self.step_over(Waiting::Start(key));
            return;
        }
        let old = desk.timer.take();
        desk.starts = cell.starts() + 1;
        desk.live = true;
        cancel(old, ctx);
        if self.recipe.launch(key, &ctx.address()) {
            // An order that crossed the news of the last end was not meant for what starts now.
            cell.clear(order::STOP | order::KILL | order::INJECT);
            cell.order(order::START);
        } else {
            self.lost(key, ctx);
        }
    }

    /// As `step_done`, from inside `advance`, whose loop then goes on by itself.
    pub(super) fn step_over(&mut self, waiting: Waiting) {
        if self.waiting == waiting {
            self.waiting = Waiting::Nothing;
        }
    }

    /// Orders a stop. False if there was nothing to wait for.
    pub(super) fn stop(&mut self, key: u64, ctx: &mut Context<Self>) -> bool {
        let Some((cell, how)) = self.recipe.with(key, |slot| (slot.cell.clone(), slot.stop)) else {
            return false;
        };
        let desk = self.desk(key);
        if desk.stopping {
            return true;
        }
        let old = desk.timer.take();
        if !desk.live {
            cell.set_state(State::Stopped);
            cancel(old, ctx);
            self.stopped(key, false, ctx);
            return false;
        }
        desk.stopping = true;
        cancel(old, ctx);
        if how == Stop::Kill && cell.branch.get().is_none() {
            self.kill(key, ctx);
        } else {
            tracing::debug!(child = %cell.path(), "stopping");
            cell.order_stop();
            let timer = ctx.run_later(grace(&cell), move |supervisor, ctx| {
                tracing::warn!(child = %supervisor.name(key), "has not stopped within its grace: killing it");
                supervisor.kill(key, ctx);
            });
            self.desk(key).timer = Some(timer);
        }
        true
    }

    pub(super) fn kill(&mut self, key: u64, ctx: &mut Context<Self>) {
        let Some(cell) = self.recipe.cell(key) else {
            return;
        };
        cell.order(order::KILL);
        let timer = ctx.run_later(SLACK, move |supervisor, ctx| {
            tracing::error!(child = %supervisor.name(key), "does not come back to be dropped: going on without it");
            supervisor.desk(key).live = false;
            supervisor.stopped(key, false, ctx);
            supervisor.step_done(Waiting::Stop(key), ctx);
        });
        self.desk(key).timer = Some(timer);
    }

    /// A child has stopped as ordered.
    pub(super) fn stopped(&mut self, key: u64, left: bool, ctx: &mut Context<Self>) {
        let desk = self.desk(key);
        desk.stopping = false;
        desk.timer = None;
        let then = std::mem::take(&mut desk.then);
        for reply in desk.on_stop.drain(..) {
            let _ = reply.send(Ok(()));
        }
        match then {
            _ if left => self.forget(key),
            Then::Rest => {}
            Then::Remove => self.forget(key),
            Then::Start if self.closing.is_none() => self.start(key, ctx),
            Then::Start => {}
        }
    }

    /// The place is empty for good.
    pub(super) fn forget(&mut self, key: u64) {
        self.recipe.remove(key);
        self.plan
            .retain(|step| *step != Step::Start(key) && *step != Step::Stop(key));
        self.desks.remove(&key);
    }
}
