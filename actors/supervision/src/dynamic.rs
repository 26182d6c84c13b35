//! A supervisor for very many short-lived children of one kind.
//!
//! Children are spawned by a plain call, without a message to anybody: one lock of a map, one
//! task. Each child's own future decides about its restart; the actor of this supervisor only
//! opens the door, stops everybody, and ends when the children fail too often.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use actix::dev::channel::channel;
use actix::{Actor, Addr, AsyncContext as _, Context, Handler, Message, Supervised};

use crate::backoff::{BackoffPolicy, Delays};
use crate::cell::{Branch, ChildCell, Scope, order};
use crate::context::ChildContext;
use crate::deadline::SLACK;
use crate::exit::ExitReason;
use crate::id::ChildId;
use crate::machine::{Ended, Intensity, Restart, RestartMachine, Verdict};
use crate::runner::{After, Keeper, Runner};
use crate::seat::{Seat, seat};
use crate::spec::ChildSpec;
use crate::tree::{Change, Past};

/// Why a child was not spawned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SpawnError {
    /// The supervisor has not started, is stopping, or waits for its own restart.
    #[error("the supervisor takes no children now")]
    Closed,
    /// It has a child of this name.
    #[error("the supervisor has a child of this name already")]
    Duplicate,
}

/// A recipe for a dynamic supervisor.
pub struct DynamicSpec {
    id: ChildId,
    kind: Arc<str>,
    restart: Restart,
    intensity: Intensity,
    backoff: BackoffPolicy,
    grace: Duration,
    /// The handle may be taken before the settings are complete.
    shared: Arc<OnceLock<Arc<DynShared>>>,
    seat: Seat<DynamicSupervisor>,
}

impl DynamicSpec {
    /// For temporary children with a grace of five seconds.
    pub fn new(id: impl Into<ChildId>) -> Self {
        Self {
            id: id.into(),
            kind: "child".into(),
            restart: Restart::Temporary,
            intensity: Intensity {
                restarts: 100,
                period: Duration::from_secs(10),
            },
            backoff: BackoffPolicy::default(),
            grace: Duration::from_secs(5),
            shared: Arc::default(),
            seat: seat().0,
        }
    }

    /// The label of its children in the tree.
    #[must_use]
    pub fn kind(mut self, kind: impl Into<Arc<str>>) -> Self {
        self.kind = kind.into();
        self
    }

    /// When its children are restarted. Default: never (temporary).
    #[must_use]
    pub fn restart(mut self, restart: Restart) -> Self {
        self.restart = restart;
        self
    }

    /// How many restarts, of all its children together, it bears. Default: 100 in 10 seconds.
    #[must_use]
    pub fn intensity(mut self, intensity: Intensity) -> Self {
        self.intensity = intensity;
        self
    }

    /// Delays before the restarts of one child.
    #[must_use]
    pub fn backoff(mut self, backoff: BackoffPolicy) -> Self {
        self.backoff = backoff;
        self
    }

    /// How long all children together may take to stop; then they are dropped. Default: 5 s.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// A handle on the supervisor, valid before and after its start and through its restarts.
    pub fn handle(&self) -> DynamicHandle {
        DynamicHandle {
            shared: self.shared.clone(),
        }
    }
}

impl std::fmt::Debug for DynamicSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DynamicSpec")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl ChildSpec {
    /// A dynamic supervisor as a child. When it is restarted, its children do not come back:
    /// nobody kept their recipes.
    pub fn dynamic(spec: DynamicSpec) -> Self {
        let shared = Arc::new(DynShared {
            addr: spec.seat.addr(),
            kind: spec.kind,
            restart: spec.restart,
            backoff: spec.backoff,
            grace: spec.grace,
            intensity: spec.intensity,
            scope: OnceLock::new(),
            open: AtomicBool::new(false),
            inner: Mutex::new(Inner {
                children: HashMap::new(),
                machine: RestartMachine::new(spec.intensity),
            }),
            spawned: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            ended_abnormally: AtomicU64::new(0),
            restarts: AtomicU64::new(0),
        });
        let _ = spec.shared.set(shared.clone());
        let owned = shared.clone();
        let mut child = Self::new(spec.id, spec.seat, move |child| DynamicSupervisor {
            child: child.clone(),
            shared: owned.clone(),
            started: false,
        });
        child.graft = Some(Box::new(move |cell: &Arc<ChildCell>| {
            let _ = shared.scope.set(Arc::new(Scope {
                world: cell.world().clone(),
                path: cell.path(),
            }));
            let _ = cell.branch.set(Branch::Dynamic(shared));
        }));
        child.kind("supervisor")
    }
}

