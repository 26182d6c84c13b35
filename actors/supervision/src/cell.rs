//! State of a child that any thread can read, and orders that any thread can give, without a wait
//! for the child.
//!
//! The supervised future writes its state here; the tree reads it. An order is a bit here plus a
//! wake-up of the future's task, so an order never queues behind messages.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Waker;
use std::time::Duration;

use serde::Serialize;
use tokio::sync::{broadcast, watch};
use tokio::time::Instant;

use crate::clock::{Clock, millis};
use crate::event::{ChildChange, TreeEvent};
use crate::exit::ExitReason;
use crate::id::ChildId;
use crate::machine::{Restart, Strategy};

/// Current state of a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum ChildStatus {
    /// Its factory or `started` has not returned yet.
    Starting = 0,
    /// It handles messages.
    Running = 1,
    /// It ended and waits for the end of its restart delay.
    BackingOff = 2,
    /// It was ordered to stop and has not ended yet.
    Stopping = 3,
    /// It does not run, and no restart is scheduled.
    Stopped = 4,
    /// A supervisor that exceeded its intensity and was not restarted.
    GaveUp = 5,
}

impl ChildStatus {
    fn from_u8(value: u8) -> Self {
        match value {
            0 => Self::Starting,
            1 => Self::Running,
            2 => Self::BackingOff,
            3 => Self::Stopping,
            5 => Self::GaveUp,
            _ => Self::Stopped,
        }
    }

    /// Whether an incarnation of the actor exists in this state.
    pub(crate) fn is_live(self) -> bool {
        matches!(self, Self::Starting | Self::Running | Self::Stopping)
    }
}

/// Bits of [`ChildCell::orders`]: orders to a supervised future, and one flag that the actor sets.
pub(crate) mod order {
    /// Make an actor and run it.
    pub(crate) const START: u8 = 1;
    /// Stop within the grace.
    pub(crate) const STOP: u8 = 2;
    /// Drop the actor now.
    pub(crate) const KILL: u8 = 4;
    /// Close the mailbox and end.
    pub(crate) const REMOVE: u8 = 8;
    /// Panic at the next poll (fault tests).
    pub(crate) const INJECT: u8 = 16;
    /// Set by the actor: it handles `STOP` itself.
    pub(crate) const GRACEFUL: u8 = 32;
}

/// State shared by all cells of one tree.
#[derive(Debug)]
pub(crate) struct TreeShared {
    pub(crate) clock: Clock,
    /// Times in cells are milliseconds since this moment.
    pub(crate) epoch: Instant,
    pub(crate) events: broadcast::Sender<TreeEvent>,
    /// The root is shutting down: a child that ends now is dropped, not prepared for a restart.
    pub(crate) closing: AtomicBool,
}

impl TreeShared {
    pub(crate) fn elapsed_ms(&self) -> u64 {
        millis(self.clock.now().saturating_duration_since(self.epoch))
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Relaxed)
    }
}

/// State shared by the children of one supervisor.
#[derive(Debug)]
pub(crate) struct SupervisorScope {
    pub(crate) tree: Arc<TreeShared>,
    /// Path of the supervisor; empty for the root's own scope.
    pub(crate) path: String,
}

/// The children of a supervisor, as the tree and the stop deadlines read them.
pub(crate) trait Children: std::fmt::Debug + Send + Sync {
    /// Cells in start order; for a dynamic supervisor in the order of their names.
    fn cells(&self) -> Vec<Arc<ChildCell>>;
    /// The child with this name.
    fn find(&self, name: &str) -> Option<Arc<ChildCell>>;
    /// Time between the order to stop the supervisor and the order to kill it.
    fn grace(&self) -> Duration;
    /// The strategy; `None` for a dynamic supervisor.
    fn strategy(&self) -> Option<Strategy>;
    /// Policy, label and counters of the children of a dynamic supervisor; `None` for other supervisors.
    fn dynamic(&self) -> Option<Dynamic<'_>>;
}

/// The children of a dynamic supervisor, which all have one label and one restart policy.
pub(crate) struct Dynamic<'a> {
    pub(crate) kind: &'a Arc<str>,
    pub(crate) restart: Restart,
    pub(crate) stats: DynamicStats,
}

