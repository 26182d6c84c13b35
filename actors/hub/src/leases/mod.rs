//! The live leases: one actor each, found by task, started and ended as the writer commits.

pub mod lease;
pub(crate) mod lost;

use crate::connection::{ConnectionId, Notify};
use crate::sessions::{Seed, Sessions};
use crate::writer::Writer;
use crate::writer::messages::{Caller, Submit};
use actix::prelude::*;
use kirosu_protocol::verbs::hello::HeldLease;
use kirosu_protocol::{ApprovalId, ApprovalState, Fence, Task, TaskId};
use kirosu_store::{EndedLease, LIVE_LEASE, LiveLease};
use kirosu_supervision::{ChildContext, DynamicHandle, supervised};
use lease::{Ending, Lease, Neighbours, Over, Report};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

/// A lease that was handed out.
#[derive(Clone)]
pub struct Granted {
    /// The task.
    pub task_id: TaskId,
    /// The lease's fence.
    pub fence: Fence,
    /// The session it belongs to.
    pub session: Option<Arc<str>>,
    /// The connection it was handed out over.
    pub connection: ConnectionId,
    /// How that connection is told of the lease's end, when it has no session but said `hello`.
    pub notify: Option<Recipient<Notify>>,
}

impl Granted {
    /// What a caller was given.
    pub fn of<'a>(tasks: &'a [Task], caller: &'a Caller) -> impl Iterator<Item = Granted> + 'a {
        tasks.iter().map(|task| Granted {
            task_id: task.task_id,
            fence: task.fence,
            session: caller.session.clone(),
            connection: caller.connection,
            notify: caller.notify.clone(),
        })
    }
}

/// What a commit changed about leases.
#[derive(Message)]
#[rtype(result = "()")]
pub struct LeasesChanged {
    /// Handed out.
    pub granted: Vec<Granted>,
    /// Tasks that are leased no more, with the fence that ended.
    pub closed: Vec<(TaskId, Fence)>,
    /// Tool questions of live leases that are decided: the holder is told.
    pub decided: Vec<Decided>,
    /// Leases that somebody else than the holder ended, and why: the holder is told.
    pub ended: Vec<(EndedLease, &'static str)>,
}

/// A tool question that is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub struct Decided {
    /// The task.
    pub task_id: TaskId,
    /// The lease that the question is bound to.
    pub fence: Fence,
    /// The question.
    pub approval_id: ApprovalId,
    /// Where it stands now.
    pub state: ApprovalState,
}

/// The leases that are alive in the store, when it was opened.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Rebuild(pub Vec<LiveLease>);

/// Output or progress of the run under this lease.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Forward {
    /// The task.
    pub task_id: TaskId,
    /// The fence it is said to be leased under, or [`LIVE_LEASE`].
    pub fence: Fence,
    /// What is reported.
    pub report: Report,
}

/// Asks for what is held, by session (or by connection, where there is none).
#[derive(Message)]
#[rtype(result = "Vec<(Holder, HeldLease)>")]
pub struct ListHeld;

/// Who holds a lease.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Holder {
    /// A session.
    Session(Arc<str>),
    /// A connection without one.
    Connection(ConnectionId),
}

struct Live {
    granted: Granted,
    actor: Addr<Lease>,
}

/// The actor that finds the others.
pub struct Leases {
    child: ChildContext,
    supervisor: DynamicHandle,
    neighbours: Rc<Neighbours>,
    live: HashMap<TaskId, Live>,
}

supervised!(Leases);

impl Leases {
    /// Starts empty; the writer tells of the living.
    pub fn new(
        child: ChildContext,
        supervisor: DynamicHandle,
        writer: Addr<Writer>,
        sessions: Addr<Sessions>,
    ) -> Leases {
        Leases {
            child,
            supervisor,
            neighbours: Rc::new(Neighbours { writer, sessions }),
            live: HashMap::new(),
        }
    }

