//! The supervisor: an actor that starts its children in order, passes verdicts on their ends, and
//! stops them in reverse.
//!
//! It keeps no child: each child's future lives in a task of its own and outlives this value. What
//! the supervisor remembers beyond its recipe may be lost with it, as after a panic; the next
//! incarnation kills what still runs and starts again from the recipe.

mod child;
mod news;
mod orders;
mod plan;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, AsyncContext as _, Context, Handler, Message, SpawnHandle};

use crate::backoff::Delays;
use crate::context::ChildContext;
use crate::exit::ExitReason;
use crate::handle::{Order, Reply, SupervisorError};
use crate::machine::RestartMachine;
use crate::recipe::Recipe;

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
}

fn cancel(timer: Option<SpawnHandle>, ctx: &mut Context<Supervisor>) {
    if let Some(timer) = timer {
        ctx.cancel_future(timer);
    }
}
