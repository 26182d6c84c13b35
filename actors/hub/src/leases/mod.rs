//! The live leases, found by task: the book adds and removes them as the writer commits, and notifies their holders.
//! Each has an actor for its reports.

pub mod lease;
pub(crate) mod lost;
mod registry;

pub use registry::Holder;

use crate::connection::{ConnectionId, Notify};
use crate::sessions::{Seed, Sessions, Tell};
use crate::writer::Writer;
use crate::writer::messages::{Caller, Submit};
use actix::prelude::*;
use kirosu_protocol::verbs::hello::HeldLease;
use kirosu_protocol::{Fence, PermissionId, PermissionState, Status, Task, TaskId};
use kirosu_store::{EndedLease, LIVE_LEASE, LiveLease};
use kirosu_supervision::{ChildContext, DynamicHandle, supervised};
use lease::{Lease, Over, Report};
use registry::{LeaseRegistry, Live};
use std::collections::{HashMap, HashSet};
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decided {
    /// The task.
    pub task_id: TaskId,
    /// The lease that the question is bound to.
    pub fence: Fence,
    /// The question.
    pub approval_id: PermissionId,
    /// Where it stands now.
    pub state: PermissionState,
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
#[rtype(result = "HashMap<Holder, Vec<HeldLease>>")]
pub struct ListHeld;

/// Asks for what one holder holds.
#[derive(Message)]
#[rtype(result = "Vec<HeldLease>")]
pub struct HeldBy(pub Holder);

/// A lease that its holder did not end itself.
struct Ending {
    /// Where the task stands now.
    status: Status,
    /// `expired`, `session_lost` or `taken`.
    why: &'static str,
    /// The reason that a person gave.
    reason: Option<String>,
}

/// The actor that finds the others.
pub struct Leases {
    child: ChildContext,
    supervisor: DynamicHandle,
    writer: Addr<Writer>,
    sessions: Addr<Sessions>,
    live: LeaseRegistry,
}

supervised!(Leases);

impl Leases {
    /// Starts empty; the writer sends the live leases.
    pub fn new(
        child: ChildContext,
        supervisor: DynamicHandle,
        writer: Addr<Writer>,
        sessions: Addr<Sessions>,
    ) -> Leases {
        Leases {
            child,
            supervisor,
            writer,
            sessions,
            live: LeaseRegistry::default(),
        }
    }

    fn start(&mut self, granted: Granted) {
        let actor = self.spawn(&granted);
        self.keep(Live { granted, actor });
    }

    fn keep(&mut self, live: Live) {
        if let Some(old) = self.live.insert(live) {
            end_actor(old.actor);
        }
    }

    fn spawn(&self, granted: &Granted) -> Option<Addr<Lease>> {
        let writer = self.writer.clone();
        let make = move |child: &ChildContext| Lease::new(child.clone(), writer.clone());
        // Named after its task; the lease before may still be writing its last output under that name.
        let name = granted.task_id as u64;
        let spawned = self.supervisor.spawn(name, make.clone()).or_else(|_| {
            let name = format!("{}.{}", granted.task_id, granted.fence);
            self.supervisor.spawn(name, make)
        });
        // Its supervisor is being restarted: the lease is live all the same, and gets its actor with its next report.
        spawned
            .inspect_err(|error| {
                tracing::warn!(task_id = granted.task_id, fence = granted.fence, session = granted.session.as_deref(), %error, "a lease is without its actor for now");
            })
            .ok()
    }

    /// The actor of a live lease. One whose supervisor gave up is replaced.
    fn actor(&mut self, task_id: TaskId, fence: Fence) -> Option<&Addr<Lease>> {
        let live = self.live.get(task_id)?;
        if fence != LIVE_LEASE && live.granted.fence != fence {
            return None;
        }
        if live.actor.as_ref().is_none_or(|actor| !actor.connected()) {
            let actor = self.spawn(&live.granted);
            self.live.get_mut(task_id)?.actor = actor;
        }
        self.live.get(task_id)?.actor.as_ref()
    }

    /// Removes a lease, if it is live under this fence.
    fn end(&mut self, task_id: TaskId, fence: Fence) -> Option<Granted> {
        if self.live.get(task_id)?.granted.fence != fence {
            return None;
        }
        let Live { granted, actor } = self.live.remove(task_id)?;
        end_actor(actor);
        Some(granted)
    }

    fn notify(&self, holder: &Granted, notify: Notify) {
        match (&holder.session, &holder.notify) {
            (Some(session), _) => self.sessions.do_send(Tell {
                session: session.to_string(),
                notify,
            }),
            (None, Some(connection)) => connection.do_send(notify),
            (None, None) => {}
        }
    }

    fn notify_decided(&self, holder: &Granted, decided: &Decided) {
        let notify = Notify::Decided {
            task_id: decided.task_id,
            fence: decided.fence,
            approval_id: decided.approval_id,
            state: decided.state,
        };
        self.notify(holder, notify);
    }

    fn notify_end(&self, holder: &Granted, ended: Ending) {
        let (task_id, fence) = (holder.task_id, holder.fence);
        let notify = match ended.status {
            Status::Cancelled => Notify::Cancel {
                task_id,
                fence,
                reason: ended.reason,
            },
            _ => Notify::LeaseLost {
                task_id,
                fence,
                reason: ended.why,
            },
        };
        self.notify(holder, notify);
    }
}

fn end_actor(actor: Option<Addr<Lease>>) {
    if let Some(actor) = actor {
        actor.do_send(Over);
    }
}

impl Actor for Leases {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Self::Context) {
        if self.child.incarnation() > 0 {
            // The map died with the old value; the writer tells of the living again.
            self.writer.do_send(crate::writer::messages::ReportLeases);
        }
    }
}