    fn start(&mut self, granted: Granted) {
        if let Some(old) = self.live.remove(&granted.task_id) {
            old.actor.do_send(Over { ended: None });
        }
        let (recipe, neighbours) = (granted.clone(), self.neighbours.clone());
        let make = move |child: &ChildContext| {
            Lease::new(child.clone(), recipe.clone(), neighbours.clone())
        };
        // Named after its task; the lease before may still be writing its last output under that name.
        let name = granted.task_id as u64;
        let spawned = self.supervisor.spawn(name, make.clone()).or_else(|_| {
            let name = format!("{}.{}", granted.task_id, granted.fence);
            self.supervisor.spawn(name, make)
        });
        match spawned {
            Ok(actor) => {
                self.live.insert(granted.task_id, Live { granted, actor });
            }
            // Its supervisor is being restarted: the lease is alive in the store all the same.
            Err(error) => {
                tracing::warn!(task_id = granted.task_id, fence = granted.fence, session = granted.session.as_deref(), %error, "a lease runs without its actor");
            }
        }
    }

    fn end(&mut self, task_id: TaskId, fence: Fence, ended: Option<Ending>) {
        let same = self
            .live
            .get(&task_id)
            .is_some_and(|live| live.granted.fence == fence);
        if same && let Some(live) = self.live.remove(&task_id) {
            live.actor.do_send(Over { ended });
        }
    }
}

impl Actor for Leases {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Self::Context) {
        if self.child.incarnation() > 0 {
            // The map died with the old value; the writer tells of the living again.
            self.neighbours
                .writer
                .do_send(crate::writer::messages::TellLeases);
        }
    }
}

impl Handler<LeasesChanged> for Leases {
    type Result = ();

    fn handle(&mut self, changed: LeasesChanged, _: &mut Self::Context) {
        self.child.handled();
        for decided in changed.decided {
            let live = self.live.get(&decided.task_id);
            if let Some(live) = live.filter(|live| live.granted.fence == decided.fence) {
                live.actor.do_send(decided);
            }
        }
        // Ends first: a task that was taken away and handed out again in one commit is a new lease.
        for (lease, why) in changed.ended {
            let ending = Ending {
                status: lease.status,
                why,
                reason: lease.reason,
            };
            self.end(lease.task_id, lease.fence, Some(ending));
        }
        for (task_id, fence) in changed.closed {
            self.end(task_id, fence, None);
        }
        for granted in changed.granted {
            self.start(granted);
        }
    }
}

impl Handler<Rebuild> for Leases {
    type Result = ();

    fn handle(&mut self, Rebuild(live): Rebuild, _: &mut Self::Context) {
        self.neighbours.sessions.do_send(Seed(live.clone()));
        for lease in live {
            let known = self
                .live
                .get(&lease.task_id)
                .is_some_and(|known| known.granted.fence == lease.fence);
            if !known {
                self.start(Granted {
                    task_id: lease.task_id,
                    fence: lease.fence,
                    session: lease.session.map(Arc::from),
                    connection: ConnectionId::HUB,
                    notify: None,
                });
            }
        }
    }
}

impl Handler<Forward> for Leases {
    type Result = ();

    fn handle(
        &mut self,
        Forward {
            task_id,
            fence,
            report,
        }: Forward,
        _: &mut Self::Context,
    ) {
        match self.live.get(&task_id) {
            Some(live) if fence == LIVE_LEASE || live.granted.fence == fence => {
                live.actor.do_send(report)
            }
            // The store knows better and answers `stale_lease` or `unknown_task`.
            _ => {
                let (caller, tags) = report.owed.into_parts();
                let commands = tags
                    .into_iter()
                    .map(|tag| (tag, report.command.clone()))
                    .collect();
                self.neighbours.writer.do_send(Submit { caller, commands });
            }
        }
    }
}

impl Handler<ListHeld> for Leases {
    type Result = MessageResult<ListHeld>;

    fn handle(&mut self, _: ListHeld, _: &mut Self::Context) -> Self::Result {
        let held = self.live.values().map(|live| {
            let holder = match &live.granted.session {
                Some(session) => Holder::Session(session.clone()),
                None => Holder::Connection(live.granted.connection),
            };
            (
                holder,
                HeldLease {
                    task_id: live.granted.task_id,
                    fence: live.granted.fence,
                },
            )
        });
        MessageResult(held.collect())
    }
}
