//! Counts how often a task was given back for a reason that only its own program named.

use std::collections::HashMap;

use kirosu_protocol::TaskId;
use parking_lot::Mutex;

/// How often a task is given back for a reason that only its own program named, while other tasks run well.
const STRIKES: u32 = 5;
/// Maximum number of tasks remembered; the count of a forgotten one starts again.
const MOST: usize = 1024;

/// Counts how often a task was given back because its own program reported a shortage or a network failure.
#[derive(Debug, Default)]
pub(crate) struct Excuses(Mutex<ExcuseCounts>);

#[derive(Debug, Default)]
struct ExcuseCounts {
    /// Number of runs of the pool that ended well.
    worked: u64,
    /// For each task: `worked` when it was given back last, and how often `worked` had grown in between.
    tasks: HashMap<TaskId, (u64, u32)>,
}

impl Excuses {
    pub(crate) fn run_worked(&self) {
        let mut inner = self.0.lock();
        inner.worked += 1;
    }

    /// Whether the task is given back once more. If others run well again and again, the task's own run is at fault.
    pub(crate) fn take(&self, task: TaskId) -> bool {
        let mut inner = self.0.lock();
        let worked = inner.worked;
        if inner.tasks.len() >= MOST && !inner.tasks.contains_key(&task) {
            inner.tasks.clear();
        }
        let (last, strikes) = inner.tasks.entry(task).or_insert((worked, 0));
        if *last != worked {
            *strikes += 1;
            *last = worked;
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
            excuses.run_worked();
            excuses.take(1)
        });
        assert_eq!(believed.count(), STRIKES as usize - 1);
        assert!(excuses.take(2));
    }
}