/// Counters of a dynamic supervisor, over all children that it has had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct DynamicStats {
    /// Children spawned so far.
    pub spawned: u64,
    /// Children that ended and were not restarted.
    pub ended: u64,
    /// Children out of `ended` that ended abnormally.
    pub ended_abnormally: u64,
    /// Restarts of its children.
    pub restarts: u64,
}

#[derive(Debug, Default)]
struct ExitRecord {
    /// Incarnation and reason of an end that the running incarnation has announced.
    reported: Option<(u32, ExitReason)>,
    /// How the previous incarnation ended.
    last: Option<ExitReason>,
}

#[derive(Debug)]
pub(crate) struct ChildCell {
    pub(crate) id: ChildId,
    pub(crate) kind: Arc<str>,
    pub(crate) restart: Restart,
    pub(crate) scope: Arc<SupervisorScope>,
    /// Set for a supervisor only.
    pub(crate) children: OnceLock<Arc<dyn Children>>,
    /// Milliseconds between the order to stop and the kill.
    pub(crate) grace_ms: u64,
    state: AtomicU8,
    orders: AtomicU8,
    /// Number of starts; the number of the incarnation is one less.
    starts: AtomicU32,
    pub(crate) handled: AtomicU64,
    /// Messages in the actor's queue; `u64::MAX` until the actor reports a length.
    pub(crate) mailbox_len: AtomicU64,
    /// Time of the last start, in milliseconds since the tree's epoch.
    since_ms: AtomicU64,
    /// Time of the scheduled restart, in milliseconds since the tree's epoch; 0 means none.
    restart_ms: AtomicU64,
    /// Set by the future's first poll. The waker of a task stays valid as long as the task.
    waker: OnceLock<Waker>,
    pub(crate) thread: OnceLock<Arc<str>>,
    /// Number of the first incarnation without an order to stop. Created by the first subscriber.
    stop_signal: OnceLock<watch::Sender<u32>>,
    exit: Mutex<ExitRecord>,
}

impl ChildCell {
    pub(crate) fn new(
        id: ChildId,
        kind: Arc<str>,
        restart: Restart,
        scope: Arc<SupervisorScope>,
        grace_ms: u64,
    ) -> Self {
        Self {
            id,
            kind,
            restart,
            scope,
            children: OnceLock::new(),
            grace_ms,
            state: AtomicU8::new(ChildStatus::Stopped as u8),
            orders: AtomicU8::new(0),
            starts: AtomicU32::new(0),
            handled: AtomicU64::new(0),
            mailbox_len: AtomicU64::new(u64::MAX),
            since_ms: AtomicU64::new(0),
            restart_ms: AtomicU64::new(0),
            waker: OnceLock::new(),
            thread: OnceLock::new(),
            stop_signal: OnceLock::new(),
            exit: Mutex::new(ExitRecord::default()),
        }
    }

    pub(crate) fn tree(&self) -> &Arc<TreeShared> {
        &self.scope.tree
    }

    /// Path from the root, steps joined by `/`.
    pub(crate) fn path(&self) -> String {
        if self.scope.path.is_empty() {
            self.id.to_string()
        } else {
            format!("{}/{}", self.scope.path, self.id)
        }
    }

    pub(crate) fn state(&self) -> ChildStatus {
        ChildStatus::from_u8(self.state.load(Ordering::Acquire))
    }

    pub(crate) fn set_state(&self, state: ChildStatus) {
        self.restart_ms.store(0, Ordering::Relaxed);
        self.state.store(state as u8, Ordering::Release);
    }

    pub(crate) fn set_backing_off(&self, after: Duration) {
        let due = self.tree().elapsed_ms() + millis(after);
        self.restart_ms.store(due.max(1), Ordering::Relaxed);
        self.state
            .store(ChildStatus::BackingOff as u8, Ordering::Release);
    }

    /// Milliseconds until the scheduled restart, if there is one.
    pub(crate) fn restart_in_ms(&self, now_ms: u64) -> Option<u64> {
        let due = self.restart_ms.load(Ordering::Relaxed);
        (self.state() == ChildStatus::BackingOff && due > 0).then(|| due.saturating_sub(now_ms))
    }

    pub(crate) fn since_ms(&self) -> u64 {
        self.since_ms.load(Ordering::Relaxed)
    }

