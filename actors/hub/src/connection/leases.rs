//! The leases that were handed out over one connection. A plain `ack`, without a fence, refers to the lease that its own
//! connection got: a worker whose lease expired cannot end the next holder's.

use kirosu_protocol::{Fence, TaskId};
use kirosu_store::{Command, LIVE_LEASE};
use std::collections::{HashMap, VecDeque};

/// The largest number of leases remembered per connection. The oldest are forgotten first; a plain `ack` of a forgotten one
/// refers to the task's live lease.
const REMEMBERED: usize = 16_384;

/// The newest fence of each task that was leased over the connection.
#[derive(Debug, Default)]
pub struct ConnectionLeases {
    fences: HashMap<TaskId, Fence>,
    order: VecDeque<(TaskId, Fence)>,
}

impl ConnectionLeases {
    /// Records a lease that is handed out.
    pub fn remember(&mut self, task_id: TaskId, fence: Fence) {
        self.fences.insert(task_id, fence);
        self.order.push_back((task_id, fence));
        if self.order.len() > REMEMBERED
            && let Some((old, fence)) = self.order.pop_front()
            && self.fences.get(&old) == Some(&fence)
        {
            self.fences.remove(&old);
        }
    }

    /// The newest leases of each task that were handed out here. Some of them may be over.
    pub fn all(&self) -> Vec<(TaskId, Fence)> {
        self.fences
            .iter()
            .map(|(task, fence)| (*task, *fence))
            .collect()
    }

    /// The fence of the lease that was handed out here, if one was.
    pub fn fence(&self, task_id: TaskId) -> Option<Fence> {
        self.fences.get(&task_id).copied()
    }

    /// The fence that a request refers to: the one that it names, else the one of the lease that was handed out here, else the
    /// task's live lease.
    pub fn fence_or_live(&self, task_id: TaskId, named: Option<Fence>) -> Fence {
        named.or_else(|| self.fence(task_id)).unwrap_or(LIVE_LEASE)
    }
}

/// Makes the store check that the holder sends the command, if the request names the worker or refers to the live lease.
pub fn as_holder(fence: Fence, worker: Option<String>, command: Command) -> Command {
    match (fence, &worker) {
        (0.., None) => command,
        _ => Command::AsHolder {
            worker,
            command: Box::new(command),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_lease_counts_and_memory_is_bounded() {
        let mut leases = ConnectionLeases::default();
        leases.remember(1, 1);
        leases.remember(1, 2);
        assert_eq!(leases.fence(1), Some(2));
        for task in 2..(2 + REMEMBERED as i64) {
            leases.remember(task, 1);
        }
        assert_eq!(leases.fence(1), None);
        assert_eq!(leases.fence(2), Some(1));
        assert!(leases.order.len() <= REMEMBERED && leases.fences.len() <= REMEMBERED);
    }

    #[test]
    fn a_named_fence_comes_before_the_connection_s_own_and_the_live_lease() {
        let mut leases = ConnectionLeases::default();
        leases.remember(1, 4);
        assert_eq!(leases.fence_or_live(1, Some(3)), 3);
        assert_eq!(leases.fence_or_live(1, None), 4);
        assert_eq!(leases.fence_or_live(2, None), LIVE_LEASE);
    }
}
