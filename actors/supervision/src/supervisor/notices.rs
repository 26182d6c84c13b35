//! Handling of the children's notices.

use std::time::Duration;

use actix::{AsyncContext as _, Context};

use super::{ChildEvent, ChildNotice, PlanStep, PlanWait, Supervisor, cancel};
use crate::event::ChildChange;
use crate::exit::ExitReason;
use crate::handle::SupervisorError;
use crate::machine::{ChildExit, RestartDecision, Strategy};

impl Supervisor {
    pub(super) fn on_notice(&mut self, notice: ChildNotice, ctx: &mut Context<Self>) {
        let ChildNotice { key, starts, event } = notice;
        let Some(state) = self.children.get_mut(&key) else {
            return;
        };
        if let ChildEvent::Gone = event {
            self.lost(key, ctx);
            return;
        }
        // A notice of an older incarnation may arrive after the supervisor gave up waiting for it.
        if state.starts != starts || !state.live {
            return;
        }
        match event {
            ChildEvent::Started => {
                for reply in state.on_start.drain(..) {
                    let _ = reply.send(Ok(()));
                }
                self.report_start(key);
                self.step_done(PlanWait::Start(key), ctx);
            }
            ChildEvent::Ended { reason, final_end } => {
                state.live = false;
                cancel(state.timer.take(), ctx);
                self.ended(key, reason, final_end, ctx);
            }
            ChildEvent::Gone => {}
        }
    }

    pub(super) fn report_start(&self, key: u64) {
        if let Some(cell) = self.slots.cell(key) {
            let incarnation = cell.incarnation();
            match incarnation {
                0 => tracing::debug!(child = %cell.path(), "child started"),
                _ => tracing::info!(child = %cell.path(), incarnation, "child restarted"),
            }
            cell.publish(|| ChildChange::Started { incarnation });
        }
    }

    pub(super) fn ended(
        &mut self,
        key: u64,
        reason: ExitReason,
        final_end: bool,
        ctx: &mut Context<Self>,
    ) {
        let (ordered, not_started) = {
            let state = self.child_state(key);
            (state.stopping, std::mem::take(&mut state.on_start))
        };
        // A child that the plan is about to stop has only ended before its turn.
        let ordered = ordered || self.closing.is_some() || self.plan.contains(&PlanStep::Stop(key));
        if ordered {
            self.report_end(key, &reason, None);
            self.child_state(key).on_start.extend(not_started);
            self.plan.retain(|step| *step != PlanStep::Stop(key));
            self.stopped(key, final_end, ctx);
        } else {
            for reply in not_started {
                let _ = reply.send(Err(SupervisorError::NotStarted(reason.clone())));
            }
            self.decide(key, &reason, final_end, ctx);
        }
        self.step_done(PlanWait::Stop(key), ctx);
        self.step_done(PlanWait::Start(key), ctx);
    }

    /// Decides on a child that ended without an order.
    pub(super) fn decide(
        &mut self,
        key: u64,
        reason: &ExitReason,
        final_end: bool,
        ctx: &mut Context<Self>,
    ) {
        if final_end {
            self.report_end(key, reason, None);
            self.forget(key);
            return;
        }
        let Some((cell, restart, policy)) = self
            .slots
            .with(key, |slot| (slot.cell.clone(), slot.restart, slot.backoff))
        else {
            return;
        };
        let path = cell.path();
        let ended = ChildExit {
            child: &path,
            restart,
            reason,
            up_for: cell.up_for(),
            healthy_after: policy.healthy_after,
        };
        let now = self.child.clock().now();
        let state = self.children.entry(key).or_default();
        let delays = state.delays.get_or_insert_with(|| policy.delays());
        match self.machine.on_exit(&ended, delays, now) {
            RestartDecision::Leave => self.report_end(key, reason, None),
            RestartDecision::Restart { after } => {
                cell.set_backing_off(after);
                self.report_end(key, reason, Some(after));
                self.restart(key, after, ctx);
            }
            RestartDecision::GiveUp(why) => {
                self.report_end(key, reason, None);
                self.shut_down(ExitReason::GaveUp(why), ctx);
            }
        }
    }

    pub(super) fn restart(&mut self, key: u64, after: Duration, ctx: &mut Context<Self>) {
        if self.slots.strategy != Strategy::OneForOne {
            self.plan_group(key, after, ctx);
        } else if after.is_zero() {
            self.start(key, ctx);
        } else {
            let timer = ctx.run_later(after, move |supervisor, ctx| {
                supervisor.child_state(key).timer = None;
                supervisor.start(key, ctx);
            });
            self.child_state(key).timer = Some(timer);
        }
    }

    pub(super) fn report_end(&self, key: u64, reason: &ExitReason, after: Option<Duration>) {
        let Some(cell) = self.slots.cell(key) else {
            return;
        };
        let child = cell.path();
        match after {
            Some(after) => tracing::warn!(%child, %reason, ?after, "child ended, restarting it"),
            None if reason.is_abnormal() => tracing::warn!(%child, %reason, "child ended"),
            None => tracing::debug!(%child, %reason, "child ended"),
        }
        cell.publish(|| ChildChange::Exited {
            reason: reason.clone(),
            restart_in_ms: after.map(crate::clock::millis),
        });
    }

    /// Handles a child whose thread has ended, and the child's future with it. The child cannot be
    /// restarted, so the supervisor gives up and leaves the decision to its own supervisor.
    pub(super) fn lost(&mut self, key: u64, ctx: &mut Context<Self>) {
        let child = self.name(key);
        let old = self.child_state(key).timer.take();
        cancel(old, ctx);
        let ordered = self.child_state(key).stopping || self.closing.is_some();
        self.child_state(key).live = false;
        self.stopped(key, true, ctx);
        if !ordered {
            let why = format!("the thread of {child} has ended, and the child with it");
            self.shut_down(ExitReason::GaveUp(why), ctx);
        }
        self.step_done(PlanWait::Stop(key), ctx);
        self.step_done(PlanWait::Start(key), ctx);
    }
}
