//! Starts and stops of single children.

use actix::{AsyncContext as _, Context};

use super::{AfterStop, PlanStep, PlanWait, Supervisor, cancel};
use crate::cell::{ChildStatus, order};
use crate::deadline::{KILL_TIMEOUT, grace};
use crate::spec::StopPolicy;

impl Supervisor {
    pub(super) fn start(&mut self, key: u64, ctx: &mut Context<Self>) {
        let Some(cell) = self.slots.cell(key) else {
            self.children.remove(&key);
            self.skip_step(PlanWait::Start(key));
            return;
        };
        let state = self.child_state(key);
        if state.live {
            self.skip_step(PlanWait::Start(key));
            return;
        }
        let old = state.timer.take();
        state.starts = cell.starts() + 1;
        state.live = true;
        cancel(old, ctx);
        if self.slots.launch(key, &ctx.address()) {
            // These orders may have been given while the notice of the last end was on its way.
            // They were meant for the old incarnation.
            cell.clear_orders(order::STOP | order::KILL | order::INJECT);
            cell.order(order::START);
        } else {
            self.lost(key, ctx);
        }
    }

    /// As `step_done`, for calls from inside `advance`, whose loop then continues by itself.
    pub(super) fn skip_step(&mut self, waiting: PlanWait) {
        if self.waiting == waiting {
            self.waiting = PlanWait::Nothing;
        }
    }

    /// Orders a child to stop. Returns false if it does not run.
    pub(super) fn stop(&mut self, key: u64, ctx: &mut Context<Self>) -> bool {
        let Some((cell, how)) = self.slots.with(key, |slot| (slot.cell.clone(), slot.stop)) else {
            return false;
        };
        let state = self.child_state(key);
        if state.stopping {
            return true;
        }
        let old = state.timer.take();
        if !state.live {
            cell.set_state(ChildStatus::Stopped);
            cancel(old, ctx);
            self.stopped(key, false, ctx);
            return false;
        }
        state.stopping = true;
        cancel(old, ctx);
        if how == StopPolicy::Kill && cell.children.get().is_none() {
            self.kill(key, ctx);
        } else {
            tracing::debug!(child = %cell.path(), "stopping");
            cell.order_stop();
            let timer = ctx.run_later(grace(&cell), move |supervisor, ctx| {
                tracing::warn!(child = %supervisor.name(key), "the child has not stopped within its grace, killing it");
                supervisor.kill(key, ctx);
            });
            self.child_state(key).timer = Some(timer);
        }
        true
    }

    pub(super) fn kill(&mut self, key: u64, ctx: &mut Context<Self>) {
        let Some(cell) = self.slots.cell(key) else {
            return;
        };
        cell.order(order::KILL);
        let timer = ctx.run_later(KILL_TIMEOUT, move |supervisor, ctx| {
            // The child's thread hangs in a handler. If it returns, the future finds the order and
            // ends; its notice is then ignored.
            tracing::error!(child = %supervisor.name(key), "the killed child does not return from its handler, continuing without it");
            supervisor.child_state(key).live = false;
            supervisor.stopped(key, false, ctx);
            supervisor.step_done(PlanWait::Stop(key), ctx);
        });
        self.child_state(key).timer = Some(timer);
    }

    /// Handles a child that has stopped as ordered.
    pub(super) fn stopped(&mut self, key: u64, final_end: bool, ctx: &mut Context<Self>) {
        let state = self.child_state(key);
        state.stopping = false;
        state.timer = None;
        let after_stop = std::mem::take(&mut state.after_stop);
        for reply in state.on_stop.drain(..) {
            let _ = reply.send(Ok(()));
        }
        match after_stop {
            _ if final_end => self.forget(key),
            AfterStop::Keep => {}
            AfterStop::Remove => self.forget(key),
            AfterStop::Start if self.closing.is_none() => self.start(key, ctx),
            AfterStop::Start => {}
        }
    }

    /// Removes a child that is not started again.
    pub(super) fn forget(&mut self, key: u64) {
        self.slots.remove(key);
        self.plan
            .retain(|step| *step != PlanStep::Start(key) && *step != PlanStep::Stop(key));
        self.children.remove(&key);
    }
}
