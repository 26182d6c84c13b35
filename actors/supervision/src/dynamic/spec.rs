//! Recipes for dynamic supervisors.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use super::shared::{DynShared, Inner};
use super::{DynamicHandle, DynamicSupervisor};
use crate::backoff::BackoffPolicy;
use crate::cell::{Branch, ChildCell, Scope};
use crate::id::ChildId;
use crate::machine::{Intensity, Restart, RestartMachine};
use crate::mailbox::{Mailbox, mailbox};
use crate::spec::ChildSpec;

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
    mailbox: Mailbox<DynamicSupervisor>,
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
            mailbox: mailbox().0,
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
            addr: spec.mailbox.addr(),
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
        let mut child = Self::new(spec.id, spec.mailbox, move |child| {
            DynamicSupervisor::new(child.clone(), owned.clone())
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
