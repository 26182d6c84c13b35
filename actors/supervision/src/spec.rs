//! Child specs: factories and policies of children.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Context, Supervised};
use actix_rt::ArbiterHandle;

use crate::backoff::BackoffPolicy;
use crate::cell::{ChildCell, SupervisorScope};
use crate::clock::millis;
use crate::context::ChildContext;
use crate::id::ChildId;
use crate::machine::Restart;
use crate::mailbox::{Mailbox, mailbox};
use crate::monitor::ChildMonitor;
use crate::runner::ChildRunner;

/// Defines methods of a spec, each of which sets the field of its name and returns the spec.
macro_rules! setters {
    ($($(#[$doc:meta])* $field:ident: $ty:ty;)*) => {
        $($(#[$doc])*
        #[must_use]
        pub fn $field(mut self, $field: $ty) -> Self {
            self.$field = $field;
            self
        })*
    };
}
pub(crate) use setters;

/// Treatment of a child that is to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopPolicy {
    /// Its future is dropped; of its code only `Drop` runs.
    Kill,
    /// It is ordered to stop, and dropped if it has not ended after this time. An actor without
    /// [`ChildContext::on_stop`] stops immediately, through `stopping` and `stopped`.
    Grace(Duration),
}

impl Default for StopPolicy {
    fn default() -> Self {
        Self::Grace(Duration::from_secs(5))
    }
}

/// Creates the supervised future on the calling thread.
pub(crate) type LaunchFn = Box<dyn FnOnce(Arc<ChildCell>, ChildMonitor) + Send>;
/// Attaches the children of a supervisor to its cell.
pub(crate) type AttachFn = Box<dyn FnOnce(&Arc<ChildCell>) + Send>;

/// Description of one child: its factory, its restart and stop policies, and its thread.
pub struct ChildSpec {
    pub(crate) id: ChildId,
    pub(crate) kind: Arc<str>,
    pub(crate) restart: Restart,
    pub(crate) stop: StopPolicy,
    pub(crate) backoff: BackoffPolicy,
    pub(crate) arbiter: Option<ArbiterHandle>,
    pub(crate) launch: LaunchFn,
    pub(crate) attach: Option<AttachFn>,
}

impl ChildSpec {
    /// A child named `id` that reads `mailbox`. `factory` makes its actor, for the first start and
    /// for every restart.
    ///
    /// A factory must have no side effects: the next actor is made immediately after the end of
    /// the old one, before the restart delay and before the old one is dropped. Open files and
    /// connections in `started`. A panic in the factory counts as an end of the child.
    pub fn new<A, F>(id: impl Into<ChildId>, mailbox: Mailbox<A>, factory: F) -> Self
    where
        A: Supervised + Actor<Context = Context<A>>,
        F: FnMut(&ChildContext) -> A + Send + 'static,
    {
        let Mailbox { receiver, addr } = mailbox;
        let launch: LaunchFn = Box::new(move |cell, monitor| {
            // The address in the monitor keeps the mailbox connected. Without it, the actor would
            // end as soon as no other address of it exists.
            let monitor = monitor.with_address(Box::new(addr));
            tokio::task::spawn_local(ChildRunner::new(cell, receiver, factory, monitor));
        });
        let id = id.into();
        Self {
            kind: id.to_string().into(),
            id,
            restart: Restart::default(),
            stop: StopPolicy::default(),
            backoff: BackoffPolicy::default(),
            arbiter: None,
            launch,
            attach: None,
        }
    }

    /// As [`new`](Self::new), for a child whose address is not used.
    pub fn simple<A, F>(id: impl Into<ChildId>, factory: F) -> Self
    where
        A: Supervised + Actor<Context = Context<A>>,
        F: FnMut(&ChildContext) -> A + Send + 'static,
    {
        Self::new(id, mailbox().0, factory)
    }

    setters! {
        /// Sets the ends after which the child is restarted. Default: permanent.
        restart: Restart;
        /// Sets the stop policy. Default: a grace of 5 s. Without effect on a supervisor, whose grace
        /// is the sum of those of its children.
        stop: StopPolicy;
        /// Sets the delays before restarts. Default: [`BackoffPolicy::default`].
        backoff: BackoffPolicy;
    }

    /// Sets the thread. Default: the thread of the supervisor.
    #[must_use]
    pub fn on(mut self, arbiter: &ArbiterHandle) -> Self {
        self.arbiter = Some(arbiter.clone());
        self
    }

    /// Sets the label that the tree shows. Default: the id. Children whose names are numbers need one
    /// of their own.
    #[must_use]
    pub fn kind(mut self, kind: impl Into<Arc<str>>) -> Self {
        self.kind = kind.into();
        self
    }

    /// Name of the child among its siblings.
    pub fn id(&self) -> &ChildId {
        &self.id
    }

    /// Creates the cell of this child below `scope`, with the child's own children attached.
    pub(crate) fn cell(&mut self, scope: &Arc<SupervisorScope>) -> Arc<ChildCell> {
        let grace_ms = match self.stop {
            StopPolicy::Kill => 0,
            StopPolicy::Grace(grace) => millis(grace),
        };
        let cell = Arc::new(ChildCell::new(
            self.id.clone(),
            self.kind.clone(),
            self.restart,
            scope.clone(),
            grace_ms,
        ));
        if let Some(attach) = self.attach.take() {
            attach(&cell);
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
