//! The supervised future: one task per child that lives as long as the child's place in the tree,
//! through all its incarnations.

use std::cell::Cell;
use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, ready};
use std::time::Duration;

use actix::dev::channel::AddressReceiver;
use actix::{Actor, Context, Supervised};
use tokio::time::Sleep;

use crate::body::Body;
use crate::cell::{ChildCell, State, order};
use crate::context::ChildContext;
use crate::exit::ExitReason;
use crate::threads;

thread_local! {
    static LIVE: Cell<usize> = const { Cell::new(0) };
}

/// Number of supervised futures on the calling thread, running or waiting for their restart.
pub fn live_on_this_thread() -> usize {
    LIVE.get()
}

/// What becomes of a child after one of its incarnations ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    /// Wait for the order to start again.
    Idle,
    /// Start again by yourself after this time.
    Restart(Duration),
    /// Leave the tree.
    End,
}

/// Whoever keeps the child: decides after an end, and hears what happens.
pub(crate) trait Keeper: 'static {
    fn started(&mut self, cell: &ChildCell);
    /// `asked`: it had been ordered to stop.
    fn decide(&mut self, cell: &ChildCell, reason: &ExitReason, asked: bool) -> After;
    /// The incarnation is gone and `after` is in force.
    fn ended(&mut self, cell: &Arc<ChildCell>, reason: ExitReason, after: After);
    /// The future is dropped without having ended: its thread ends.
    fn gone(&mut self, cell: &Arc<ChildCell>);
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Idle,
    /// The first poll of this incarnation has not returned.
    Starting,
    Running,
    Over,
}

pub(crate) struct Runner<A, F, K>
where
    A: Supervised + Actor<Context = Context<A>>,
    F: FnMut(&ChildContext) -> A + 'static,
    K: Keeper,
{
    cell: Arc<ChildCell>,
    body: Body<A>,
    factory: F,
    keeper: K,
    phase: Phase,
    attending: bool,
    /// The order to stop has been passed on to this incarnation.
    stop_seen: bool,
    backoff: Option<Pin<Box<Sleep>>>,
}

/// Nothing in it is pinned in place: the context is `Unpin`, the sleep has its own box.
impl<A, F, K> Unpin for Runner<A, F, K>
where
    A: Supervised + Actor<Context = Context<A>>,
    F: FnMut(&ChildContext) -> A + 'static,
    K: Keeper,
{
}

