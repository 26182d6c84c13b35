//! The supervised future: one task per child slot, which runs all incarnations of the child.

use std::cell::Cell;
use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, ready};
use std::time::Duration;

use actix::dev::channel::AddressReceiver;
use actix::{Actor, Context, Supervised};
use tokio::time::Sleep;

use crate::actor_slot::ActorSlot;
use crate::cell::{ChildCell, ChildStatus, order};
use crate::context::ChildContext;
use crate::exit::ExitReason;
use crate::threads;

thread_local! {
    static LIVE: Cell<usize> = const { Cell::new(0) };
}

/// Number of supervised futures on the calling thread, those that wait for a restart included.
pub fn live_on_this_thread() -> usize {
    LIVE.get()
}

/// The next action of a supervised future after the end of an incarnation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExitAction {
    /// Wait for the order to start.
    Idle,
    /// Start the next incarnation after this delay.
    Restart(Duration),
    /// End, and leave the tree.
    End,
}

/// Receives the starts and ends of a child, and decides what follows an end.
pub(crate) trait Monitor: 'static {
    /// `started` of the actor has returned.
    fn started(&mut self, cell: &ChildCell);
    /// Decides on the end of an incarnation. `ordered` means that it had an order to stop.
    fn decide(&mut self, cell: &ChildCell, reason: &ExitReason, ordered: bool) -> ExitAction;
    /// The incarnation has ended, and `action` has begun.
    fn ended(&mut self, cell: &Arc<ChildCell>, reason: ExitReason, action: ExitAction);
    /// The future was dropped before its end, because its thread has ended.
    fn gone(&mut self, cell: &Arc<ChildCell>);
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RunnerPhase {
    Idle,
    /// The first poll of this incarnation has not returned.
    Starting,
    Running,
    Over,
}

/// The supervised future of one child.
pub(crate) struct ChildRunner<A, F, K>
where
    A: Supervised + Actor<Context = Context<A>>,
    F: FnMut(&ChildContext) -> A + 'static,
    K: Monitor,
{
    cell: Arc<ChildCell>,
    actor: ActorSlot<A>,
    factory: F,
    monitor: K,
    phase: RunnerPhase,
    waker_registered: bool,
    /// The order to stop was passed on to this incarnation.
    stop_seen: bool,
    backoff: Option<Pin<Box<Sleep>>>,
}

/// No field is pinned in place: the context is `Unpin`, and the sleep has its own box.
impl<A, F, K> Unpin for ChildRunner<A, F, K>
where
    A: Supervised + Actor<Context = Context<A>>,
    F: FnMut(&ChildContext) -> A + 'static,
    K: Monitor,
{
}

