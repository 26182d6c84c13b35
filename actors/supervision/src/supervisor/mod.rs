//! The supervisor: an actor that starts its children in order, decides on restarts, and stops the
//! children in reverse order.
//!
//! It does not own its children: each child's future is a task of its own and outlives this actor.
//! All its state except the child slots may be lost, as after a panic. The next incarnation kills
//! the children that still run and starts all children from the slots.

mod child;
mod notices;
mod orders;
mod plan;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, AsyncContext as _, Context, Handler, Message, SpawnHandle};

use crate::backoff::RestartDelays;
use crate::context::ChildContext;
use crate::exit::ExitReason;
use crate::handle::{OrderReply, SupervisorError, SupervisorOrder};
use crate::machine::RestartMachine;
use crate::slots::ChildSlots;

/// A start or an end of a child, reported by its monitor.
#[derive(Debug)]
pub(crate) enum ChildEvent {
    Started,
    /// An incarnation ended.
    Ended {
        reason: ExitReason,
        /// The child's future has ended too, so the child cannot be started again.
        final_end: bool,
    },
    /// The child's thread has ended, and the future with it.
    Gone,
}

/// Report of a child's monitor. `starts` identifies the incarnation.
#[derive(Debug)]
pub(crate) struct ChildNotice {
    pub(crate) key: u64,
    pub(crate) starts: u32,
    pub(crate) event: ChildEvent,
}

impl Message for ChildNotice {
    type Result = ();
}

/// One step of a plan. The next one begins when it is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PlanStep {
    Stop(u64),
    Wait(Duration),
    Start(u64),
}

/// The step whose completion the plan waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PlanWait {
    Nothing,
    Stop(u64),
    Start(u64),
    Delay(SpawnHandle),
}

/// The action after a child has stopped as ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum AfterStop {
    #[default]
    Keep,
    Start,
    Remove,
}

/// The supervisor's state of one child.
#[derive(Debug, Default)]
struct ChildState {
    /// Number of starts, to recognize and ignore notices of older incarnations.
    starts: u32,
    live: bool,
    stopping: bool,
    after_stop: AfterStop,
    /// Timer of the restart delay, the grace or the kill. At most one of them runs.
    timer: Option<SpawnHandle>,
    delays: Option<RestartDelays>,
    /// Callers that wait for the start.
    on_start: Vec<OrderReply>,
    /// Callers that wait for the stop.
    on_stop: Vec<OrderReply>,
}

/// The actor behind a [`SupervisorSpec`](crate::SupervisorSpec).
pub struct Supervisor {
    child: ChildContext,
    slots: Arc<ChildSlots>,
    machine: RestartMachine,
    children: HashMap<u64, ChildState>,
    plan: VecDeque<PlanStep>,
    waiting: PlanWait,
    /// Reason of the shutdown, after it has begun.
    closing: Option<ExitReason>,
    /// Whether `started` was called. Before that, the children belong to the previous incarnation.
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
    /// Kills all children, whatever ended the supervisor.
    fn drop(&mut self) {
        if self.started {
            self.slots.kill_all();
        }
    }
}

impl Handler<ChildNotice> for Supervisor {
    type Result = ();

    fn handle(&mut self, notice: ChildNotice, ctx: &mut Context<Self>) {
        self.child.handled();
        self.on_notice(notice, ctx);
    }
}

impl Handler<SupervisorOrder> for Supervisor {
    type Result = ();

    fn handle(&mut self, order: SupervisorOrder, ctx: &mut Context<Self>) {
        self.child.handled();
        if self.closing.is_some() {
            order.refuse(SupervisorError::Stopping);
            return;
        }
        self.execute(order, ctx);
    }
}

impl Supervisor {
    pub(crate) fn new(slots: Arc<ChildSlots>, child: ChildContext) -> Self {
        Self {
            machine: RestartMachine::new(slots.intensity),
            child,
            slots,
            children: HashMap::new(),
            plan: VecDeque::new(),
            waiting: PlanWait::Nothing,
            closing: None,
            started: false,
        }
    }

    fn child_state(&mut self, key: u64) -> &mut ChildState {
        self.children.entry(key).or_default()
    }

    fn name(&self, key: u64) -> String {
        self.slots
            .cell(key)
            .map_or_else(|| format!("child {key}"), |cell| cell.path())
    }
}

fn cancel(timer: Option<SpawnHandle>, ctx: &mut Context<Supervisor>) {
    if let Some(timer) = timer {
        ctx.cancel_future(timer);
    }
}
