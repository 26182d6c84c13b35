//! The order in which tasks and their failed and cancelled dependencies are retried, as a pure machine.

use super::TASKS_PER_COMMIT;
use crate::connection::CommandPart;
use kirosu_protocol::TaskId;
use std::collections::VecDeque;

/// The largest number of dependencies that one query looks up.
const PER_LOOK_UP: usize = 10_000;

/// The tasks of a page, and their dependencies as far as they are known.
#[derive(Debug)]
pub struct RetryOrder {
    /// Tasks of the page that are not in `next`, in the order of their ids.
    tasks: Vec<TaskId>,
    /// The tasks to retry next: tasks of the page as the first part, other dependencies as the second. The oldest comes first,
    /// so that each task finds its dependencies in their final state.
    next: VecDeque<(CommandPart, TaskId)>,
    /// The dependencies with ids up to this one are known.
    above: TaskId,
    /// Whether there may be more dependencies.
    more: bool,
}

impl RetryOrder {
    /// Retries these tasks after their dependencies.
    pub fn of(mut tasks: Vec<TaskId>) -> RetryOrder {
        tasks.sort_unstable();
        RetryOrder {
            more: !tasks.is_empty(),
            tasks,
            next: VecDeque::new(),
            above: 0,
        }
    }

    /// Retries one task, without its dependencies.
    pub fn alone(task: TaskId) -> RetryOrder {
        RetryOrder {
            tasks: Vec::new(),
            next: VecDeque::from([(CommandPart::First, task)]),
            above: 0,
            more: false,
        }
    }

    /// The tasks to retry with the next commit. Empty if dependencies must be looked up first, and at the end.
    pub fn next(&mut self) -> Vec<(CommandPart, TaskId)> {
        let count = self.next.len().min(TASKS_PER_COMMIT as usize);
        self.next.drain(..count).collect()
    }

    /// The next look-up of dependencies: of these tasks, with ids above this one, at most this number. `None` if all are known.
    pub fn look_up(&self) -> Option<(Vec<TaskId>, TaskId, u32)> {
        self.more
            .then(|| (self.tasks.clone(), self.above, PER_LOOK_UP as u32))
    }

    /// Takes the result of a look-up, the oldest dependency first.
    pub fn found(&mut self, ids: &[TaskId]) {
        self.more = ids.len() >= PER_LOOK_UP;
        self.above = ids.last().copied().unwrap_or(self.above);
        for id in ids {
            let part = match self.tasks.binary_search(id) {
                Ok(at) => {
                    self.tasks.remove(at);
                    CommandPart::First
                }
                Err(_) => CommandPart::Second,
            };
            self.next.push_back((part, *id));
        }
        if !self.more {
            let rest = std::mem::take(&mut self.tasks);
            self.next
                .extend(rest.into_iter().map(|id| (CommandPart::First, id)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_come_first_and_no_task_comes_twice() {
        let mut order = RetryOrder::of(vec![90, 20, 50]);
        assert_eq!(order.next(), []);
        assert_eq!(order.look_up(), Some((vec![20, 50, 90], 0, 10_000)));
        order.found(&[7, 20, 30]);
        let next = [
            (CommandPart::Second, 7),
            (CommandPart::First, 20),
            (CommandPart::Second, 30),
            (CommandPart::First, 50),
            (CommandPart::First, 90),
        ];
        assert_eq!(order.next(), next);
        assert_eq!((order.next(), order.look_up()), (vec![], None));
    }

    #[test]
    fn many_dependencies_are_looked_up_and_retried_in_pieces() {
        let mut order = RetryOrder::of(vec![50_000]);
        let first: Vec<TaskId> = (1..=10_000).collect();
        order.found(&first);
        let mut done = Vec::new();
        let mut take = |order: &mut RetryOrder| loop {
            let next = order.next();
            assert!(next.len() <= TASKS_PER_COMMIT as usize);
            match next.is_empty() {
                true => break,
                false => done.extend(next.into_iter().map(|(_, id)| id)),
            }
        };
        take(&mut order);
        assert_eq!(order.look_up(), Some((vec![50_000], 10_000, 10_000)));
        order.found(&[10_001]);
        take(&mut order);
        assert_eq!(order.look_up(), None);
        assert!(done.iter().copied().eq((1..=10_001).chain([50_000])));
    }
}