    /// Time since the last start.
    pub(crate) fn up_for(&self) -> Duration {
        let up = self.tree().elapsed_ms().saturating_sub(self.since_ms());
        Duration::from_millis(up)
    }

    pub(crate) fn starts(&self) -> u32 {
        self.starts.load(Ordering::Acquire)
    }

    pub(crate) fn incarnation(&self) -> u32 {
        self.starts().saturating_sub(1)
    }

    /// Records a start and returns the number of starts.
    pub(crate) fn begin(&self) -> u32 {
        self.since_ms
            .store(self.tree().elapsed_ms(), Ordering::Relaxed);
        self.set_state(ChildStatus::Starting);
        self.starts.fetch_add(1, Ordering::AcqRel) + 1
    }

    pub(crate) fn orders(&self) -> u8 {
        self.orders.load(Ordering::SeqCst)
    }

    pub(crate) fn has_order(&self, bit: u8) -> bool {
        self.orders() & bit != 0
    }

    /// Gives orders without a wake-up: for the future's own thread, or before its first poll.
    pub(crate) fn set_orders(&self, bits: u8) {
        self.orders.fetch_or(bits, Ordering::SeqCst);
    }

    pub(crate) fn clear_orders(&self, bits: u8) {
        self.orders.fetch_and(!bits, Ordering::SeqCst);
    }

    /// Gives orders and wakes the future, from any thread.
    pub(crate) fn order(&self, bits: u8) {
        self.orders.fetch_or(bits, Ordering::SeqCst);
        // Pairs with the fence in `register_waker`: either this thread sees the waker, or the
        // future's first poll sees the bits. Without the fences both could read old values, and
        // the order would wait until something else wakes the task.
        fence(Ordering::SeqCst);
        if let Some(waker) = self.waker.get() {
            waker.wake_by_ref();
        }
    }

    /// Called by the future's first poll, before it reads its orders.
    pub(crate) fn register_waker(&self, waker: &Waker) {
        let _ = self.waker.set(waker.clone());
        fence(Ordering::SeqCst);
    }

    /// Orders the running incarnation to stop.
    pub(crate) fn order_stop(&self) {
        self.set_state(ChildStatus::Stopping);
        self.order(order::STOP);
        self.signal_stop(self.incarnation());
    }

    /// Notifies the subscribers of this and of older incarnations that it is to stop, or has ended.
    pub(crate) fn signal_stop(&self, incarnation: u32) {
        if let Some(signal) = self.stop_signal.get() {
            signal.send_if_modified(|first| {
                let moved = *first <= incarnation;
                *first = (*first).max(incarnation + 1);
                moved
            });
        }
    }

    pub(crate) fn subscribe_stop(&self) -> watch::Receiver<u32> {
        self.stop_signal
            .get_or_init(|| {
                // The order may precede the first subscription, which must still report it.
                let ordered = self.has_order(order::STOP) && self.state() == ChildStatus::Stopping;
                watch::channel(self.incarnation() + u32::from(ordered)).0
            })
            .subscribe()
    }

    fn exit(&self) -> MutexGuard<'_, ExitRecord> {
        self.exit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records the reason with which an incarnation is about to end. The first reason counts.
    pub(crate) fn report(&self, incarnation: u32, reason: ExitReason) {
        let mut exit = self.exit();
        match &exit.reported {
            Some((known, _)) if *known >= incarnation => {}
            _ => exit.reported = Some((incarnation, reason)),
        }
    }

    /// The reason that the incarnation has recorded, if any.
    pub(crate) fn take_report(&self, incarnation: u32) -> Option<ExitReason> {
        let mut exit = self.exit();
        match exit.reported.take() {
            Some((known, reason)) if known == incarnation => Some(reason),
            _ => None,
        }
    }

    pub(crate) fn last_exit(&self) -> Option<ExitReason> {
        self.exit().last.clone()
    }

    pub(crate) fn set_last_exit(&self, reason: ExitReason) {
        self.exit().last = Some(reason);
    }

    /// Publishes a change, if there are subscribers.
    pub(crate) fn publish(&self, change: impl FnOnce() -> ChildChange) {
        let tree = self.tree();
        if tree.events.receiver_count() > 0 {
            let _ = tree.events.send(TreeEvent {
                at_ms: tree.clock.now_ms(),
                path: self.path(),
                kind: self.kind.clone(),
                change: change(),
            });
        }
    }
}