/// What the children of a dynamic supervisor, its handles and its actor share.
pub(crate) struct DynShared {
    addr: Addr<DynamicSupervisor>,
    kind: Arc<str>,
    restart: Restart,
    backoff: BackoffPolicy,
    pub(crate) grace: Duration,
    intensity: Intensity,
    scope: OnceLock<Arc<Scope>>,
    open: AtomicBool,
    inner: Mutex<Inner>,
    spawned: AtomicU64,
    ended: AtomicU64,
    ended_abnormally: AtomicU64,
    restarts: AtomicU64,
}

struct Inner {
    children: HashMap<ChildId, Arc<ChildCell>>,
    machine: RestartMachine,
}

impl std::fmt::Debug for DynShared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DynShared")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

impl DynShared {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_open(&self) -> bool {
        self.open.load(Ordering::Acquire)
    }

    /// Cells in the order of their names.
    pub(crate) fn cells(&self) -> Vec<Arc<ChildCell>> {
        let mut cells: Vec<_> = self.inner().children.values().cloned().collect();
        cells.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        cells
    }

    pub(crate) fn find(&self, step: &str) -> Option<Arc<ChildCell>> {
        let inner = self.inner();
        let number = step.parse().ok().map(ChildId::Number);
        number
            .and_then(|id| inner.children.get(&id))
            .or_else(|| inner.children.get(&ChildId::from(step)))
            .cloned()
    }

    pub(crate) fn past(&self) -> Past {
        Past {
            spawned: self.spawned.load(Ordering::Relaxed),
            ended: self.ended.load(Ordering::Relaxed),
            ended_abnormally: self.ended_abnormally.load(Ordering::Relaxed),
            restarts: self.restarts.load(Ordering::Relaxed),
        }
    }

    fn order_all(&self, bits: u8) {
        for cell in self.cells() {
            if bits == order::STOP && cell.state().is_live() {
                cell.order_stop();
            } else {
                cell.order(bits);
            }
        }
    }

    /// Takes a child that ended out of the map, and tells a supervisor that waits for the last.
    fn leave(&self, cell: &ChildCell, abnormally: bool) {
        self.ended.fetch_add(1, Ordering::Relaxed);
        if abnormally {
            self.ended_abnormally.fetch_add(1, Ordering::Relaxed);
        }
        let empty = {
            let mut inner = self.inner();
            inner.children.remove(&cell.id);
            inner.children.is_empty()
        };
        if empty && !self.is_open() {
            self.addr.do_send(News::Empty);
        }
    }
}

/// Handle on a dynamic supervisor: clone it, send it, spawn from any thread that runs an arbiter.
#[derive(Clone)]
pub struct DynamicHandle {
    shared: Arc<OnceLock<Arc<DynShared>>>,
}

impl DynamicHandle {
    /// Starts a child on the calling thread. It begins to run when this thread next yields.
    ///
    /// Unlike a child with a spec it also ends when nobody holds its address any more and it has
    /// nothing spawned, as any actix actor does.
    ///
    /// # Panics
    /// When the calling thread runs neither an arbiter nor a `LocalSet`.
    pub fn spawn<A, F>(&self, id: impl Into<ChildId>, factory: F) -> Result<Addr<A>, SpawnError>
    where
        A: Supervised + Actor<Context = Context<A>>,
        F: FnMut(&ChildContext) -> A + 'static,
    {
        let shared = self.shared.get().ok_or(SpawnError::Closed)?;
        let scope = shared.scope.get().ok_or(SpawnError::Closed)?;
        let id = id.into();
        let cell = Arc::new(ChildCell::new(
            id.clone(),
            shared.kind.clone(),
            scope.clone(),
            crate::clock::millis(shared.grace),
        ));
        cell.note(order::START);
        {
            let mut inner = shared.inner();
            // Under the lock, so that nobody slips in behind the order to stop everybody.
            if !shared.is_open() {
                return Err(SpawnError::Closed);
            }
            match inner.children.entry(id) {
                std::collections::hash_map::Entry::Occupied(_) => {
                    return Err(SpawnError::Duplicate);
                }
                std::collections::hash_map::Entry::Vacant(place) => place.insert(cell.clone()),
            };
        }
        shared.spawned.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = channel(CAPACITY);
        let keeper = DynamicKeeper {
            shared: shared.clone(),
            delays: None,
        };
        tokio::task::spawn_local(Runner::new(cell, receiver, factory, keeper));
        Ok(Addr::new(sender))
    }

