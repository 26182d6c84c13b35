//! Plans: what has to happen one after the other.

use std::time::Duration;

use actix::{AsyncContext as _, Context};

use super::{Step, Supervisor, Waiting, cancel};
use crate::exit::ExitReason;
use crate::machine::Restart;

impl Supervisor {
    /// Everything from the recipe, in order. What an incarnation before left running goes first.
    pub(super) fn plan_startup(&mut self) {
        let again = self.child.incarnation() > 0;
        let mut stops = Vec::new();
        for key in self.recipe.keys() {
            let Some((cell, restart)) = self.recipe.with(key, |s| (s.cell.clone(), s.restart))
            else {
                continue;
            };
            if again && restart == Restart::Temporary {
                self.recipe.remove(key);
                continue;
            }
            let desk = self.desks.entry(key).or_default();
            desk.starts = cell.starts();
            desk.live = cell.state().is_live();
            if desk.live {
                stops.push(Step::Stop(key));
            }
        }
        self.plan.extend(stops.into_iter().rev());
        self.plan
            .extend(self.recipe.keys().into_iter().map(Step::Start));
    }

    /// Stops the children that share the fate of `failed`, waits, and starts them again. What an
    /// older plan still had to start is started too.
    pub(super) fn plan_group(&mut self, failed: u64, after: Duration, ctx: &mut Context<Self>) {
        let keys = self.recipe.keys();
        let Some(at) = keys.iter().position(|key| *key == failed) else {
            return;
        };
        let affected = &keys[self.recipe.strategy.affected(at, keys.len())];
        let starts: Vec<Step> = keys
            .iter()
            .filter(|key| affected.contains(key) || self.plan.contains(&Step::Start(**key)))
            .filter(|key| {
                let restart = self.recipe.with(**key, |slot| slot.restart);
                restart.is_some_and(|restart| restart != Restart::Temporary)
            })
            .map(|key| Step::Start(*key))
            .collect();
        let stops = affected.iter().rev().filter(|key| **key != failed);
        self.plan = stops.map(|key| Step::Stop(*key)).collect();
        self.plan.push_back(Step::Wait(after));
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
        // A child that waits for its restart is not started any more while its siblings stop.
        for desk in self.desks.values_mut().filter(|desk| !desk.live) {
            cancel(desk.timer.take(), ctx);
        }
        self.plan = self
            .recipe
            .keys()
            .into_iter()
            .rev()
            .map(Step::Stop)
            .collect();
        self.wait_for_nothing(ctx);
        self.advance(ctx);
    }

    pub(super) fn wait_for_nothing(&mut self, ctx: &mut Context<Self>) {
        if let Waiting::Delay(timer) = std::mem::replace(&mut self.waiting, Waiting::Nothing) {
            ctx.cancel_future(timer);
        }
    }

    /// Goes on with the plan until a step takes time.
    pub(super) fn advance(&mut self, ctx: &mut Context<Self>) {
        while self.waiting == Waiting::Nothing {
            match self.plan.pop_front() {
                Some(Step::Stop(key)) => {
                    if self.stop(key, ctx) {
                        self.waiting = Waiting::Stop(key);
                    }
                }
                Some(Step::Start(key)) => {
                    self.waiting = Waiting::Start(key);
                    self.start(key, ctx);
                }
                Some(Step::Wait(delay)) if delay.is_zero() => {}
                Some(Step::Wait(delay)) => {
                    let timer = ctx.run_later(delay, |supervisor, ctx| {
                        supervisor.waiting = Waiting::Nothing;
                        supervisor.advance(ctx);
                    });
                    self.waiting = Waiting::Delay(timer);
                }
                None => {
                    self.finish(ctx);
                    return;
                }
            }
        }
    }

    /// The plan is done: if it was the last one, so is the supervisor.
    pub(super) fn finish(&mut self, ctx: &mut Context<Self>) {
        if let Some(reason) = self.closing.clone() {
            self.child.exit(ctx, reason);
        }
    }

    pub(super) fn step_done(&mut self, waiting: Waiting, ctx: &mut Context<Self>) {
        if self.waiting == waiting {
            self.waiting = Waiting::Nothing;
            self.advance(ctx);
        }
    }
}