impl<A, F, K> Runner<A, F, K>
where
    A: Supervised + Actor<Context = Context<A>>,
    F: FnMut(&ChildContext) -> A + 'static,
    K: Keeper,
{
    /// To be called on the thread it will run on.
    pub(crate) fn new(
        cell: Arc<ChildCell>,
        receiver: AddressReceiver<A>,
        factory: F,
        keeper: K,
    ) -> Self {
        LIVE.set(LIVE.get() + 1);
        let _ = cell.thread.set(threads::label());
        Self {
            cell,
            body: Body::new(receiver),
            factory,
            keeper,
            phase: Phase::Idle,
            attending: false,
            stop_seen: false,
            backoff: None,
        }
    }

    /// Makes the value for the incarnation with this number.
    fn prepare(&mut self, incarnation: u32) -> Result<(), ExitReason> {
        let Self {
            cell,
            body,
            factory,
            ..
        } = self;
        body.prepare(|| factory(&ChildContext::new(cell.clone(), incarnation)))
    }

    /// While no incarnation runs: `Ready(true)` when one has been made, `Ready(false)` at the end.
    fn poll_idle(&mut self, cx: &mut TaskContext<'_>, orders: u8) -> Poll<bool> {
        if orders & order::REMOVE != 0 {
            self.leave();
            return Poll::Ready(false);
        }
        if let Some(sleep) = &mut self.backoff {
            if orders & (order::STOP | order::KILL) != 0 {
                self.backoff = None;
                self.leave();
                return Poll::Ready(false);
            }
            ready!(sleep.as_mut().poll(cx));
            self.backoff = None;
        } else if orders & order::START == 0 {
            return Poll::Pending;
        }
        self.start();
        Poll::Ready(true)
    }

    fn start(&mut self) {
        self.cell.clear(order::START);
        let starts = self.cell.begin();
        self.stop_seen = false;
        self.phase = Phase::Starting;
        if let Err(reason) = self.prepare(starts - 1) {
            self.end(reason);
        }
    }

    /// Ends the incarnation, does what the keeper decides, then tells it.
    fn end(&mut self, reason: ExitReason) {
        let incarnation = self.cell.incarnation();
        let asked = self.cell.has_order(order::STOP);
        self.phase = Phase::Idle;
        self.cell
            .clear(order::STOP | order::KILL | order::INJECT | order::GRACEFUL);
        self.cell.move_stop_line(incarnation);
        let after = if self.cell.has_order(order::REMOVE) {
            After::End
        } else {
            self.keeper.decide(&self.cell, &reason, asked)
        };
        let rest = match reason {
            ExitReason::GaveUp(_) => State::GaveUp,
            _ => State::Stopped,
        };
        self.cell.set_last_exit(reason.clone());
        match after {
            After::End => {
                self.phase = Phase::Over;
                self.body.destroy();
                self.cell.set_state(rest);
            }
            After::Idle => {
                self.renew(incarnation + 1);
                self.cell.set_state(rest);
            }
            After::Restart(delay) => {
                self.renew(incarnation + 1);
                self.cell.set_backing_off(delay);
                self.backoff = Some(Box::pin(tokio::time::sleep(delay)));
            }
        }
        self.keeper.ended(&self.cell, reason, after);
    }

    /// Puts a fresh value in the place of the ended one at once, so that what the old one held is
    /// released before the backoff and not after it. If the factory fails it is asked again at
    /// the start, where the failure counts.
    fn renew(&mut self, incarnation: u32) {
        self.body.shed();
        if let Err(reason) = self.prepare(incarnation) {
            tracing::debug!(child = %self.cell.id, %reason, "no fresh value yet");
        }
    }

    /// Ends without an incarnation having run.
    fn leave(&mut self) {
        self.phase = Phase::Over;
        self.cell.clear(order::STOP);
        self.body.destroy();
        self.cell.set_state(State::Stopped);
        let reason = self.cell.last_exit().unwrap_or(ExitReason::Stopped);
        self.keeper.ended(&self.cell, reason, After::End);
    }

    /// How an incarnation ended whose context completed.
    fn classify(&self) -> ExitReason {
        let asked = self.cell.has_order(order::STOP);
        match self.cell.take_report(self.cell.incarnation()) {
            Some(ExitReason::Normal) | None if asked => ExitReason::Stopped,
            Some(reason) => reason,
            None => ExitReason::Normal,
        }
    }

    fn poll_live(&mut self, cx: &mut TaskContext<'_>, orders: u8) -> Poll<()> {
        if orders & (order::KILL | order::REMOVE) != 0 {
            self.end(ExitReason::Killed);
            return Poll::Ready(());
        }
        if orders & order::STOP != 0 && !self.stop_seen {
            self.stop_seen = true;
            self.cell.set_state(State::Stopping);
            // An actor that is still starting has had no time to opt in: it gets its first poll.
            if self.phase == Phase::Running && orders & order::GRACEFUL == 0 {
                self.body.stop();
            } else if self.phase == Phase::Starting {
                self.stop_seen = false;
            }
        }
        let inject = orders & order::INJECT != 0;
        match self.body.poll(cx, inject) {
            Poll::Pending => {
                if self.phase == Phase::Starting {
                    self.phase = Phase::Running;
                    if self.cell.state() == State::Starting {
                        self.cell.set_state(State::Running);
                    }
                    self.keeper.started(&self.cell);
                    if self.cell.has_order(order::STOP) {
                        return Poll::Ready(());
                    }
                }
                Poll::Pending
            }
            Poll::Ready(outcome) => {
                let reason = match outcome {
                    Ok(()) => self.classify(),
                    Err(panicked) => panicked,
                };
                self.end(reason);
                Poll::Ready(())
            }
        }
    }
}

impl<A, F, K> Future for Runner<A, F, K>
where
    A: Supervised + Actor<Context = Context<A>>,
    F: FnMut(&ChildContext) -> A + 'static,
    K: Keeper,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<()> {
        let this = self.get_mut();
        if !this.attending {
            this.attending = true;
            this.cell.attend(cx.waker());
        }
        loop {
            let orders = this.cell.orders();
            match this.phase {
                Phase::Over => return Poll::Ready(()),
                Phase::Idle => {
                    if !ready!(this.poll_idle(cx, orders)) {
                        return Poll::Ready(());
                    }
                }
                Phase::Starting | Phase::Running => ready!(this.poll_live(cx, orders)),
            }
        }
    }
}

impl<A, F, K> Drop for Runner<A, F, K>
where
    A: Supervised + Actor<Context = Context<A>>,
    F: FnMut(&ChildContext) -> A + 'static,
    K: Keeper,
{
    fn drop(&mut self) {
        LIVE.set(LIVE.get().saturating_sub(1));
        if self.phase != Phase::Over {
            self.body.destroy();
            self.cell.set_state(State::Stopped);
            self.keeper.gone(&self.cell);
        }
    }
}
