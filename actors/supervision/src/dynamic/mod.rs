//! A supervisor for very many short-lived children of one kind.
//!
//! Children are spawned by a plain call, without a message to anybody: one lock of a map, one
//! task. Each child's own future decides about its restart; the actor of this supervisor only
//! opens the door, stops everybody, and ends when the children fail too often.

mod handle;
mod keeper;
mod shared;
mod spec;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use actix::{Actor, AsyncContext as _, Context, Handler, Message};
use tokio::time::Instant;

use crate::cell::{ChildCell, order};
use crate::context::ChildContext;
use crate::deadline::SLACK;
use crate::exit::ExitReason;
use crate::machine::RestartMachine;

pub use handle::{DynamicHandle, SpawnError};
pub(crate) use shared::DynShared;
pub use spec::DynamicSpec;

/// Killed for good: whatever its restart policy says.
const GONE: u8 = order::KILL | order::REMOVE;

/// What its children tell the actor.
pub(crate) enum News {
    /// The last child has left while the door is closed.
    Empty,
    /// The children were restarted too often.
    TooMany(String),
    /// This one was asked to stop, and its time runs.
    Stopping(Arc<ChildCell>),
}

impl Message for News {
    type Result = ();
}

/// The actor behind a [`DynamicSpec`].
pub struct DynamicSupervisor {
    child: ChildContext,
    shared: Arc<DynShared>,
    /// Children that were asked to stop, with the end of their grace. All have the same grace, so
    /// the first is due first and one timer serves them all.
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
    /// However it ends, no child survives it.
    fn drop(&mut self) {
        if self.started {
            {
                let _inner = self.shared.inner();
                self.shared.open.store(false, Ordering::Release);
            }
            self.shared.order_all(GONE);
        }
    }
}

impl Handler<News> for DynamicSupervisor {
    type Result = ();

    fn handle(&mut self, news: News, ctx: &mut Context<Self>) {
        self.child.handled();
        match news {
            News::Empty if !self.shared.is_open() => self.child.finish(ctx),
            News::Empty => {}
            News::TooMany(why) => {
                if self.shared.is_open() {
                    self.close(ExitReason::GaveUp(why), ctx);
                }
            }
            News::Stopping(cell) => self.watch(cell, ctx),
        }
    }
}

impl DynamicSupervisor {
    pub(super) fn new(child: ChildContext, shared: Arc<DynShared>) -> Self {
        Self {
            child,
            shared,
            stopping: VecDeque::new(),
            started: false,
        }
    }

    /// Kills a child that was asked to stop, if it is still there when its grace is over.
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
            // The order is cleared when the incarnation ends.
            if cell.has_order(order::STOP) {
                tracing::warn!(child = %cell.path(), "has not stopped within its grace: killing it");
                cell.order(GONE);
            }
            self.stopping.pop_front();
        }
    }

    /// Closes the door, stops all children side by side, and ends with `reason`.
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
        // The word given first counts, also when the last child's leaving ends this actor.
        self.child.cell().report(self.child.incarnation(), reason);
        tracing::debug!(supervisor = %self.child.path(), "stopping all children");
        self.shared.order_all(order::STOP);
        ctx.run_later(self.shared.grace, |supervisor, ctx| {
            tracing::warn!(supervisor = %supervisor.child.path(), left = supervisor.shared.inner().children.len(), "children have not stopped within their grace: killing them");
            supervisor.shared.order_all(GONE);
            ctx.run_later(SLACK, |supervisor, ctx| {
                tracing::error!(supervisor = %supervisor.child.path(), "children do not come back to be dropped: going on without them");
                supervisor.child.finish(ctx);
            });
        });
    }
}
