//! Supervisors as others describe them and speak to them.

use std::sync::Arc;

use actix::{Addr, Message};
use tokio::sync::oneshot;

use crate::cell::ChildCell;
use crate::exit::ExitReason;
use crate::id::ChildId;
use crate::machine::{Intensity, Strategy};
use crate::mailbox::{Mailbox, mailbox};
use crate::recipe::{Recipe, RecipeOwner};
use crate::spec::ChildSpec;
use crate::supervisor::Supervisor;
use crate::tree::{Node, Tree};

/// Why an order to a supervisor was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SupervisorError {
    /// It has no child of this name.
    #[error("the supervisor has no child of this name")]
    Unknown,
    /// It has a child of this name already.
    #[error("the supervisor has a child of this name already")]
    Duplicate,
    /// The child ended before `started` had returned; its restart policy goes on from there.
    #[error("the child did not come up: {0}")]
    NotStarted(ExitReason),
    /// It is stopping its children.
    #[error("the supervisor is stopping")]
    Stopping,
    /// It has ended, or was restarted while it carried out the order.
    #[error("the supervisor has ended")]
    Gone,
}

pub(crate) type Reply = oneshot::Sender<Result<(), SupervisorError>>;

pub(crate) enum Order {
    Start {
        spec: Box<ChildSpec>,
        reply: Reply,
    },
    Stop {
        id: ChildId,
        remove: bool,
        reply: Reply,
    },
    Restart {
        id: ChildId,
        reply: Reply,
    },
}

impl Message for Order {
    type Result = ();
}

impl Order {
    pub(crate) fn refuse(self, why: SupervisorError) {
        let (Self::Start { reply, .. } | Self::Stop { reply, .. } | Self::Restart { reply, .. }) =
            self;
        let _ = reply.send(Err(why));
    }
}

/// A recipe for a supervisor and its children.
pub struct SupervisorSpec {
    pub(crate) id: ChildId,
    strategy: Strategy,
    intensity: Intensity,
    children: Vec<ChildSpec>,
    recipe: Arc<std::sync::OnceLock<Arc<Recipe>>>,
    mailbox: Mailbox<Supervisor>,
}

impl SupervisorSpec {
    /// A supervisor without children yet: one_for_one, ten restarts a minute.
    pub fn new(id: impl Into<ChildId>) -> Self {
        Self {
            id: id.into(),
            strategy: Strategy::default(),
            intensity: Intensity::default(),
            children: Vec::new(),
            recipe: Arc::default(),
            mailbox: mailbox().0,
        }
    }

    /// Who shares the fate of a child that ended.
    #[must_use]
    pub fn strategy(mut self, strategy: Strategy) -> Self {
        self.strategy = strategy;
        self
    }

    /// How many restarts it bears.
    #[must_use]
    pub fn intensity(mut self, intensity: Intensity) -> Self {
        self.intensity = intensity;
        self
    }

    /// Adds a child. They start in the order in which they are added.
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

    /// A handle on the supervisor, valid before and after its start and through its restarts.
    pub fn handle(&self) -> SupervisorHandle {
        SupervisorHandle {
            addr: self.mailbox.addr(),
            recipe: self.recipe.clone(),
        }
    }

    /// Its recipe, its mailbox and its name.
    pub(crate) fn into_parts(self) -> (ChildId, Arc<Recipe>, Mailbox<Supervisor>) {
        let recipe = Arc::new(Recipe::new(self.strategy, self.intensity, self.children));
        let _ = self.recipe.set(recipe.clone());
        (self.id, recipe, self.mailbox)
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
    /// When its parent restarts it, it starts its children again from their recipes; children
    /// added at run time keep their places, temporary ones do not come back.
    pub fn supervisor(spec: SupervisorSpec) -> Self {
        let (id, recipe, mailbox) = spec.into_parts();
        let owner = RecipeOwner(recipe.clone());
        let mut child = Self::new(id, mailbox, move |child| {
            Supervisor::new(owner.0.clone(), child.clone())
        });
        child.graft = Some(Box::new(move |cell: &Arc<ChildCell>| recipe.graft(cell)));
        child.kind("supervisor")
    }
}

/// Handle on a running supervisor. Clone it, send it.
#[derive(Clone)]
pub struct SupervisorHandle {
    addr: Addr<Supervisor>,
    recipe: Arc<std::sync::OnceLock<Arc<Recipe>>>,
}

impl SupervisorHandle {
    /// Adds a child at the end and starts it; resolves when its `started` has returned. If the
    /// child ends before, the error says how, and its restart policy applies as ever.
    pub async fn start_child(&self, spec: ChildSpec) -> Result<(), SupervisorError> {
        let spec = Box::new(spec);
        self.ask(|reply| Order::Start { spec, reply }).await
    }

    /// Stops a child and keeps its place: [`restart_child`](Self::restart_child) brings it back,
    /// and so does a restart of the supervisor. Resolves when it has ended.
    pub async fn stop_child(&self, id: impl Into<ChildId>) -> Result<(), SupervisorError> {
        let id = id.into();
        self.ask(|reply| Order::Stop {
            id,
            remove: false,
            reply,
        })
        .await
    }

    /// Stops a child and takes it out of the tree; its address is closed.
    pub async fn remove_child(&self, id: impl Into<ChildId>) -> Result<(), SupervisorError> {
        let id = id.into();
        self.ask(|reply| Order::Stop {
            id,
            remove: true,
            reply,
        })
        .await
    }

    /// Stops a child if it runs and starts it afresh; resolves when it is up.
    pub async fn restart_child(&self, id: impl Into<ChildId>) -> Result<(), SupervisorError> {
        let id = id.into();
        self.ask(|reply| Order::Restart { id, reply }).await
    }

    /// A picture of its children, in start order. Does not ask the supervisor.
    pub fn children(&self) -> Vec<Node> {
        let Some(recipe) = self.recipe.get() else {
            return Vec::new();
        };
        recipe
            .cells()
            .into_iter()
            .map(|root| Tree { root }.snapshot())
            .collect()
    }

    async fn ask(&self, order: impl FnOnce(Reply) -> Order) -> Result<(), SupervisorError> {
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
