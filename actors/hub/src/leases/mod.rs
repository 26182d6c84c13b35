//! The live leases, found by task. The registry adds and removes them as the writer commits, and notifies their holders. Each
//! lease has an actor for its reports.

pub mod lease;
pub(crate) mod lost;
mod messages;
mod registry;

pub use messages::{
    DecidedPermission, Forward, GrantedLease, HeldBy, LeasesChanged, ListHeld, Rebuild, RunWaits,
};
pub use registry::Holder;

use crate::caller::{ConnectionId, Notify};
use crate::runs::LiveRuns;
use crate::sessions::{NotifySession, Seed, Sessions};
use crate::writer::Writer;
use crate::writer::messages::{ReportLeases, Submit};
use actix::prelude::*;
use kirosu_protocol::{Fence, Notice, Status, TaskId, TaskRun};
use kirosu_store::{EndedLease, LIVE_LEASE, LiveLease};
use kirosu_supervision::{ChildContext, DynamicHandle, supervised};
use lease::{LeaseActor, LeaseOver};
use registry::{LeaseRegistry, LiveEntry};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// The most leases of one commit or answer whose actors start with them. To start many takes milliseconds, so those of more
/// leases start with their first reports.
const STARTED_AT_ONCE: usize = 64;

/// The actor that keeps the registry.
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
        runs: LiveRuns,
    ) -> Leases {
        Leases {
            child,
            supervisor,
            writer,
            sessions,
            live: LeaseRegistry::new(runs),
        }
    }

    fn keep(&mut self, live: LiveEntry) {
        if let Some(old) = self.live.insert(live) {
            end_actor(old.actor);
        }
    }

    /// Starts the actor of a lease. `None` while the supervisor of the lease actors restarts: the lease is live all the same,
    /// and its next report starts the actor.
    fn spawn(&self, granted: &GrantedLease) -> Option<Addr<LeaseActor>> {
        let writer = self.writer.clone();
        let make = move |child: &ChildContext| LeaseActor::new(child.clone(), writer.clone());
        // The actor is named after its task. The previous lease of the task may still write its last output under that name.
        let name = granted.task_id as u64;
        let spawned = self.supervisor.spawn(name, make.clone()).or_else(|_| {
            let name = format!("{}.{}", granted.task_id, granted.fence);
            self.supervisor.spawn(name, make)
        });
        spawned
            .inspect_err(|error| {
                tracing::warn!(task_id = granted.task_id, fence = granted.fence, session = granted.session.as_deref(), %error, "the actor of a lease could not be started; the next report of the run starts it");
            })
            .ok()
    }

    /// The actor of a live lease. `None` if the task has no lease with this fence, or the actor cannot start now.
    fn actor(&mut self, task_id: TaskId, fence: Fence) -> Option<&Addr<LeaseActor>> {
        let live = self.live.get(task_id)?;
        if fence != LIVE_LEASE && live.granted.fence != fence {
            return None;
        }
        // The actor's supervisor gave up, or the actor has not been started yet.
        if live.actor.as_ref().is_none_or(|actor| !actor.connected()) {
            let actor = self.spawn(&live.granted);
            self.live.get_mut(task_id)?.actor = actor;
        }
        self.live.get(task_id)?.actor.as_ref()
    }

    /// Removes a lease. `None` if it is not live under this fence.
    fn end(&mut self, task_id: TaskId, fence: Fence) -> Option<GrantedLease> {
        if self.live.get(task_id)?.granted.fence != fence {
            return None;
        }
        let LiveEntry { granted, actor } = self.live.remove(task_id)?;
        end_actor(actor);
        Some(granted)
    }

    fn notify(&self, holder: &GrantedLease, notice: Notice) {
        let notify = Notify::Client(notice);
        match (&holder.session, &holder.notify) {
            (Some(session), _) => self.sessions.do_send(NotifySession {
                session: session.to_string(),
                notify,
            }),
            (None, Some(connection)) => connection.do_send(notify),
            (None, None) => {}
        }
    }

    fn notify_decided(&self, holder: &GrantedLease, decided: &DecidedPermission) {
        let notice = Notice::Decided {
            task_id: decided.task_id,
            fence: decided.fence,
            approval_id: decided.approval_id,
            state: decided.state,
        };
        self.notify(holder, notice);
    }

    /// Notifies the holder of a lease that it did not end itself.
    fn notify_end(&self, holder: &GrantedLease, ended: EndedLease, why: &str) {
        let (task_id, fence) = (holder.task_id, holder.fence);
        let notice = match ended.status {
            Status::Cancelled => Notice::Cancel {
                task_id,
                fence,
                reason: ended.reason,
            },
            _ => lease_lost(task_id, fence, why),
        };
        self.notify(holder, notice);
    }
}

fn lease_lost(task_id: TaskId, fence: Fence, why: &str) -> Notice {
    Notice::LeaseLost {
        task_id,
        fence,
        reason: why.into(),
    }
}

