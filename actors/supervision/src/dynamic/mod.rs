//! A supervisor for very many short-lived children of one kind.
//!
//! A child is spawned by a plain call, without a message: one lock of a map, one task. Each child's
//! own future decides about its restart. The supervisor's actor only accepts and refuses children,
//! stops all of them, and ends when they are restarted too often.

mod handle;
mod monitor;
mod shared;
mod spec;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use actix::{Actor, AsyncContext as _, Context, Handler, Message};
use tokio::time::Instant;

use crate::cell::{ChildCell, order};
use crate::context::ChildContext;
use crate::deadline::KILL_TIMEOUT;
use crate::exit::ExitReason;
use crate::machine::RestartMachine;

pub use handle::{DynamicHandle, SpawnError};
pub(crate) use shared::DynamicShared;
pub use spec::DynamicSpec;

/// Kills a child and ends its future, whatever its restart policy is.
const KILL_AND_REMOVE: u8 = order::KILL | order::REMOVE;

/// Messages of children and handles to the supervisor's actor.
pub(crate) enum DynamicEvent {
    /// The last child has ended while no children are accepted.
    Empty,
    /// The children were restarted too often. The text says how often.
    TooMany(String),
    /// This child was ordered to stop, and its grace has begun.
    Stopping(Arc<ChildCell>),
}

impl Message for DynamicEvent {
    type Result = ();
}

/// The actor behind a [`DynamicSpec`].
pub struct DynamicSupervisor {
    child: ChildContext,
    shared: Arc<DynamicShared>,
    /// Children that were ordered to stop, with the end of their grace. All have the same grace, so
    /// the queue is in the order of these times, and one timer is enough.
    stopping: VecDeque<(Instant, Arc<ChildCell>)>,
    started: bool,
}

crate::supervised!(DynamicSupervisor);

impl std::fmt::Debug for DynamicSupervisor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DynamicSupervisor")
            .field("path", &self.child.path())
            .finish_non_exhaustive()
    }
}

impl Actor for DynamicSupervisor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        self.started = true;
        {
            let mut inner = self.shared.inner();
            inner.machine = RestartMachine::new(self.shared.intensity);
            self.shared.open.store(true, Ordering::Release);
        }
        self.child.on_stop(ctx, |supervisor, ctx| {
            supervisor.close(ExitReason::Normal, ctx);
        });
    }
}

impl Drop for DynamicSupervisor {
    /// Kills all children, whatever ended the supervisor.
    fn drop(&mut self) {
        if self.started {
            {
                // Under the lock, so that no `spawn` inserts a child after the order below.
                let _inner = self.shared.inner();
                self.shared.open.store(false, Ordering::Release);
            }
            self.shared.order_all(KILL_AND_REMOVE);
        }
    }
}

impl Handler<DynamicEvent> for DynamicSupervisor {
    type Result = ();

    fn handle(&mut self, event: DynamicEvent, ctx: &mut Context<Self>) {
        self.child.handled();
        match event {
            DynamicEvent::Empty if !self.shared.is_open() => self.child.finish(ctx),
            DynamicEvent::Empty => {}
            DynamicEvent::TooMany(why) => {
                if self.shared.is_open() {
                    self.close(ExitReason::GaveUp(why), ctx);
                }
            }
            DynamicEvent::Stopping(cell) => self.watch(cell, ctx),
        }
    }
}

impl DynamicSupervisor {
    pub(super) fn new(child: ChildContext, shared: Arc<DynamicShared>) -> Self {
        Self {
            child,
            shared,
            stopping: VecDeque::new(),
            started: false,
        }
    }

    /// Kills a child that was ordered to stop, if it still exists at the end of its grace.
    fn watch(&mut self, cell: Arc<ChildCell>, ctx: &mut Context<Self>) {
        if !cell.has_order(order::STOP) {
            return;
        }
        let due = self.child.clock().now() + self.shared.grace;
        self.stopping.push_back((due, cell));
        if self.stopping.len() == 1 {
            ctx.run_later(self.shared.grace, Self::sweep);
        }
    }

    fn sweep(&mut self, ctx: &mut Context<Self>) {
        let now = self.child.clock().now();
        while let Some((due, cell)) = self.stopping.front() {
            if *due > now {
                ctx.run_later(*due - now, Self::sweep);
                return;
            }
            // The end of the incarnation clears the order: if it is still set, the child runs.
            if cell.has_order(order::STOP) {
                tracing::warn!(child = %cell.path(), "the child has not stopped within its grace, killing it");
                cell.order(KILL_AND_REMOVE);
            }
            self.stopping.pop_front();
        }
    }

    /// Refuses further children, stops all children at the same time, and ends with `reason`.
    fn close(&mut self, reason: ExitReason, ctx: &mut Context<Self>) {
        let empty = {
            let inner = self.shared.inner();
            self.shared.open.store(false, Ordering::Release);
            inner.children.is_empty()
        };
        if empty {
            self.child.exit(ctx, reason);
            return;
        }
        // Recorded now, because the first reason counts: the end of the last child ends this actor
        // through `finish`.
        self.child.cell().report(self.child.incarnation(), reason);
        tracing::debug!(supervisor = %self.child.path(), "stopping all children");
        self.shared.order_all(order::STOP);
        ctx.run_later(self.shared.grace, |supervisor, ctx| {
            tracing::warn!(supervisor = %supervisor.child.path(), left = supervisor.shared.inner().children.len(), "children have not stopped within their grace, killing them");
            supervisor.shared.order_all(KILL_AND_REMOVE);
            ctx.run_later(KILL_TIMEOUT, |supervisor, ctx| {
                tracing::error!(supervisor = %supervisor.child.path(), "killed children do not return from their handlers, continuing without them");
                supervisor.child.finish(ctx);
            });
        });
    }
}