impl<A, F, K> ChildRunner<A, F, K>
where
    A: Supervised + Actor<Context = Context<A>>,
    F: FnMut(&ChildContext) -> A + 'static,
    K: Monitor,
{
    /// Creates the future. Call it on the thread on which the future runs.
    pub(crate) fn new(
        cell: Arc<ChildCell>,
        receiver: AddressReceiver<A>,
        factory: F,
        monitor: K,
    ) -> Self {
        LIVE.set(LIVE.get() + 1);
        let _ = cell.thread.set(threads::label());
        Self {
            cell,
            actor: ActorSlot::new(receiver),
            factory,
            monitor,
            phase: RunnerPhase::Idle,
            waker_registered: false,
            stop_seen: false,
            backoff: None,
        }
    }

    /// Makes the actor for the incarnation with this number.
    fn prepare(&mut self, incarnation: u32) -> Result<(), ExitReason> {
        let Self {
            cell,
            actor,
            factory,
            ..
        } = self;
        actor.prepare(|| factory(&ChildContext::new(cell.clone(), incarnation)))
    }

    /// Polls while no incarnation runs. `Ready(true)` means that one has started, `Ready(false)` that
    /// the future has ended.
    fn poll_idle(&mut self, cx: &mut TaskContext<'_>, orders: u8) -> Poll<bool> {
        if orders & order::REMOVE != 0 {
            self.end_idle();
            return Poll::Ready(false);
        }
        if let Some(sleep) = &mut self.backoff {
            if orders & (order::STOP | order::KILL) != 0 {
                self.backoff = None;
                self.end_idle();
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
        self.cell.clear_orders(order::START);
        let starts = self.cell.begin();
        self.stop_seen = false;
        self.phase = RunnerPhase::Starting;
        if let Err(reason) = self.prepare(starts - 1) {
            self.end(reason);
        }
    }

    /// Ends the incarnation, executes the monitor's decision, then notifies the monitor.
    fn end(&mut self, reason: ExitReason) {
        let incarnation = self.cell.incarnation();
        let ordered = self.cell.has_order(order::STOP);
        self.phase = RunnerPhase::Idle;
        // These orders were meant for the incarnation that has ended. `START` and `REMOVE` stay:
        // they concern the slot.
        self.cell
            .clear_orders(order::STOP | order::KILL | order::INJECT | order::GRACEFUL);
        self.cell.signal_stop(incarnation);
        let action = if self.cell.has_order(order::REMOVE) {
            ExitAction::End
        } else {
            self.monitor.decide(&self.cell, &reason, ordered)
        };
        let final_status = match reason {
            ExitReason::GaveUp(_) => ChildStatus::GaveUp,
            _ => ChildStatus::Stopped,
        };
        self.cell.set_last_exit(reason.clone());
        match action {
            ExitAction::End => {
                self.phase = RunnerPhase::Over;
                self.actor.destroy();
                self.cell.set_state(final_status);
            }
            ExitAction::Idle => {
                self.prepare_next(incarnation + 1);
                self.cell.set_state(final_status);
            }
            ExitAction::Restart(delay) => {
                self.prepare_next(incarnation + 1);
                self.cell.set_backing_off(delay);
                self.backoff = Some(Box::pin(tokio::time::sleep(delay)));
            }
        }
        // Last, so that the monitor finds the resources of the actor released.
        self.monitor.ended(&self.cell, reason, action);
    }

    /// Replaces the ended actor by a new one immediately, so that its resources are released
    /// before the restart delay and not after it. If the factory fails, it is called again at the
    /// start, where its failure counts as an end.
    fn prepare_next(&mut self, incarnation: u32) {
        self.actor.drop_spawned();
        if let Err(reason) = self.prepare(incarnation) {
            tracing::debug!(child = %self.cell.id, %reason, "the factory failed and is called again at the restart");
        }
    }

    /// Ends the future while no incarnation runs.
    fn end_idle(&mut self) {
        self.phase = RunnerPhase::Over;
        self.cell.clear_orders(order::STOP);
        self.actor.destroy();
        self.cell.set_state(ChildStatus::Stopped);
        let reason = self.cell.last_exit().unwrap_or(ExitReason::Stopped);
        self.monitor.ended(&self.cell, reason, ExitAction::End);
    }

    /// The reason of an end without a panic or a kill.
    fn classify(&self) -> ExitReason {
        let ordered = self.cell.has_order(order::STOP);
        match self.cell.take_report(self.cell.incarnation()) {
            Some(ExitReason::Normal) | None if ordered => ExitReason::Stopped,
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
            self.cell.set_state(ChildStatus::Stopping);
            // An actor opts into graceful stopping in `started`, that is, during its first poll.
            // Before that poll it is unknown whether the context may be stopped.
            if self.phase == RunnerPhase::Running && orders & order::GRACEFUL == 0 {
                self.actor.stop();
            } else if self.phase == RunnerPhase::Starting {
                self.stop_seen = false;
            }
        }
        let inject = orders & order::INJECT != 0;
        match self.actor.poll(cx, inject) {
            Poll::Pending => {
                if self.phase == RunnerPhase::Starting {
                    self.phase = RunnerPhase::Running;
                    if self.cell.state() == ChildStatus::Starting {
                        self.cell.set_state(ChildStatus::Running);
                    }
                    self.monitor.started(&self.cell);
                    // Handled by the next turn of the loop in `poll`, not by the next wake-up: the
                    // order has already woken the task.
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

impl<A, F, K> Future for ChildRunner<A, F, K>
where
    A: Supervised + Actor<Context = Context<A>>,
    F: FnMut(&ChildContext) -> A + 'static,
    K: Monitor,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<()> {
        let this = self.get_mut();
        if !this.waker_registered {
            this.waker_registered = true;
            this.cell.register_waker(cx.waker());
        }
        loop {
            let orders = this.cell.orders();
            match this.phase {
                RunnerPhase::Over => return Poll::Ready(()),
                RunnerPhase::Idle => {
                    if !ready!(this.poll_idle(cx, orders)) {
                        return Poll::Ready(());
                    }
                }
                RunnerPhase::Starting | RunnerPhase::Running => ready!(this.poll_live(cx, orders)),
            }
        }
    }
}

impl<A, F, K> Drop for ChildRunner<A, F, K>
where
    A: Supervised + Actor<Context = Context<A>>,
    F: FnMut(&ChildContext) -> A + 'static,
    K: Monitor,
{
    fn drop(&mut self) {
        LIVE.set(LIVE.get().saturating_sub(1));
        if self.phase != RunnerPhase::Over {
            self.actor.destroy();
            self.cell.set_state(ChildStatus::Stopped);
            self.monitor.gone(&self.cell);
        }
    }
}
