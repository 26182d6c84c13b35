//! The supervisor: an actor that starts its children in order, passes verdicts on their ends, and
//! stops them in reverse.
//!
//! It keeps no child: each child's future lives in a task of its own and outlives this value. What
//! the supervisor remembers beyond its recipe may be lost with it, as after a panic; the next
//! incarnation kills what still runs and starts again from the recipe.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, AsyncContext as _, Context, Handler, Message, SpawnHandle};

use crate::backoff::Delays;
use crate::cell::order;
use crate::context::ChildContext;
use crate::deadline::{SLACK, grace};
use crate::exit::ExitReason;
use crate::handle::{Order, Reply, SupervisorError};
use crate::machine::{Ended, Restart, RestartMachine, Strategy, Verdict};
use crate::recipe::Recipe;
use crate::spec::Stop;
use crate::tree::Change;

/// What happened to a child, told by its keeper.
#[derive(Debug)]
pub(crate) enum What {
    Started,
    /// `left`: its future has ended too, the place is empty.
    Ended {
        reason: ExitReason,
        left: bool,
    },
    /// Its thread ended and took the future along.
    Gone,
}

/// News of one child. `starts` tells which incarnation it is about.
#[derive(Debug)]
pub(crate) struct Notice {
    pub(crate) key: u64,
    pub(crate) starts: u32,
    pub(crate) what: What,
}

impl Message for Notice {
    type Result = ();
}

/// One thing to be done, and finished, before the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Stop(u64),
    Wait(Duration),
    Start(u64),
}

/// What the plan waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waiting {
    Nothing,
    Stop(u64),
    Start(u64),
    Delay(SpawnHandle),
}

/// What to do with a child once it has stopped as ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Then {
    #[default]
    Rest,
    Start,
    Remove,
}

/// What the supervisor knows of one child for now.
#[derive(Debug, Default)]
struct Desk {
    /// The incarnation it counts on; news of others are old.
    starts: u32,
    live: bool,
    stopping: bool,
    then: Then,
    /// Backoff, grace or kill: never two of them at a time.
    timer: Option<SpawnHandle>,
    delays: Option<Delays>,
    on_start: Vec<Reply>,
    on_stop: Vec<Reply>,
}

/// The actor behind a [`SupervisorSpec`](crate::SupervisorSpec).
pub struct Supervisor {
    child: ChildContext,
    recipe: Arc<Recipe>,
    machine: RestartMachine,
    desks: HashMap<u64, Desk>,
    plan: VecDeque<Step>,
    waiting: Waiting,
    /// Why it is shutting down, once it is.
    closing: Option<ExitReason>,
    /// A value that was never started has nothing to kill.
    started: bool,
}

crate::supervised!(Supervisor);

impl std::fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Supervisor")
            .field("path", &self.child.path())
            .finish_non_exhaustive()
    }
}

impl Actor for Supervisor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        self.started = true;
        self.child.on_stop(ctx, |supervisor, ctx| {
            supervisor.shut_down(ExitReason::Stopped, ctx);
        });
        self.plan_startup();
        self.advance(ctx);
    }
}

impl Drop for Supervisor {
    /// However it ends, no child survives it.
    fn drop(&mut self) {
        if self.started {
            self.recipe.kill_all();
        }
    }
}

impl Handler<Notice> for Supervisor {
    type Result = ();

    fn handle(&mut self, notice: Notice, ctx: &mut Context<Self>) {
        self.child.handled();
        self.hear(notice, ctx);
    }
}

impl Handler<Order> for Supervisor {
    type Result = ();

    fn handle(&mut self, order: Order, ctx: &mut Context<Self>) {
        self.child.handled();
        if self.closing.is_some() {
            order.refuse(SupervisorError::Stopping);
            return;
        }
        self.obey(order, ctx);
    }
}

impl Supervisor {
    pub(crate) fn new(recipe: Arc<Recipe>, child: ChildContext) -> Self {
        Self {
            machine: RestartMachine::new(recipe.intensity),
            child,
            recipe,
            desks: HashMap::new(),
            plan: VecDeque::new(),
            waiting: Waiting::Nothing,
            closing: None,
            started: false,
        }
    }

    fn desk(&mut self, key: u64) -> &mut Desk {
        self.desks.entry(key).or_default()
    }

    fn name(&self, key: u64) -> String {
        self.recipe
            .cell(key)
            .map_or_else(|| format!("child {key}"), |cell| cell.path())
    }

    // --- plans: what has to happen one after the other ---

