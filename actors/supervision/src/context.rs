//! What a child knows of its own supervision.

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

/// Handle of one incarnation of a child on its supervision. The factory gets it; the actor may
/// keep it. Cheap to clone, usable from any thread. Once the incarnation has ended it has no
/// effect any more.
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

    /// Its name among its siblings.
    pub fn id(&self) -> &ChildId {
        &self.cell.id
    }

    /// Its path from the root, steps joined by `/`.
    pub fn path(&self) -> String {
        self.cell.path()
    }

    /// 0 for the first value made from the recipe, 1 for the next, and so on.
    pub fn incarnation(&self) -> u32 {
        self.incarnation
    }

    /// The clock of the tree.
    pub fn clock(&self) -> &Clock {
        &self.cell.world().clock
    }

    /// Ends the actor with [`ExitReason::Failed`]: `why` is a lower-case sentence that says what
    /// was tried, on what, and what to do.
    pub fn fail<A>(&self, ctx: &mut Context<A>, why: impl Into<String>)
    where
        A: Actor<Context = Context<A>>,
    {
        self.exit(ctx, ExitReason::Failed(why.into()));
    }

    /// Ends the actor with [`ExitReason::Normal`] ([`ExitReason::Stopped`] if it was asked to).
    pub fn finish<A>(&self, ctx: &mut Context<A>)
    where
        A: Actor<Context = Context<A>>,
    {
        self.exit(ctx, ExitReason::Normal);
    }

    /// Ends the actor with a reason of its choice. The first reason given counts.
    pub fn exit<A>(&self, ctx: &mut Context<A>, reason: ExitReason)
    where
        A: Actor<Context = Context<A>>,
    {
        self.cell.report(self.incarnation, reason);
        ctx.stop();
    }

    /// Opts into graceful stopping: when the supervisor asks for a stop, `stop` runs once instead
    /// of the context being stopped at once. The actor then has its grace to end by itself
    /// ([`finish`](Self::finish) or `ctx.stop()`); after it, it is dropped.
    ///
    /// To be called in `started`. While the context waits (`ctx.wait`), so does this.
    pub fn on_stop<A, F>(&self, ctx: &mut Context<A>, stop: F)
    where
        A: Actor<Context = Context<A>>,
        F: FnOnce(&mut A, &mut Context<A>) + 'static,
    {
        self.cell.note(order::GRACEFUL);
        ctx.spawn(OnStop {
            cell: self.cell.clone(),
            stop: Some(stop),
            actor: PhantomData,
        });
    }

    /// Opts into graceful stopping with a token that may be given to any task or thread.
    /// See [`on_stop`](Self::on_stop) for what is expected of the actor then.
    pub fn stop_token(&self) -> StopToken {
        self.cell.note(order::GRACEFUL);
        StopToken {
            line: self.cell.watch_stop_line(),
            incarnation: self.incarnation,
        }
    }

    /// Counts one message handled, for the tree.
    pub fn handled(&self) {
        self.handled_many(1);
    }

    /// Counts several messages handled at once.
    pub fn handled_many(&self, messages: u64) {
        self.cell.handled.fetch_add(messages, Ordering::Relaxed);
    }

    /// Reports the length of the queue that the actor reads, for the tree. (actix does not tell
    /// how many messages wait in a mailbox, so only the actor can, for a channel of its own.)
    pub fn set_mailbox_len(&self, messages: u64) {
        self.cell.mailbox_len.store(messages, Ordering::Relaxed);
    }
}

/// Tells that a child is to stop, or has ended. Cheap to clone, usable from any thread.
#[derive(Debug, Clone)]
pub struct StopToken {
    line: watch::Receiver<u32>,
    incarnation: u32,
}

impl StopToken {
    /// Whether the stop has been asked for.
    pub fn is_requested(&self) -> bool {
        *self.line.borrow() > self.incarnation
    }

    /// Resolves when the stop is asked for, or the incarnation has ended.
    pub async fn requested(mut self) {
        let incarnation = self.incarnation;
        // An error means that the cell is gone, and the child with it.
        let _ = self.line.wait_for(|line| *line > incarnation).await;
    }
}

/// Runs the stop handler once the order is there. It stores no waker: the order wakes the
/// supervised future, whose poll comes by here.
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