impl Handler<LeasesChanged> for Leases {
    type Result = ();

    fn handle(&mut self, changed: LeasesChanged, _: &mut Self::Context) {
        self.child.handled();
        // Leases that were live before this commit come first: their fences are the lower ones.
        let mut decided = Vec::new();
        for one in changed.decided {
            match self.live.get(one.task_id) {
                Some(live) if live.granted.fence == one.fence => {
                    self.notify_decided(&live.granted, &one);
                }
                _ => decided.push(one),
            }
        }
        let mut brief: HashMap<(TaskId, Fence), Option<Ending>> = HashMap::new();
        for (lease, why) in changed.ended {
            let ending = Ending {
                status: lease.status,
                why,
                reason: lease.reason,
            };
            match self.end(lease.task_id, lease.fence) {
                Some(granted) => self.notify_end(&granted, ending),
                None => drop(brief.insert((lease.task_id, lease.fence), Some(ending))),
            }
        }
        for (task_id, fence) in changed.closed {
            if self.end(task_id, fence).is_none() && !changed.granted.is_empty() {
                brief.entry((task_id, fence)).or_insert(None);
            }
        }
        // A lease that was handed out and ended within this commit gets no actor and no entry, but its holder is
        // notified as any other.
        for granted in changed.granted {
            let ending = brief.remove(&(granted.task_id, granted.fence));
            let is_over = ending.is_some();
            let of_lease =
                |one: &Decided| (one.task_id, one.fence) == (granted.task_id, granted.fence);
            for one in decided.iter().filter(|one| of_lease(one)) {
                self.notify_decided(&granted, one);
            }
            if let Some(ending) = ending.flatten() {
                self.notify_end(&granted, ending);
            }
            if !is_over {
                self.start(granted);
            }
        }
    }
}

impl Handler<Rebuild> for Leases {
    type Result = ();

    fn handle(&mut self, Rebuild(live): Rebuild, _: &mut Self::Context) {
        // One lease of each session is enough to know it by; there may be very many.
        let first = live
            .iter()
            .filter_map(|lease| Some((lease.session.as_deref()?, lease)));
        let first: HashMap<&str, &LiveLease> = first.collect();
        self.sessions
            .do_send(Seed(first.into_values().cloned().collect()));
        // A writer that crashed between a commit and its report has ended leases that are still in the book.
        let alive: HashSet<(TaskId, Fence)> = live
            .iter()
            .map(|lease| (lease.task_id, lease.fence))
            .collect();
        let over = self.live.fences().filter(|lease| !alive.contains(lease));
        let over: Vec<(TaskId, Fence)> = over.collect();
        for (task_id, fence) in over {
            if let Some(granted) = self.end(task_id, fence) {
                let reason = "taken";
                self.notify(
                    &granted,
                    Notify::LeaseLost {
                        task_id,
                        fence,
                        reason,
                    },
                );
            }
        }
        for lease in live {
            let known = self
                .live
                .get(lease.task_id)
                .is_some_and(|known| known.granted.fence == lease.fence);
            if !known {
                let granted = Granted {
                    task_id: lease.task_id,
                    fence: lease.fence,
                    session: lease.session.map(Arc::from),
                    connection: ConnectionId::HUB,
                    notify: None,
                };
                // There may be very many, and most of them report nothing any more: the first report starts the actor.
                let actor = None;
                self.keep(Live { granted, actor });
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
        match self.actor(task_id, fence) {
            Some(actor) => actor.do_send(report),
            // Without an actor the store decides; of a lease that is over it answers `stale_lease` or `unknown_task`.
            None => {
                let (caller, tags) = report.owed.into_parts();
                let commands = tags
                    .into_iter()
                    .map(|tag| (tag, report.command.clone()))
                    .collect();
                self.writer.do_send(Submit::new(caller, commands));
            }
        }
    }
}

impl Handler<ListHeld> for Leases {
    type Result = MessageResult<ListHeld>;

    fn handle(&mut self, _: ListHeld, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.live.held())
    }
}

impl Handler<HeldBy> for Leases {
    type Result = MessageResult<HeldBy>;

    fn handle(&mut self, HeldBy(holder): HeldBy, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.live.held_by(&holder))
    }
}
