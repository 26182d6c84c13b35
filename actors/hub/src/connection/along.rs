//! Tasks that come back together with the failed and cancelled ones that they depend on, as a pure machine: which come back
//! next, and what is to be looked up before.

use super::dispatch::{FIRST, SECOND};
use super::groups::CHANGED_AT_ONCE;
use kirosu_protocol::TaskId;
use std::collections::VecDeque;

/// Dependencies that are looked up at once.
const LOOKED_UP: usize = 10_000;

/// The tasks of a page, and what they depend on as far as it is known.
#[derive(Debug)]
pub(super) struct Along {
    /// Tasks of the page that do not stand in `next`, by id.
    tasks: Vec<TaskId>,
    /// The tasks that come back next, the oldest first, so that each finds those that it depends on as they will be: the part of
    /// the request's answers that it belongs to, and the task.
    next: VecDeque<(u64, TaskId)>,
    /// Dependencies up to this id are known.
    above: TaskId,
    /// Whether there may be more of them.
    more: bool,
}

impl Along {
    /// Of these tasks.
    pub fn of(mut tasks: Vec<TaskId>) -> Along {
        tasks.sort_unstable();
        Along {
            more: !tasks.is_empty(),
            tasks,
            next: VecDeque::new(),
            above: 0,
        }
    }

    /// Of one task, without what it depends on.
    pub fn alone(task: TaskId) -> Along {
        Along {
            tasks: Vec::new(),
            next: VecDeque::from([(FIRST, task)]),
            above: 0,
            more: false,
        }
    }

    /// The tasks that come back with the next commit. Empty where more have to be looked up first, or at the end.
    pub fn next(&mut self) -> Vec<(u64, TaskId)> {
        let count = self.next.len().min(CHANGED_AT_ONCE as usize);
        self.next.drain(..count).collect()
    }

    /// The dependencies to look up, if any: those of these tasks, above this id, at most this number.
    pub fn question(&self) -> Option<(Vec<TaskId>, TaskId, u32)> {
        self.more
            .then(|| (self.tasks.clone(), self.above, LOOKED_UP as u32))
    }

    /// These were found, the oldest first.
    pub fn found(&mut self, ids: &[TaskId]) {
        self.more = ids.len() >= LOOKED_UP;
        self.above = ids.last().copied().unwrap_or(self.above);
        for id in ids {
            let part = match self.tasks.binary_search(id) {
                Ok(at) => {
                    self.tasks.remove(at);
                    FIRST
                }
                Err(_) => SECOND,
            };
            self.next.push_back((part, *id));
        }
        if !self.more {
            let rest = std::mem::take(&mut self.tasks);
            self.next.extend(rest.into_iter().map(|id| (FIRST, id)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tasks_depend_on_comes_first_and_nothing_comes_twice() {
        let mut along = Along::of(vec![90, 20, 50]);
        assert_eq!(along.next(), []);
        assert_eq!(along.question(), Some((vec![20, 50, 90], 0, 10_000)));
        along.found(&[7, 20, 30]);
        let next = [
            (SECOND, 7),
            (FIRST, 20),
            (SECOND, 30),
            (FIRST, 50),
            (FIRST, 90),
        ];
        assert_eq!(along.next(), next);
        assert_eq!((along.next(), along.question()), (vec![], None));
    }

    #[test]
    fn very_many_are_looked_up_and_changed_in_pieces() {
        let mut along = Along::of(vec![50_000]);
        let first: Vec<TaskId> = (1..=10_000).collect();
        along.found(&first);
        let mut done = Vec::new();
        let mut take = |along: &mut Along| loop {
            let next = along.next();
            assert!(next.len() <= CHANGED_AT_ONCE as usize);
            match next.is_empty() {
                true => break,
                false => done.extend(next.into_iter().map(|(_, id)| id)),
            }
        };
        take(&mut along);
        assert_eq!(along.question(), Some((vec![50_000], 10_000, 10_000)));
        along.found(&[10_001]);
        take(&mut along);
        assert_eq!(along.question(), None);
        assert!(done.iter().copied().eq((1..=10_001).chain([50_000])));
    }
}
