//! The live leases, indexed by task and by holder.

use super::lease::LeaseActor;
use super::messages::GrantedLease;
use crate::caller::ConnectionId;
use crate::runs::LiveRuns;
use actix::prelude::*;
use kirosu_protocol::{Fence, HeldLease, TaskId, TaskRun};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// The holder of a lease.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Holder {
    /// A session.
    Session(Arc<str>),
    /// A connection without a session.
    Connection(ConnectionId),
}

impl Holder {
    fn of(granted: &GrantedLease) -> Holder {
        match &granted.session {
            Some(session) => Holder::Session(session.clone()),
            None => Holder::Connection(granted.connection),
        }
    }
}

/// One live lease.
pub(super) struct LiveEntry {
    pub granted: GrantedLease,
    /// `None` for a lease that was read from the store, or granted with many others, and has no report yet, and while the
    /// supervisor of the lease actors restarts.
    pub actor: Option<Addr<LeaseActor>>,
}

/// All live leases.
pub(super) struct LeaseRegistry {
    live: HashMap<TaskId, LiveEntry>,
    /// Those of sessions, for the connections.
    runs: LiveRuns,
    /// The tasks per holder: to list the leases of one holder costs the same however many other leases there are.
    holders: HashMap<Holder, BTreeSet<TaskId>>,
}

impl LeaseRegistry {
    /// Without a lease. `runs` may have those of a registry that has crashed.
    pub fn new(runs: LiveRuns) -> LeaseRegistry {
        LeaseRegistry {
            live: HashMap::new(),
            runs,
            holders: HashMap::new(),
        }
    }

    pub fn get(&self, task_id: TaskId) -> Option<&LiveEntry> {
        self.live.get(&task_id)
    }

    pub fn get_mut(&mut self, task_id: TaskId) -> Option<&mut LiveEntry> {
        self.live.get_mut(&task_id)
    }

    /// Adds a lease; returns the task's previous lease.
    pub fn insert(&mut self, live: LiveEntry) -> Option<LiveEntry> {
        let task_id = live.granted.task_id;
        let previous = self.remove(task_id);
        let tasks = self.holders.entry(Holder::of(&live.granted)).or_default();
        tasks.insert(task_id);
        if let Some(run) = live.granted.run() {
            self.runs.insert(run);
        }
        self.live.insert(task_id, live);
        previous
    }

    pub fn remove(&mut self, task_id: TaskId) -> Option<LiveEntry> {
        let live = self.live.remove(&task_id)?;
        if let Some(run) = live.granted.run() {
            self.runs.remove(run);
        }
        let holder = Holder::of(&live.granted);
        if let Some(tasks) = self.holders.get_mut(&holder) {
            tasks.remove(&task_id);
            if tasks.is_empty() {
                self.holders.remove(&holder);
            }
        }
        Some(live)
    }

    /// Forgets the leases of a registry that has crashed, except for these.
    pub fn retain_runs(&self, is_live: impl Fn(TaskRun) -> bool) {
        self.runs.retain(is_live);
    }

    /// The task and the fence of every lease.
    pub fn fences(&self) -> impl Iterator<Item = (TaskId, Fence)> {
        let live = self.live.values();
        live.map(|live| (live.granted.task_id, live.granted.fence))
    }

    /// The leases of one holder, in the order of their tasks.
    pub fn held_by(&self, holder: &Holder) -> Vec<HeldLease> {
        let tasks = self.holders.get(holder).into_iter().flatten();
        let held = tasks.filter_map(|task_id| {
            let live = self.live.get(task_id)?;
            Some(HeldLease {
                task_id: *task_id,
                fence: live.granted.fence,
            })
        });
        held.collect()
    }

    /// The leases of all holders.
    pub fn held(&self) -> HashMap<Holder, Vec<HeldLease>> {
        let holders = self.holders.keys();
        holders
            .map(|holder| (holder.clone(), self.held_by(holder)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live(task_id: TaskId, fence: Fence, session: Option<&str>) -> LiveEntry {
        let granted = GrantedLease {
            task_id,
            fence,
            session: session.map(Arc::from),
            connection: ConnectionId(7),
            notify: None,
        };
        LiveEntry {
            granted,
            actor: None,
        }
    }

    #[test]
    fn a_new_lease_of_a_task_replaces_the_previous_one_of_another_holder() {
        let (session, connection) = (
            Holder::Session("s".into()),
            Holder::Connection(ConnectionId(7)),
        );
        let mut registry = LeaseRegistry::new(LiveRuns::default());
        assert!(registry.insert(live(2, 1, Some("s"))).is_none());
        assert!(registry.insert(live(1, 1, Some("s"))).is_none());
        let tasks = |held: Vec<HeldLease>| -> Vec<TaskId> {
            held.into_iter().map(|lease| lease.task_id).collect()
        };
        assert_eq!(tasks(registry.held_by(&session)), [1, 2]);
        let previous = registry.insert(live(1, 2, None)).unwrap();
        assert_eq!(previous.granted.fence, 1);
        assert_eq!(tasks(registry.held_by(&session)), [2]);
        assert_eq!(registry.held_by(&connection)[0].fence, 2);
        registry.remove(2).unwrap();
        assert_eq!(
            registry.held().len(),
            1,
            "a holder without leases is forgotten"
        );
    }
}
