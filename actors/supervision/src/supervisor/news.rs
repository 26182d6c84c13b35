//! What children tell, and what follows from it.

use std::time::Duration;

use actix::{AsyncContext as _, Context};

use super::{Notice, Step, Supervisor, Waiting, What, cancel};
use crate::exit::ExitReason;
use crate::handle::SupervisorError;
use crate::machine::{Ended, Strategy, Verdict};
use crate::tree::Change;

impl Supervisor {
    pub(super) fn hear(&mut self, notice: Notice, ctx: &mut Context<Self>) {
        let Notice { key, starts, what } = notice;
        let Some(desk) = self.desks.get_mut(&key) else {
            return;
        };
        if let What::Gone = what {
            self.lost(key, ctx);
            return;
        }
        if desk.starts != starts || !desk.live {
            return;
        }
        match what {
            What::Started => {
                for reply in desk.on_start.drain(..) {
                    let _ = reply.send(Ok(()));
                }
                self.tell_start(key);
                self.step_done(Waiting::Start(key), ctx);
            }
            What::Ended { reason, left } => {
                desk.live = false;
                cancel(desk.timer.take(), ctx);
                self.ended(key, reason, left, ctx);
            }
            What::Gone => {}
        }
    }

    pub(super) fn tell_start(&self, key: u64) {
        if let Some(cell) = self.recipe.cell(key) {
            let incarnation = cell.incarnation();
            match incarnation {
                0 => tracing::debug!(child = %cell.path(), "started"),
                _ => tracing::info!(child = %cell.path(), incarnation, "restarted"),
            }
            cell.publish(|| Change::Started { incarnation });
        }
    }

    pub(super) fn ended(
        &mut self,
        key: u64,
        reason: ExitReason,
        left: bool,
        ctx: &mut Context<Self>,
    ) {
        let (ordered, not_started) = {
            let desk = self.desk(key);
            (desk.stopping, std::mem::take(&mut desk.on_start))
        };
        let ordered = ordered || self.closing.is_some() || self.plan.contains(&Step::Stop(key));
        if ordered {
            self.tell_end(key, &reason, None);
            self.desk(key).on_start.extend(not_started);
            self.plan.retain(|step| *step != Step::Stop(key));
            self.stopped(key, left, ctx);
        } else {
            for reply in not_started {
                let _ = reply.send(Err(SupervisorError::NotStarted(reason.clone())));
            }
            self.judge(key, &reason, left, ctx);
        }
        self.step_done(Waiting::Stop(key), ctx);
        self.step_done(Waiting::Start(key), ctx);
    }

    /// A child ended without having been told to.
    pub(super) fn judge(
        &mut self,
        key: u64,
        reason: &ExitReason,
        left: bool,
        ctx: &mut Context<Self>,
    ) {
        if left {
            self.tell_end(key, reason, None);
            self.forget(key);
            return;
        }
        let Some((cell, restart, policy)) = self
            .recipe
            .with(key, |slot| (slot.cell.clone(), slot.restart, slot.backoff))
        else {
            return;
        };
        let path = cell.path();
        let ended = Ended {
            child: &path,
            restart,
            reason,
            up_for: cell.up_for(),
            healthy_after: policy.healthy_after,
        };
        let now = self.child.clock().now();
        let desk = self.desks.entry(key).or_default();
        let delays = desk.delays.get_or_insert_with(|| policy.delays());
        match self.machine.on_exit(&ended, delays, now) {
            Verdict::Leave => self.tell_end(key, reason, None),
            Verdict::Restart { after } => {
                cell.set_backing_off(after);
                self.tell_end(key, reason, Some(after));
                self.restart(key, after, ctx);
            }
            Verdict::GiveUp(why) => {
                self.tell_end(key, reason, None);
                self.shut_down(ExitReason::GaveUp(why), ctx);
            }
        }
    }

    pub(super) fn restart(&mut self, key: u64, after: Duration, ctx: &mut Context<Self>) {
        if self.recipe.strategy != Strategy::OneForOne {
            self.plan_group(key, after, ctx);
        } else if after.is_zero() {
            self.start(key, ctx);
        } else {
            let timer = ctx.run_later(after, move |supervisor, ctx| {
                supervisor.desk(key).timer = None;
                supervisor.start(key, ctx);
            });
            self.desk(key).timer = Some(timer);
        }
    }

    pub(super) fn tell_end(&self, key: u64, reason: &ExitReason, after: Option<Duration>) {
        let Some(cell) = self.recipe.cell(key) else {
            return;
        };
        let child = cell.path();
        match after {
            Some(after) => tracing::warn!(%child, %reason, ?after, "ended, restarting"),
            None if reason.is_abnormal() => tracing::warn!(%child, %reason, "ended"),
            None => tracing::debug!(%child, %reason, "ended"),
        }
        cell.publish(|| Change::Exited {
            reason: reason.clone(),
            restart_in_ms: after.map(crate::clock::millis),
        });
    }

    /// The child's future is gone with its thread: nobody can restart it, so the supervisor ends
    /// and leaves the decision to its parent.
    pub(super) fn lost(&mut self, key: u64, ctx: &mut Context<Self>) {
        let child = self.name(key);
        let old = self.desk(key).timer.take();
        cancel(old, ctx);
        let ordered = self.desk(key).stopping || self.closing.is_some();
        self.desk(key).live = false;
        self.stopped(key, true, ctx);
        if !ordered {
            let why = format!("the thread of {child} has ended, and the child with it");
            self.shut_down(ExitReason::GaveUp(why), ctx);
        }
        self.step_done(Waiting::Stop(key), ctx);
        self.step_done(Waiting::Start(key), ctx);
    }
}
