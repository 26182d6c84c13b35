//! A cache of tasks that failed because of very many dependencies. While these are retried one by one, it saves reading
//! all of them for each one.

use kirosu_protocol::TaskId;
use std::collections::HashMap;

/// Tasks in the cache; beyond that it is cleared.
const MOST: usize = 10_000;

/// By task: the number of dependencies that must be retried before reading all of them is worthwhile.
#[derive(Debug, Default)]
pub(crate) struct DeadDependencies(HashMap<TaskId, i64>);

impl DeadDependencies {
    /// Records the number of a task's dependencies that have failed, were cancelled or are pruned.
    pub fn note(&mut self, task: TaskId, count: i64) {
        if self.0.len() >= MOST {
            self.0.clear();
        }
        self.0.insert(task, count);
    }

    /// A dependency of a task was retried. Returns whether others are known to be failed still. The work of each
    /// retried dependency visits the task once, so no visit is missed; a dependency that fails again only causes an
    /// earlier read.
    pub fn has_more(&mut self, task: TaskId) -> bool {
        let Some(left) = self.0.get_mut(&task) else {
            return false;
        };
        *left -= 1;
        if *left > 0 {
            return true;
        }
        self.0.remove(&task);
        false
    }

    /// All dependencies of a task were read.
    pub fn forget(&mut self, task: TaskId) {
        self.0.remove(&task);
    }

    /// Drops all entries.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}
