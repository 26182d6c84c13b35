//! The live leases, found by task and by holder.

use super::Granted;
use super::lease::Lease;
use crate::connection::ConnectionId;
use actix::prelude::*;
use kirosu_protocol::verbs::hello::HeldLease;
use kirosu_protocol::{Fence, TaskId};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// The holder of a lease.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Holder {
    /// A session.
    Session(Arc<str>),
    /// A connection without one.
    Connection(ConnectionId),
}

impl Holder {
    fn of(granted: &Granted) -> Holder {
        match &granted.session {
            Some(session) => Holder::Session(session.clone()),
            None => Holder::Connection(granted.connection),
        }
    }
}

/// One live lease.
pub(super) struct Live {
    pub granted: Granted,
    /// `None` until its first report where it was found in the store, and while the supervisor of the lease actors takes no
    /// children.
    pub actor: Option<Addr<Lease>>,
}

/// All of them.
#[derive(Default)]
pub(super) struct LeaseRegistry {
    live: HashMap<TaskId, Live>,
    /// The tasks of each holder, so that to ask for those of one costs the same however many others there are.
    holders: HashMap<Holder, BTreeSet<TaskId>>,
}

impl LeaseRegistry {
    pub fn get(&self, task_id: TaskId) -> Option<&Live> {
        self.live.get(&task_id)
    }

    pub fn get_mut(&mut self, task_id: TaskId) -> Option<&mut Live> {
        self.live.get_mut(&task_id)
    }

    /// Adds a lease; returns the task's lease before it.
    pub fn insert(&mut self, live: Live) -> Option<Live> {
        let task_id = live.granted.task_id;
        let before = self.remove(task_id);
        let tasks = self.holders.entry(Holder::of(&live.granted)).or_default();
        tasks.insert(task_id);
        self.live.insert(task_id, live);
        before
    }

    pub fn remove(&mut self, task_id: TaskId) -> Option<Live> {
        let live = self.live.remove(&task_id)?;
        let holder = Holder::of(&live.granted);
        if let Some(tasks) = self.holders.get_mut(&holder) {
            tasks.remove(&task_id);
            if tasks.is_empty() {
                self.holders.remove(&holder);
            }
        }
        Some(live)
    }

    /// Every lease's task and fence.
    pub fn fences(&self) -> impl Iterator<Item = (TaskId, Fence)> {
        let live = self.live.values();
        live.map(|live| (live.granted.task_id, live.granted.fence))
    }

    /// The leases of one holder, by task.
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
