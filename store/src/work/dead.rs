//! Tasks that failed for the sake of very many dependencies, as these come back one by one: each that does would otherwise
//! look at all of them.

use kirosu_protocol::TaskId;
use std::collections::HashMap;

/// Tasks that are kept; beyond, all are forgotten and counted anew.
const MOST: usize = 10_000;

/// By task: how many dependencies must come back before it is worth while to look at all of them again.
#[derive(Debug, Default)]
pub(crate) struct DeadDependencies(HashMap<TaskId, i64>);

impl DeadDependencies {
    /// Notes the number of a task's dependencies that have ended without a result, or are gone.
    pub fn note(&mut self, task: TaskId, count: i64) {
        if self.0.len() >= MOST {
            self.0.clear();
        }
        self.0.insert(task, count);
    }

    /// A dependency of a task came back: whether others are known to stand in its way still. The work of each that comes back
    /// visits the task once, so none can be missed; one that fails anew only means an earlier look.
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

    /// All dependencies of a task were looked at.
    pub fn forget(&mut self, task: TaskId) {
        self.0.remove(&task);
    }

    /// Nothing is known any more.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}