    /// Asks one child to stop; it is dropped if it has not ended after the supervisor's grace.
    /// False if there is none of this name. Does not wait.
    pub fn stop(&self, id: impl Into<ChildId>) -> bool {
        let Some(shared) = self.shared.get() else {
            return false;
        };
        let id = id.into();
        let cell = shared.inner().children.get(&id).cloned();
        let Some(cell) = cell else {
            return false;
        };
        if cell.state().is_live() {
            cell.order_stop();
        } else {
            cell.order(order::STOP);
        }
        shared.addr.do_send(News::Stopping(cell));
        true
    }

    /// Drops one child at once. False if there is none of this name.
    pub fn kill(&self, id: impl Into<ChildId>) -> bool {
        let Some(shared) = self.shared.get() else {
            return false;
        };
        let cell = shared.inner().children.get(&id.into()).cloned();
        match cell {
            Some(cell) => {
                cell.order(GONE);
                true
            }
            None => false,
        }
    }

    /// Number of children, those waiting for a restart included.
    pub fn len(&self) -> usize {
        self.shared
            .get()
            .map_or(0, |shared| shared.inner().children.len())
    }

    /// Whether there is no child.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether [`spawn`](Self::spawn) would be heard.
    pub fn is_open(&self) -> bool {
        self.shared.get().is_some_and(|shared| shared.is_open())
    }
}

impl std::fmt::Debug for DynamicHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DynamicHandle")
    }
}

const CAPACITY: usize = 1024;

/// Killed for good: whatever its restart policy says.
const GONE: u8 = order::KILL | order::REMOVE;

struct DynamicKeeper {
    shared: Arc<DynShared>,
    delays: Option<Delays>,
}

impl Keeper for DynamicKeeper {
    fn started(&mut self, _: &ChildCell) {}

    fn decide(&mut self, cell: &ChildCell, reason: &ExitReason, asked: bool) -> After {
        let shared = &self.shared;
        if asked || !shared.is_open() {
            return After::End;
        }
        // A path costs an allocation, and most children are temporary.
        let name = match shared.restart {
            Restart::Temporary => return After::End,
            Restart::Permanent | Restart::Transient => cell.path(),
        };
        let ended = Ended {
            child: &name,
            restart: shared.restart,
            reason,
            up_for: cell.up_for(),
            healthy_after: shared.backoff.healthy_after,
        };
        let delays = self.delays.get_or_insert_with(|| shared.backoff.delays());
        let now = cell.world().clock.now();
        let verdict = shared.inner().machine.on_exit(&ended, delays, now);
        match verdict {
            Verdict::Leave => After::End,
            Verdict::Restart { after } => {
                shared.restarts.fetch_add(1, Ordering::Relaxed);
                After::Restart(after)
            }
            Verdict::GiveUp(why) => {
                shared.addr.do_send(News::TooMany(why));
                After::End
            }
        }
    }

    fn ended(&mut self, cell: &Arc<ChildCell>, reason: ExitReason, after: After) {
        let abnormally = reason.is_abnormal();
        let restart = match after {
            After::Restart(delay) => Some(delay),
            After::Idle | After::End => None,
        };
        if restart.is_none() {
            self.shared.leave(cell, abnormally);
        }
        if abnormally {
            let child = cell.path();
            tracing::warn!(%child, %reason, restart_in = ?restart, "ended");
            cell.publish(|| Change::Exited {
                reason,
                restart_in_ms: restart.map(crate::clock::millis),
            });
        }
    }

    fn gone(&mut self, cell: &Arc<ChildCell>) {
        self.shared.leave(cell, true);
    }
}

/// What its children tell the actor.
enum News {
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
            News::Stopping(cell) => {
                let starts = cell.starts();
                ctx.run_later(self.shared.grace, move |_, _| {
                    if cell.starts() == starts && cell.state().is_live() {
                        tracing::warn!(child = %cell.path(), "has not stopped within its grace: killing it");
                        cell.order(GONE);
                    }
                });
            }
        }
    }
}

impl DynamicSupervisor {
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
        tracing::info!(supervisor = %self.child.path(), "stopping all children");
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
