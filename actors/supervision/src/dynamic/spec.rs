//! Specs of dynamic supervisors.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use super::shared::{DynamicChildren, DynamicShared};
use super::{DynamicHandle, DynamicSupervisor};
use crate::backoff::BackoffPolicy;
use crate::cell::{ChildCell, SupervisorScope};
use crate::id::ChildId;
use crate::machine::{Intensity, Restart, RestartMachine};
use crate::mailbox::{Mailbox, mailbox};
use crate::spec::{ChildSpec, setters};

/// Description of a dynamic supervisor and its children's policies.
pub struct DynamicSpec {
    id: ChildId,
    kind: Arc<str>,
    restart: Restart,
    intensity: Intensity,
    backoff: BackoffPolicy,
    grace: Duration,
    /// Set by [`ChildSpec::dynamic`]; a handle may exist before.
    shared: Arc<OnceLock<Arc<DynamicShared>>>,
    mailbox: Mailbox<DynamicSupervisor>,
}

impl DynamicSpec {
    /// A dynamic supervisor for temporary children with a grace of 5 s.
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

    /// Sets the label of the children in the tree. Default: `child`.
    #[must_use]
    pub fn kind(mut self, kind: impl Into<Arc<str>>) -> Self {
        self.kind = kind.into();
        self
    }

    setters! {
        /// Sets the ends after which a child is restarted. Default: temporary, that is, none.
        restart: Restart;
        /// Sets the number of restarts, of all children together, after which the supervisor gives up.
        /// Default: 100 in 10 s.
        intensity: Intensity;
        /// Sets the delays before the restarts of a child. Default: [`BackoffPolicy::default`].
        backoff: BackoffPolicy;
        /// Sets the time after which children that were ordered to stop are dropped. Default: 5 s.
        grace: Duration;
    }

    /// A handle on the supervisor, valid before its start and after its restarts.
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
    /// A dynamic supervisor as a child. A restart does not start its children again, because the
    /// supervisor does not keep their factories.
    pub fn dynamic(spec: DynamicSpec) -> Self {
        let shared = Arc::new(DynamicShared {
            addr: spec.mailbox.addr(),
            kind: spec.kind,
            restart: spec.restart,
            backoff: spec.backoff,
            grace: spec.grace,
            intensity: spec.intensity,
            scope: OnceLock::new(),
            open: AtomicBool::new(false),
            inner: Mutex::new(DynamicChildren {
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
        child.attach = Some(Box::new(move |cell: &Arc<ChildCell>| {
            let _ = shared.scope.set(Arc::new(SupervisorScope {
                tree: cell.tree().clone(),
                path: cell.path(),
            }));
            let _ = cell.children.set(shared);
        }));
        child.kind("supervisor")
    }
}