    /// Everything from the recipe, in order. What an incarnation before left running goes first.
    fn plan_startup(&mut self) {
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
    fn plan_group(&mut self, failed: u64, after: Duration, ctx: &mut Context<Self>) {
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
    fn shut_down(&mut self, reason: ExitReason, ctx: &mut Context<Self>) {
        if self.closing.is_some() {
            return;
        }
        tracing::info!(supervisor = %self.child.path(), %reason, "stopping all children");
        self.closing = Some(reason);
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

    fn wait_for_nothing(&mut self, ctx: &mut Context<Self>) {
        if let Waiting::Delay(timer) = std::mem::replace(&mut self.waiting, Waiting::Nothing) {
            ctx.cancel_future(timer);
        }
    }

    /// Goes on with the plan until a step takes time.
    fn advance(&mut self, ctx: &mut Context<Self>) {
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
    fn finish(&mut self, ctx: &mut Context<Self>) {
        if let Some(reason) = self.closing.clone() {
            self.child.exit(ctx, reason);
        }
    }

    fn step_done(&mut self, waiting: Waiting, ctx: &mut Context<Self>) {
        if self.waiting == waiting {
            self.waiting = Waiting::Nothing;
            self.advance(ctx);
        }
    }

    // --- single children ---

    fn start(&mut self, key: u64, ctx: &mut Context<Self>) {
        let Some(cell) = self.recipe.cell(key) else {
            self.desks.remove(&key);
            self.step_done_later(Waiting::Start(key), ctx);
            return;
        };
        let desk = self.desk(key);
        if desk.live {
            self.step_done_later(Waiting::Start(key), ctx);
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
    fn step_done_later(&mut self, waiting: Waiting, _: &mut Context<Self>) {
        if self.waiting == waiting {
            self.waiting = Waiting::Nothing;
        }
    }

    /// Orders a stop. False if there was nothing to wait for.
    fn stop(&mut self, key: u64, ctx: &mut Context<Self>) -> bool {
        let Some((cell, how)) = self.recipe.with(key, |slot| (slot.cell.clone(), slot.stop)) else {
            return false;
        };
        let desk = self.desk(key);
        if desk.stopping {
            return true;
        }
        let old = desk.timer.take();
        if !desk.live {
            cell.set_state(crate::cell::State::Stopped);
            cancel(old, ctx);
            self.stopped(key, false, ctx);
            return false;
        }
        desk.stopping = true;
        cancel(old, ctx);
        if how == Stop::Kill && cell.branch.get().is_none() {
            self.kill(key, ctx);
        } else {
            tracing::info!(child = %cell.path(), "stopping");
            cell.order_stop();
            let timer = ctx.run_later(grace(&cell), move |supervisor, ctx| {
                tracing::warn!(child = %supervisor.name(key), "has not stopped within its grace: killing it");
                supervisor.kill(key, ctx);
            });
            self.desk(key).timer = Some(timer);
        }
        true
    }

    fn kill(&mut self, key: u64, ctx: &mut Context<Self>) {
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
    fn stopped(&mut self, key: u64, left: bool, ctx: &mut Context<Self>) {
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
    fn forget(&mut self, key: u64) {
        self.recipe.remove(key);
        self.plan
            .retain(|step| *step != Step::Start(key) && *step != Step::Stop(key));
        self.desks.remove(&key);
    }

    // --- news ---

    fn hear(&mut self, notice: Notice, ctx: &mut Context<Self>) {
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

    fn tell_start(&self, key: u64) {
        if let Some(cell) = self.recipe.cell(key) {
            let incarnation = cell.incarnation();
            tracing::info!(child = %cell.path(), incarnation, "started");
            cell.publish(|| Change::Started { incarnation });
        }
    }

    fn ended(&mut self, key: u64, reason: ExitReason, left: bool, ctx: &mut Context<Self>) {
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
    fn judge(&mut self, key: u64, reason: &ExitReason, left: bool, ctx: &mut Context<Self>) {
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

    fn restart(&mut self, key: u64, after: Duration, ctx: &mut Context<Self>) {
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

    fn tell_end(&self, key: u64, reason: &ExitReason, after: Option<Duration>) {
        let Some(cell) = self.recipe.cell(key) else {
            return;
        };
        let child = cell.path();
        match after {
            Some(after) => tracing::warn!(%child, %reason, ?after, "ended, restarting"),
            None if reason.is_abnormal() => tracing::warn!(%child, %reason, "ended"),
            None => tracing::info!(%child, %reason, "ended"),
        }
        cell.publish(|| Change::Exited {
            reason: reason.clone(),
            restart_in_ms: after.map(crate::clock::millis),
        });
    }

    /// The child's future is gone with its thread: nobody can restart it, so the supervisor ends
    /// and leaves the decision to its parent.
    fn lost(&mut self, key: u64, ctx: &mut Context<Self>) {
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

    // --- orders ---

    fn obey(&mut self, order: Order, ctx: &mut Context<Self>) {
        match order {
            Order::Start { spec, reply } => {
                let Some(key) = self.recipe.add(*spec) else {
                    let _ = reply.send(Err(SupervisorError::Duplicate));
                    return;
                };
                self.desk(key).on_start.push(reply);
                self.plan.push_back(Step::Start(key));
                self.advance(ctx);
            }
            Order::Stop { id, remove, reply } => {
                let then = if remove { Then::Remove } else { Then::Rest };
                if let Some((key, reply)) = self.known(&id, reply) {
                    self.plan.retain(|step| *step != Step::Start(key));
                    let desk = self.desk(key);
                    desk.then = then;
                    desk.on_stop.push(reply);
                    self.stop(key, ctx);
                }
            }
            Order::Restart { id, reply } => {
                if let Some((key, reply)) = self.known(&id, reply) {
                    let desk = self.desk(key);
                    desk.then = Then::Start;
                    desk.on_start.push(reply);
                    self.stop(key, ctx);
                }
            }
        }
    }

    fn known(&self, id: &crate::ChildId, reply: Reply) -> Option<(u64, Reply)> {
        match self.recipe.key_of(id) {
            Some(key) => Some((key, reply)),
            None => {
                let _ = reply.send(Err(SupervisorError::Unknown));
                None
            }
        }
    }
}

fn cancel(timer: Option<SpawnHandle>, ctx: &mut Context<Supervisor>) {
    if let Some(timer) = timer {
        ctx.cancel_future(timer);
    }
}
