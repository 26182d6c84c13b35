//! The cell of a child: what the rest of the house may see of it and ask of it, from any thread,
//! without waiting for the child.
//!
//! The supervised future writes its state here; the tree reads it. Orders to the future are bits
//! here plus a wake-up of its task, so that they never queue behind messages.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Waker;

use serde::Serialize;
use tokio::sync::{broadcast, watch};
use tokio::time::Instant;

use crate::clock::{Clock, millis};
use crate::dynamic::DynShared;
use crate::exit::ExitReason;
use crate::id::ChildId;
use crate::recipe::Recipe;
use crate::tree::{Change, TreeEvent};

/// What a child is doing now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum State {
    /// Its value is being made, or `started` has not returned yet.
    Starting = 0,
    /// It handles messages.
    Running = 1,
    /// It ended and waits for its restart.
    BackingOff = 2,
    /// It was asked to stop and has not ended yet.
    Stopping = 3,
    /// It does not run and no restart is due.
    Stopped = 4,
    /// A supervisor that met its intensity and was not restarted.
    GaveUp = 5,
}

impl State {
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

    /// Whether a value of the actor is alive in this state.
    pub(crate) fn is_live(self) -> bool {
        matches!(self, Self::Starting | Self::Running | Self::Stopping)
    }
}

/// Orders to a supervised future (and one answer of it).
pub(crate) mod order {
    /// Make a value and run it.
    pub(crate) const START: u8 = 1;
    /// Stop when your work allows it.
    pub(crate) const STOP: u8 = 2;
    /// Drop the actor now.
    pub(crate) const KILL: u8 = 4;
    /// Close the mailbox and end.
    pub(crate) const REMOVE: u8 = 8;
    /// Panic at the next step (fault tests).
    pub(crate) const INJECT: u8 = 16;
    /// Set by the actor: it watches for `STOP` itself.
    pub(crate) const GRACEFUL: u8 = 32;
}

/// What all cells of one tree share.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) clock: Clock,
    /// Times in cells are milliseconds since this moment.
    pub(crate) epoch: Instant,
    pub(crate) events: broadcast::Sender<TreeEvent>,
    /// The root is shutting down: what ends now is dropped, not prepared for a restart.
    pub(crate) closing: AtomicBool,
}

impl World {
    pub(crate) fn elapsed_ms(&self) -> u64 {
        millis(self.clock.now().saturating_duration_since(self.epoch))
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Relaxed)
    }
}

/// What the children of one supervisor share.
#[derive(Debug)]
pub(crate) struct Scope {
    pub(crate) world: Arc<World>,
    /// Path of the supervisor; empty for the root's own scope.
    pub(crate) path: String,
}

/// Children of a cell, if it is a supervisor's.
#[derive(Debug)]
pub(crate) enum Branch {
    Fixed(Arc<Recipe>),
    Dynamic(Arc<DynShared>),
}

#[derive(Debug, Default)]
struct Ending {
    /// What the running incarnation said about how it is going to end.
    reported: Option<(u32, ExitReason)>,
    /// How the incarnation before ended.
    last: Option<ExitReason>,
}

#[derive(Debug)]
pub(crate) struct ChildCell {
    pub(crate) id: ChildId,
    pub(crate) kind: Arc<str>,
    pub(crate) scope: Arc<Scope>,
    pub(crate) branch: OnceLock<Branch>,
    /// Milliseconds between the order to stop and the kill.
    pub(crate) grace_ms: u64,
    state: AtomicU8,
    orders: AtomicU8,
    /// How often it was started; the incarnation is one less.
    starts: AtomicU32,
    pub(crate) handled: AtomicU64,
    /// `u64::MAX` until the actor reports one.
    pub(crate) mailbox_len: AtomicU64,
    /// When the state last became `Starting`.
    since_ms: AtomicU64,
    /// When the restart is due; 0 if none is.
    restart_ms: AtomicU64,
    /// Set by the future's first poll. A task's waker stays valid for its whole life.
    waker: OnceLock<Waker>,
    pub(crate) thread: OnceLock<Arc<str>>,
    /// Number of the first incarnation that was not asked to stop. Made when somebody watches it.
    stop_line: OnceLock<watch::Sender<u32>>,
    ending: Mutex<Ending>,
}

impl ChildCell {
    pub(crate) fn new(id: ChildId, kind: Arc<str>, scope: Arc<Scope>, grace_ms: u64) -> Self {
        Self {
            id,
            kind,
            scope,
            branch: OnceLock::new(),
            grace_ms,
            state: AtomicU8::new(State::Stopped as u8),
            orders: AtomicU8::new(0),
            starts: AtomicU32::new(0),
            handled: AtomicU64::new(0),
            mailbox_len: AtomicU64::new(u64::MAX),
            since_ms: AtomicU64::new(0),
            restart_ms: AtomicU64::new(0),
            waker: OnceLock::new(),
            thread: OnceLock::new(),
            stop_line: OnceLock::new(),
            ending: Mutex::new(Ending::default()),
        }
    }

    pub(crate) fn world(&self) -> &Arc<World> {
        &self.scope.world
    }

    /// Path from the root, steps joined by `/`.
    pub(crate) fn path(&self) -> String {
        if self.scope.path.is_empty() {
            self.id.to_string()
        } else {
            format!("{}/{}", self.scope.path, self.id)
        }
    }