fn end_actor(actor: Option<Addr<LeaseActor>>) {
    if let Some(actor) = actor {
        actor.do_send(LeaseOver);
    }
}

impl Actor for Leases {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Self::Context) {
        if self.child.incarnation() > 0 {
            // The crash lost the registry; the writer reads the live leases from the store.
            self.writer.do_send(ReportLeases);
        }
    }
}

impl Handler<LeasesChanged> for Leases {
    type Result = ();

    fn handle(&mut self, changed: LeasesChanged, _: &mut Self::Context) {
        self.child.handled();
        // Leases from before this commit first: `granted` may replace them by leases of the same tasks.
        let mut decided = Vec::new();
        for one in changed.decided {
            match self.live.get(one.task_id) {
                Some(live) if live.granted.fence == one.fence => {
                    self.notify_decided(&live.granted, &one);
                }
                _ => decided.push(one),
            }
        }
        // Leases that are not registered: this commit has granted them, too.
        let mut brief: HashMap<(TaskId, Fence), Option<(EndedLease, &str)>> = HashMap::new();
        for (lease, why) in changed.ended {
            match self.end(lease.task_id, lease.fence) {
                Some(granted) => self.notify_end(&granted, lease, why),
                None => drop(brief.insert((lease.task_id, lease.fence), Some((lease, why)))),
            }
        }
        for (task_id, fence) in changed.closed {
            if self.end(task_id, fence).is_none() && !changed.granted.is_empty() {
                brief.entry((task_id, fence)).or_insert(None);
            }
        }
        let starts = changed.granted.len() <= STARTED_AT_ONCE;
        // A lease that was granted and ended within this commit gets no actor and no entry. Its holder is notified like any
        // other.
        for granted in changed.granted {
            let ended = brief.remove(&(granted.task_id, granted.fence));
            let is_over = ended.is_some();
            for one in decided.iter().filter(|one| one.is_of(&granted)) {
                self.notify_decided(&granted, one);
            }
            if let Some((lease, why)) = ended.flatten() {
                self.notify_end(&granted, lease, why);
            }
            if !is_over {
                let actor = starts.then(|| self.spawn(&granted)).flatten();
                self.keep(LiveEntry { granted, actor });
            }
        }
    }
}

impl Handler<Rebuild> for Leases {
    type Result = ();

    fn handle(&mut self, Rebuild(live): Rebuild, _: &mut Self::Context) {
        // One lease per session is enough to register the session; there may be very many leases.
        let first = live
            .iter()
            .filter_map(|lease| Some((lease.session.as_deref()?, lease)));
        let first: HashMap<&str, &LiveLease> = first.collect();
        self.sessions
            .do_send(Seed(first.into_values().cloned().collect()));
        // If the writer crashed between a commit and its report, the registry has leases that are over.
        let alive: HashSet<(TaskId, Fence)> = live
            .iter()
            .map(|lease| (lease.task_id, lease.fence))
            .collect();
        self.live
            .retain_runs(|run| alive.contains(&(run.task_id, run.fence)));
        let over = self.live.fences().filter(|lease| !alive.contains(lease));
        let over: Vec<(TaskId, Fence)> = over.collect();
        for (task_id, fence) in over {
            if let Some(granted) = self.end(task_id, fence) {
                self.notify(&granted, lease_lost(task_id, fence, "taken"));
            }
        }
        for lease in live {
            let known = self
                .live
                .get(lease.task_id)
                .is_some_and(|known| known.granted.fence == lease.fence);
            if !known {
                let granted = GrantedLease {
                    task_id: lease.task_id,
                    fence: lease.fence,
                    session: lease.session.map(Arc::from),
                    connection: ConnectionId::HUB,
                    notify: None,
                };
                // The first report starts the actor: most of these leases report nothing more.
                let actor = None;
                self.keep(LiveEntry { granted, actor });
            }
        }
    }
}

impl Handler<Forward> for Leases {
    type Result = ();

    fn handle(&mut self, forward: Forward, _: &mut Self::Context) {
        let report = forward.report;
        match self.actor(forward.task_id, forward.fence) {
            Some(actor) => actor.do_send(report),
            // Without an actor the store decides. If the lease is over, it answers `stale_lease` or `unknown_task`.
            None => {
                let (caller, numbers) = report.reply.into_parts();
                let commands = numbers
                    .into_iter()
                    .map(|number| (number, report.command.clone()))
                    .collect();
                self.writer.do_send(Submit::new(caller, commands));
            }
        }
    }
}

impl Handler<RunWaits> for Leases {
    type Result = ();

    fn handle(&mut self, RunWaits { run, waiting }: RunWaits, _: &mut Self::Context) {
        let live = self.live.get(run.task_id);
        if let Some(live) = live.filter(|live| live.granted.fence == run.fence) {
            let TaskRun { task_id, fence } = run;
            let notice = Notice::Waiting {
                task_id,
                fence,
                waiting,
            };
            self.notify(&live.granted, notice);
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
