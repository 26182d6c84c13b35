//! Plans: starts, stops and delays that happen one after the other.

use std::time::Duration;

use actix::{AsyncContext as _, Context};

use super::{PlanStep, PlanWait, Supervisor, cancel};
use crate::exit::ExitReason;
use crate::machine::Restart;

impl Supervisor {
    /// Plans the start of all children in order, after the stop of children that the previous
    /// incarnation has left running.
    pub(super) fn plan_startup(&mut self) {
        let restarted = self.child.incarnation() > 0;
        let mut stops = Vec::new();
        for key in self.slots.keys() {
            let Some((cell, restart)) = self.slots.with(key, |s| (s.cell.clone(), s.restart))
            else {
                continue;
            };
            if restarted && restart == Restart::Temporary {
                self.slots.remove(key);
                continue;
            }
            let state = self.children.entry(key).or_default();
            state.starts = cell.starts();
            state.live = cell.state().is_live();
            if state.live {
                stops.push(PlanStep::Stop(key));
            }
        }
        self.plan.extend(stops.into_iter().rev());
        self.plan
            .extend(self.slots.keys().into_iter().map(PlanStep::Start));
    }

    /// Plans the stop of the children that the strategy restarts together with `failed`, the delay,
    /// and the start of all of them. The pending starts of the old plan are kept.
    pub(super) fn plan_group(&mut self, failed: u64, after: Duration, ctx: &mut Context<Self>) {
        let keys = self.slots.keys();
        let Some(at) = keys.iter().position(|key| *key == failed) else {
            return;
        };
        let affected = &keys[self.slots.strategy.affected(at, keys.len())];
        let starts: Vec<PlanStep> = keys
            .iter()
            .filter(|key| affected.contains(key) || self.plan.contains(&PlanStep::Start(**key)))
            .filter(|key| {
                let restart = self.slots.with(**key, |slot| slot.restart);
                restart.is_some_and(|restart| restart != Restart::Temporary)
            })
            .map(|key| PlanStep::Start(*key))
            .collect();
        let stops = affected.iter().rev().filter(|key| **key != failed);
        self.plan = stops.map(|key| PlanStep::Stop(*key)).collect();
        self.plan.push_back(PlanStep::Wait(after));
        self.plan.extend(starts);
        self.wait_for_nothing(ctx);
        self.advance(ctx);
    }

    /// Stops all children in reverse order, then ends with `reason`.
    pub(super) fn shut_down(&mut self, reason: ExitReason, ctx: &mut Context<Self>) {
        if self.closing.is_some() {
            return;
        }
        tracing::debug!(supervisor = %self.child.path(), %reason, "stopping all children");
        self.closing = Some(reason);
        // Without this, a child could be restarted while its siblings stop.
        for state in self.children.values_mut().filter(|state| !state.live) {
            cancel(state.timer.take(), ctx);
        }
        self.plan = self
            .slots
            .keys()
            .into_iter()
            .rev()
            .map(PlanStep::Stop)
            .collect();
        self.wait_for_nothing(ctx);
        self.advance(ctx);
    }

    pub(super) fn wait_for_nothing(&mut self, ctx: &mut Context<Self>) {
        if let PlanWait::Delay(timer) = std::mem::replace(&mut self.waiting, PlanWait::Nothing) {
            ctx.cancel_future(timer);
        }
    }

    /// Executes steps of the plan until one of them has to be waited for.
    pub(super) fn advance(&mut self, ctx: &mut Context<Self>) {
        while self.waiting == PlanWait::Nothing {
            match self.plan.pop_front() {
                Some(PlanStep::Stop(key)) => {
                    if self.stop(key, ctx) {
                        self.waiting = PlanWait::Stop(key);
                    }
                }
                Some(PlanStep::Start(key)) => {
                    self.waiting = PlanWait::Start(key);
                    self.start(key, ctx);
                }
                Some(PlanStep::Wait(delay)) if delay.is_zero() => {}
                Some(PlanStep::Wait(delay)) => {
                    let timer = ctx.run_later(delay, |supervisor, ctx| {
                        supervisor.waiting = PlanWait::Nothing;
                        supervisor.advance(ctx);
                    });
                    self.waiting = PlanWait::Delay(timer);
                }
                None => {
                    self.finish(ctx);
                    return;
                }
            }
        }
    }

    /// Ends the supervisor if the completed plan was that of the shutdown.
    pub(super) fn finish(&mut self, ctx: &mut Context<Self>) {
        if let Some(reason) = self.closing.clone() {
            self.child.exit(ctx, reason);
        }
    }

    pub(super) fn step_done(&mut self, waiting: PlanWait, ctx: &mut Context<Self>) {
        if self.waiting == waiting {
            self.waiting = PlanWait::Nothing;
            self.advance(ctx);
        }
    }
}