    pub(crate) fn state(&self) -> State {
        State::from_u8(self.state.load(Ordering::Acquire))
    }

    pub(crate) fn set_state(&self, state: State) {
        self.restart_ms.store(0, Ordering::Relaxed);
        self.state.store(state as u8, Ordering::Release);
    }

    pub(crate) fn set_backing_off(&self, after: std::time::Duration) {
        let due = self.world().elapsed_ms() + millis(after);
        self.restart_ms.store(due.max(1), Ordering::Relaxed);
        self.state.store(State::BackingOff as u8, Ordering::Release);
    }

    /// Milliseconds until the restart that is due, if one is.
    pub(crate) fn restart_in_ms(&self, now_ms: u64) -> Option<u64> {
        let due = self.restart_ms.load(Ordering::Relaxed);
        (self.state() == State::BackingOff && due > 0).then(|| due.saturating_sub(now_ms))
    }

    pub(crate) fn since_ms(&self) -> u64 {
        self.since_ms.load(Ordering::Relaxed)
    }

    /// How long the running (or just ended) incarnation has been up.
    pub(crate) fn up_for(&self) -> std::time::Duration {
        let up = self.world().elapsed_ms().saturating_sub(self.since_ms());
        std::time::Duration::from_millis(up)
    }

    pub(crate) fn starts(&self) -> u32 {
        self.starts.load(Ordering::Acquire)
    }

    pub(crate) fn incarnation(&self) -> u32 {
        self.starts().saturating_sub(1)
    }

    /// Counts a start.
    pub(crate) fn begin(&self) -> u32 {
        self.since_ms
            .store(self.world().elapsed_ms(), Ordering::Relaxed);
        self.set_state(State::Starting);
        self.starts.fetch_add(1, Ordering::AcqRel) + 1
    }

    pub(crate) fn orders(&self) -> u8 {
        self.orders.load(Ordering::SeqCst)
    }

    pub(crate) fn has_order(&self, bit: u8) -> bool {
        self.orders() & bit != 0
    }

    /// Sets bits that nobody has to be woken for.
    pub(crate) fn note(&self, bits: u8) {
        self.orders.fetch_or(bits, Ordering::SeqCst);
    }

    pub(crate) fn clear(&self, bits: u8) {
        self.orders.fetch_and(!bits, Ordering::SeqCst);
    }

    /// Gives an order and wakes the future, from any thread.
    pub(crate) fn order(&self, bits: u8) {
        self.orders.fetch_or(bits, Ordering::SeqCst);
        // Pairs with the fence in `attend`: either we see the waker or the future sees the bits.
        fence(Ordering::SeqCst);
        if let Some(waker) = self.waker.get() {
            waker.wake_by_ref();
        }
    }

    /// Called by the future's first poll, before it looks at its orders.
    pub(crate) fn attend(&self, waker: &Waker) {
        let _ = self.waker.set(waker.clone());
        fence(Ordering::SeqCst);
    }

    /// Gives the order to stop the incarnation that runs now.
    pub(crate) fn order_stop(&self) {
        self.set_state(State::Stopping);
        self.order(order::STOP);
        self.move_stop_line(self.incarnation());
    }

    /// Everybody who watches this or an older incarnation learns that it is to stop, or has ended.
    pub(crate) fn move_stop_line(&self, incarnation: u32) {
        if let Some(line) = self.stop_line.get() {
            line.send_if_modified(|first| {
                let moved = *first <= incarnation;
                *first = (*first).max(incarnation + 1);
                moved
            });
        }
    }

    pub(crate) fn watch_stop_line(&self) -> watch::Receiver<u32> {
        self.stop_line
            .get_or_init(|| {
                // Whoever watches only now must still learn of an order already given.
                let asked = self.has_order(order::STOP) && self.state() == State::Stopping;
                watch::channel(self.incarnation() + u32::from(asked)).0
            })
            .subscribe()
    }

    fn ending(&self) -> MutexGuard<'_, Ending> {
        self.ending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What an incarnation says about its own end; the first word counts.
    pub(crate) fn report(&self, incarnation: u32, reason: ExitReason) {
        let mut ending = self.ending();
        match &ending.reported {
            Some((known, _)) if *known >= incarnation => {}
            _ => ending.reported = Some((incarnation, reason)),
        }
    }

    /// What the incarnation reported, if it did.
    pub(crate) fn take_report(&self, incarnation: u32) -> Option<ExitReason> {
        let mut ending = self.ending();
        match ending.reported.take() {
            Some((known, reason)) if known == incarnation => Some(reason),
            _ => None,
        }
    }

    pub(crate) fn last_exit(&self) -> Option<ExitReason> {
        self.ending().last.clone()
    }

    pub(crate) fn set_last_exit(&self, reason: ExitReason) {
        self.ending().last = Some(reason);
    }

    /// Publishes a change, if anybody listens.
    pub(crate) fn publish(&self, change: impl FnOnce() -> Change) {
        let world = self.world();
        if world.events.receiver_count() > 0 {
            let _ = world.events.send(TreeEvent {
                at_ms: world.clock.now_ms(),
                path: self.path(),
                kind: self.kind.clone(),
                change: change(),
            });
        }
    }
}
