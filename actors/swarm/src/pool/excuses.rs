//! Counts how often a task was given back for a reason that only its own program named.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use kirosu_protocol::TaskId;

/// How often a task is given back for a reason that only its own program names, though other tasks run well meanwhile.
const STRIKES: u32 = 5;
/// Tasks that are remembered; what a forgotten one is given back for is counted anew.
const MOST: usize = 1024;

/// How often tasks were given back because their own program said that the machine or the network refused it something.
#[derive(Debug, Default)]
pub(crate) struct Excuses(Mutex<ExcuseCounts>);

#[derive(Debug, Default)]
struct ExcuseCounts {
    /// Runs of the pool that ended well.
    went: u64,
    /// By task: how many runs had gone when it was given back last, and how often others went in between.
    tasks: HashMap<TaskId, (u64, u32)>,
}

impl Excuses {
    pub(crate) fn went(&self) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.went += 1;
    }

    /// Whether one more is believed: where others run well again and again, the task's own run is at fault.
    pub(crate) fn take(&self, task: TaskId) -> bool {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let went = inner.went;
        if inner.tasks.len() >= MOST && !inner.tasks.contains_key(&task) {
            inner.tasks.clear();
        }
        let (last, strikes) = inner.tasks.entry(task).or_insert((went, 0));
        if *last != went {
            *strikes += 1;
            *last = went;
        }
        if *strikes < STRIKES {
            return true;
        }
        inner.tasks.remove(&task);
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_alone_meets_a_shortage_is_not_believed_for_ever() {
        let excuses = Excuses::default();
        assert!((0..1000).all(|_| excuses.take(1)));
        let believed = (0..100).take_while(|_| {
            excuses.went();
            excuses.take(1)
        });
        assert_eq!(believed.count(), STRIKES as usize - 1);
        assert!(excuses.take(2));
    }
}
