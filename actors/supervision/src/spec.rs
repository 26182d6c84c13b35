//! Child specs: recipes for children, not values.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Context, Supervised};
use actix_rt::ArbiterHandle;

use crate::backoff::BackoffPolicy;
use crate::cell::{ChildCell, Scope};
use crate::clock::millis;
use crate::context::ChildContext;
use crate::id::ChildId;
use crate::keeper::ChildKeeper;
use crate::machine::Restart;
use crate::mailbox::{Mailbox, mailbox};
use crate::runner::Runner;

/// How a child is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Its future is dropped; not a line of its code runs.
    Kill,
    /// It is asked, and dropped if it has not ended after this time. An actor that did not opt in
    /// ([`ChildContext::on_stop`]) is stopped at once, through `stopping` and `stopped`.
    Grace(Duration),
}

impl Default for Stop {
    fn default() -> Self {
        Self::Grace(Duration::from_secs(5))
    }
}

/// Starts the supervised future on the thread it is called on.
pub(crate) type Launch = Box<dyn FnOnce(Arc<ChildCell>, ChildKeeper) + Send>;
/// Hangs the children of a supervisor below its cell.
pub(crate) type Graft = Box<dyn FnOnce(&Arc<ChildCell>) + Send>;

/// A recipe for one child: how to make it, when to restart it, how to stop it, where it runs.
pub struct ChildSpec {
    pub(crate) id: ChildId,
    pub(crate) kind: Arc<str>,
    pub(crate) restart: Restart,
    pub(crate) stop: Stop,
    pub(crate) backoff: BackoffPolicy,
    pub(crate) place: Option<ArbiterHandle>,
    pub(crate) launch: Launch,
    pub(crate) graft: Option<Graft>,
}

impl ChildSpec {
    /// A child named `id` that sits on `mailbox`; `factory` makes its value, for the first start and
    /// for every restart.
    ///
    /// A factory builds a value and does nothing else: the next value is made as soon as the old
    /// one ended, before the backoff has passed and before the old one is dropped. Open files and
    /// connections in `started`. A panic in the factory counts as an end of the child.
    pub fn new<A, F>(id: impl Into<ChildId>, mailbox: Mailbox<A>, factory: F) -> Self
    where
        A: Supervised + Actor<Context = Context<A>>,
        F: FnMut(&ChildContext) -> A + Send + 'static,
    {
        let Mailbox { receiver, addr } = mailbox;
        let launch: Launch = Box::new(move |cell, keeper| {
            // The address in the keeper keeps the mailbox connected: a supervised actor ends when
            // it is told to, not when nobody happens to hold its address.
            let keeper = keeper.holding(Box::new(addr));
            tokio::task::spawn_local(Runner::new(cell, receiver, factory, keeper));
        });
        Self {
            id: id.into(),
            kind: short_name::<A>().into(),
            restart: Restart::default(),
            stop: Stop::default(),
            backoff: BackoffPolicy::default(),
            place: None,
            launch,
            graft: None,
        }
    }

    /// As [`new`](Self::new), for a child whose address nobody needs.
    pub fn simple<A, F>(id: impl Into<ChildId>, factory: F) -> Self
    where
        A: Supervised + Actor<Context = Context<A>>,
        F: FnMut(&ChildContext) -> A + Send + 'static,
    {
        Self::new(id, mailbox().0, factory)
    }

    /// When it is restarted. Default: permanent.
    #[must_use]
    pub fn restart(mut self, restart: Restart) -> Self {
        self.restart = restart;
        self
    }

    /// How it is stopped. Default: five seconds of grace. Supervisors ignore it: each of their
    /// children has its own deadline, and the sum of these is theirs.
    #[must_use]
    pub fn stop(mut self, stop: Stop) -> Self {
        self.stop = stop;
        self
    }

    /// Delays before its restarts.
    #[must_use]
    pub fn backoff(mut self, policy: BackoffPolicy) -> Self {
        self.backoff = policy;
        self
    }

    /// Runs it on another thread. Default: the thread of its supervisor.
    #[must_use]
    pub fn on(mut self, arbiter: &ArbiterHandle) -> Self {
        self.place = Some(arbiter.clone());
        self
    }

    /// A label shown in the tree. Default: the type's name in lower case.
    #[must_use]
    pub fn kind(mut self, kind: impl Into<Arc<str>>) -> Self {
        self.kind = kind.into();
        self
    }

    /// Name of the child among its siblings.
    pub fn id(&self) -> &ChildId {
        &self.id
    }

    /// The cell of this child below `scope`, its own children grafted on.
    pub(crate) fn cell(&mut self, scope: &Arc<Scope>) -> Arc<ChildCell> {
        let grace_ms = match self.stop {
            Stop::Kill => 0,
            Stop::Grace(grace) => millis(grace),
        };
        let cell = Arc::new(ChildCell::new(
            self.id.clone(),
            self.kind.clone(),
            scope.clone(),
            grace_ms,
        ));
        if let Some(graft) = self.graft.take() {
            graft(&cell);
        }
        cell
    }
}

impl std::fmt::Debug for ChildSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChildSpec")
            .field("id", &self.id)
            .field("kind", &self.kind)
            .field("restart", &self.restart)
            .field("stop", &self.stop)
            .finish_non_exhaustive()
    }
}

/// `kirosu_hub::writer::Writer` -> `writer`.
pub(crate) fn short_name<A>() -> String {
    let full = std::any::type_name::<A>();
    let plain = full.split('<').next().unwrap_or(full);
    plain.rsplit("::").next().unwrap_or(plain).to_lowercase()
}
