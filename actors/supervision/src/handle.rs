//! Specs and handles of supervisors.

use std::sync::Arc;

use actix::{Addr, Message};
use tokio::sync::oneshot;

use crate::cell::{ChildCell, Children as _};
use crate::exit::ExitReason;
use crate::id::ChildId;
use crate::machine::{Intensity, Strategy};
use crate::mailbox::{Mailbox, mailbox};
use crate::slots::{ChildSlots, SlotsOwner};
use crate::spec::{ChildSpec, setters};
use crate::supervisor::Supervisor;
use crate::tree::{ChildSnapshot, Tree};

/// Error of an order to a supervisor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SupervisorError {
    /// It has no child of this name.
    #[error("the supervisor has no child of this name")]
    Unknown,
    /// It has a child of this name already.
    #[error("the supervisor has a child of this name already")]
    Duplicate,
    /// The child ended before `started` had returned. Its restart policy still applies.
    #[error("the child did not come up: {0}")]
    NotStarted(ExitReason),
    /// It is stopping its children.
    #[error("the supervisor is stopping")]
    Stopping,
    /// The supervisor has ended, or was restarted while it executed the order.
    #[error("the supervisor has ended")]
    Gone,
}

pub(crate) type OrderReply = oneshot::Sender<Result<(), SupervisorError>>;

pub(crate) enum SupervisorOrder {
    Start {
        spec: Box<ChildSpec>,
        reply: OrderReply,
    },
    Stop {
        id: ChildId,
        remove: bool,
        reply: OrderReply,
    },
    Restart {
        id: ChildId,
        reply: OrderReply,
    },
}

impl Message for SupervisorOrder {
    type Result = ();
}

impl SupervisorOrder {
    pub(crate) fn refuse(self, why: SupervisorError) {
        let (Self::Start { reply, .. } | Self::Stop { reply, .. } | Self::Restart { reply, .. }) =
            self;
        let _ = reply.send(Err(why));
    }
}

/// Description of a supervisor and its children.
pub struct SupervisorSpec {
    pub(crate) id: ChildId,
    strategy: Strategy,
    intensity: Intensity,
    children: Vec<ChildSpec>,
    slots: Arc<std::sync::OnceLock<Arc<ChildSlots>>>,
    mailbox: Mailbox<Supervisor>,
}

impl SupervisorSpec {
    /// A supervisor without children, with the strategy `OneForOne` and 10 restarts in 60 s.
    pub fn new(id: impl Into<ChildId>) -> Self {
        Self {
            id: id.into(),
            strategy: Strategy::default(),
            intensity: Intensity::default(),
            children: Vec::new(),
            slots: Arc::default(),
            mailbox: mailbox().0,
        }
    }

    setters! {
        /// Sets the children that are restarted together. Default: [`Strategy::OneForOne`].
        strategy: Strategy;
        /// Sets the number of restarts after which the supervisor gives up. Default: 10 in 60 s.
        intensity: Intensity;
    }

    /// Adds a child. Children start in the order in which they are added.
    #[must_use]
    pub fn child(mut self, child: ChildSpec) -> Self {
        self.children.push(child);
        self
    }

    /// Adds several children.
    #[must_use]
    pub fn children(mut self, children: impl IntoIterator<Item = ChildSpec>) -> Self {
        self.children.extend(children);
        self
    }

    /// A handle on the supervisor, valid before its start and after its restarts.
    pub fn handle(&self) -> SupervisorHandle {
        SupervisorHandle {
            addr: self.mailbox.addr(),
            slots: self.slots.clone(),
        }
    }

    /// The supervisor's name, child slots and mailbox.
    pub(crate) fn into_parts(self) -> (ChildId, Arc<ChildSlots>, Mailbox<Supervisor>) {
        let slots = Arc::new(ChildSlots::new(
            self.strategy,
            self.intensity,
            self.children,
        ));
        let _ = self.slots.set(slots.clone());
        (self.id, slots, self.mailbox)
    }
}

impl std::fmt::Debug for SupervisorSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SupervisorSpec")
            .field("id", &self.id)
            .field("strategy", &self.strategy)
            .field("children", &self.children)
            .finish_non_exhaustive()
    }
}

impl ChildSpec {
    /// A supervisor as a child of another one.
    ///
    /// A restarted supervisor starts its children again, those added at run time included. It does
    /// not start temporary children again.
    pub fn supervisor(spec: SupervisorSpec) -> Self {
        let (id, slots, mailbox) = spec.into_parts();
        let owner = SlotsOwner(slots.clone());
        let mut child = Self::new(id, mailbox, move |child| {
            Supervisor::new(owner.0.clone(), child.clone())
        });
        child.attach = Some(Box::new(move |cell: &Arc<ChildCell>| slots.attach(cell)));
        child.kind("supervisor")
    }
}

/// Handle on a running supervisor. Cheap to clone, usable from any thread.
#[derive(Clone)]
pub struct SupervisorHandle {
    addr: Addr<Supervisor>,
    slots: Arc<std::sync::OnceLock<Arc<ChildSlots>>>,
}

impl SupervisorHandle {
    /// Adds a child at the end and starts it. Resolves when its `started` has returned.
    ///
    /// # Errors
    /// The name is taken, the supervisor is stopping or has ended, or the child ended before
    /// `started` returned. In the last case its restart policy still applies.
    pub async fn start_child(&self, spec: ChildSpec) -> Result<(), SupervisorError> {
        let spec = Box::new(spec);
        self.ask(|reply| SupervisorOrder::Start { spec, reply })
            .await
    }

    /// Stops a child and keeps its slot: [`restart_child`](Self::restart_child) and a restart of
    /// the supervisor start it again. Resolves when the child has ended.
    ///
    /// # Errors
    /// There is no such child, or the supervisor is stopping or has ended.
    pub async fn stop_child(&self, id: impl Into<ChildId>) -> Result<(), SupervisorError> {
        let id = id.into();
        self.ask(|reply| SupervisorOrder::Stop {
            id,
            remove: false,
            reply,
        })
        .await
    }

    /// Stops a child, removes it from the tree and closes its mailbox.
    ///
    /// # Errors
    /// There is no such child, or the supervisor is stopping or has ended.
    pub async fn remove_child(&self, id: impl Into<ChildId>) -> Result<(), SupervisorError> {
        let id = id.into();
        self.ask(|reply| SupervisorOrder::Stop {
            id,
            remove: true,
            reply,
        })
        .await
    }

    /// Stops a child if it runs, and starts it. Resolves when its `started` has returned.
    ///
    /// # Errors
    /// As [`start_child`](Self::start_child), and there is no such child.
    pub async fn restart_child(&self, id: impl Into<ChildId>) -> Result<(), SupervisorError> {
        let id = id.into();
        self.ask(|reply| SupervisorOrder::Restart { id, reply })
            .await
    }

    /// A snapshot of the children, in start order, taken without a message to the supervisor.
    pub fn children(&self) -> Vec<ChildSnapshot> {
        let Some(slots) = self.slots.get() else {
            return Vec::new();
        };
        slots
            .cells()
            .into_iter()
            .map(|root| Tree { root }.snapshot())
            .collect()
    }

    async fn ask(
        &self,
        order: impl FnOnce(OrderReply) -> SupervisorOrder,
    ) -> Result<(), SupervisorError> {
        let (reply, answer) = oneshot::channel();
        self.addr.do_send(order(reply));
        answer.await.unwrap_or(Err(SupervisorError::Gone))
    }
}

impl std::fmt::Debug for SupervisorHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SupervisorHandle")
    }
}
