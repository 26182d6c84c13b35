//! The child's handle on its supervision.

use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context as TaskContext, Poll};

use actix::fut::ActorFuture;
use actix::{Actor, ActorContext as _, AsyncContext as _, Context};
use tokio::sync::watch;

use crate::cell::{ChildCell, order};
use crate::clock::Clock;
use crate::exit::ExitReason;
use crate::id::ChildId;

/// Handle of one incarnation of a child on its supervision. The factory receives it; the actor may
/// keep it. Cheap to clone, usable from any thread. It has no effect after the incarnation's end.
#[derive(Debug, Clone)]
pub struct ChildContext {
    cell: Arc<ChildCell>,
    incarnation: u32,
}

impl ChildContext {
    pub(crate) fn new(cell: Arc<ChildCell>, incarnation: u32) -> Self {
        Self { cell, incarnation }
    }

    pub(crate) fn cell(&self) -> &Arc<ChildCell> {
        &self.cell
    }

    /// Name of the child among its siblings.
    pub fn id(&self) -> &ChildId {
        &self.cell.id
    }

    /// Path of the child from the root, names joined by `/`.
    pub fn path(&self) -> String {
        self.cell.path()
    }

    /// Number of the incarnation: 0 for the first start, 1 for the first restart, and so on.
    pub fn incarnation(&self) -> u32 {
        self.incarnation
    }

    /// The clock of the tree.
    pub fn clock(&self) -> &Clock {
        &self.cell.tree().clock
    }

    /// Ends the actor with [`ExitReason::Failed`]. `why` is a lower-case sentence that names the
    /// failed action, its object, and a remedy.
    pub fn fail<A>(&self, ctx: &mut Context<A>, why: impl Into<String>)
    where
        A: Actor<Context = Context<A>>,
    {
        self.exit(ctx, ExitReason::Failed(why.into()));
    }

    /// Ends the actor with [`ExitReason::Normal`], or [`ExitReason::Stopped`] after an order to stop.
    pub fn finish<A>(&self, ctx: &mut Context<A>)
    where
        A: Actor<Context = Context<A>>,
    {
        self.exit(ctx, ExitReason::Normal);
    }

    /// Ends the actor with this reason. The first reason counts.
    pub fn exit<A>(&self, ctx: &mut Context<A>, reason: ExitReason)
    where
        A: Actor<Context = Context<A>>,
    {
        self.cell.report(self.incarnation, reason);
        ctx.stop();
    }

    /// Opts into graceful stopping: on an order to stop, `stop` runs once, and the context is not
    /// stopped. The actor then has its grace to end by itself ([`finish`](Self::finish) or
    /// `ctx.stop()`); after the grace it is dropped.
    ///
    /// Call it in `started`. `stop` does not run while the context waits (`ctx.wait`).
    pub fn on_stop<A, F>(&self, ctx: &mut Context<A>, stop: F)
    where
        A: Actor<Context = Context<A>>,
        F: FnOnce(&mut A, &mut Context<A>) + 'static,
    {
        self.cell.set_orders(order::GRACEFUL);
        ctx.spawn(OnStop {
            cell: self.cell.clone(),
            stop: Some(stop),
            actor: PhantomData,
        });
    }

    /// Opts into graceful stopping with a token that can be passed to any task or thread. The
    /// actor must then end within its grace, as with [`on_stop`](Self::on_stop).
    pub fn stop_token(&self) -> StopToken {
        self.cell.set_orders(order::GRACEFUL);
        StopToken {
            first_not_stopped: self.cell.subscribe_stop(),
            incarnation: self.incarnation,
        }
    }

    /// Adds one to the count of handled messages that the tree shows.
    pub fn handled(&self) {
        self.handled_many(1);
    }

    /// Adds `messages` to the count of handled messages that the tree shows.
    pub fn handled_many(&self, messages: u64) {
        self.cell.handled.fetch_add(messages, Ordering::Relaxed);
    }

    /// Reports the length of the queue that the actor reads, for the tree. actix does not expose
    /// the length of a mailbox, so an actor can report only the length of its own channel.
    pub fn set_mailbox_len(&self, messages: u64) {
        self.cell.mailbox_len.store(messages, Ordering::Relaxed);
    }
}

/// Signals that an incarnation is to stop, or has ended. Cheap to clone, usable from any thread.
#[derive(Debug, Clone)]
pub struct StopToken {
    /// Number of the first incarnation without an order to stop.
    first_not_stopped: watch::Receiver<u32>,
    incarnation: u32,
}

impl StopToken {
    /// Whether the incarnation was ordered to stop, or has ended.
    pub fn is_requested(&self) -> bool {
        *self.first_not_stopped.borrow() > self.incarnation
    }

    /// Resolves when the incarnation is ordered to stop, or has ended.
    pub async fn requested(mut self) {
        let incarnation = self.incarnation;
        // An error means that the cell was dropped, and the child with it.
        let first = &mut self.first_not_stopped;
        let _ = first.wait_for(|first| *first > incarnation).await;
    }
}

/// Runs the stop handler after the order to stop. It stores no waker: the order wakes the
/// supervised future, whose poll also polls this one.
struct OnStop<A, F> {
    cell: Arc<ChildCell>,
    stop: Option<F>,
    actor: PhantomData<fn(A)>,
}

impl<A, F> Unpin for OnStop<A, F> {}

impl<A, F> ActorFuture<A> for OnStop<A, F>
where
    A: Actor<Context = Context<A>>,
    F: FnOnce(&mut A, &mut Context<A>) + 'static,
{
    type Output = ();

    fn poll(
        mut self: Pin<&mut Self>,
        actor: &mut A,
        ctx: &mut Context<A>,
        _: &mut TaskContext<'_>,
    ) -> Poll<()> {
        if !self.cell.has_order(order::STOP) {
            return Poll::Pending;
        }
        if let Some(stop) = self.stop.take() {
            stop(actor, ctx);
        }
        Poll::Ready(())
    }
}
