//! Which leases were handed out over a connection: there a plain `ack`, without a fence, speaks for that lease and no
//! other, so that a worker whose lease expired cannot end somebody else's.

use kirosu_protocol::{Fence, TaskId};
use std::collections::{HashMap, VecDeque};

/// Leases remembered per connection; the oldest are forgotten, and a plain `ack` of one counts for the current lease.
const REMEMBERED: usize = 16_384;

/// The newest fence of each task that was leased here.
#[derive(Debug, Default)]
pub struct Held {
    fences: HashMap<TaskId, Fence>,
    order: VecDeque<(TaskId, Fence)>,
}

impl Held {
    /// A lease was handed out.
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

    /// The fence a request without one means.
    pub fn fence(&self, task_id: TaskId) -> Option<Fence> {
        self.fences.get(&task_id).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_lease_counts_and_memory_is_bounded() {
        let mut held = Held::default();
        held.remember(1, 1);
        held.remember(1, 2);
        assert_eq!(held.fence(1), Some(2));
        for task in 2..(2 + REMEMBERED as i64) {
            held.remember(task, 1);
        }
        assert_eq!(held.fence(1), None);
        assert_eq!(held.fence(2), Some(1));
        assert!(held.order.len() <= REMEMBERED && held.fences.len() <= REMEMBERED);
    }
}
