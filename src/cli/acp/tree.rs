//! The tasks below the task of a turn: which they are, and which of them the editor sees as tool calls.

use super::updates::{task_call, task_update};
use kirosu_protocol::task::TYPE_HUMAN;
use kirosu_protocol::{EventKind, IdRange, PermissionState, Status, Task, TaskId};
use serde_json::Value;
use std::collections::{BTreeSet, HashMap};

/// Tasks that are shown from their beginning. Further ones are shown only if they fail.
const SHOWN: usize = 100;
/// Tasks that are shown at most.
const SHOWN_MOST: usize = 200;
/// Tasks that are known at most.
const MEMBERS: usize = 20_000;
/// Ranges of ids in one question to the hub.
const RANGES: usize = 100;

/// A task of the tree.
struct TreeTask {
    status: Status,
    is_shown: bool,
}

/// The tasks below a task, itself included.
pub struct TaskTree {
    root: TaskId,
    members: HashMap<TaskId, TreeTask>,
    /// Tasks that were enqueued, and those whose agents ask: they may be of the tree.
    unknown: BTreeSet<TaskId>,
    /// Tasks of the tree with another state.
    changed: BTreeSet<TaskId>,
    /// Tasks of the tree that wait for a person.
    asking: BTreeSet<TaskId>,
    shown: usize,
    /// The tasks that are shown no more were reported.
    is_full: bool,
}

impl TaskTree {
    /// A tree of one task.
    pub fn new(root: TaskId) -> TaskTree {
        let member = TreeTask {
            status: Status::Queued,
            is_shown: false,
        };
        TaskTree {
            root,
            members: HashMap::from([(root, member)]),
            unknown: BTreeSet::new(),
            changed: BTreeSet::new(),
            asking: BTreeSet::new(),
            shown: 0,
            is_full: false,
        }
    }

    /// Notes an event of any task. Returns whether the hub should be asked about tasks.
    pub fn note(&mut self, what: &EventKind) -> bool {
        match what {
            EventKind::Task {
                task_id,
                status,
                reason,
                ..
            } => match self.members.contains_key(task_id) {
                true => {
                    self.changed.insert(*task_id);
                    if *status == Status::AwaitingApproval {
                        self.asking.insert(*task_id);
                    }
                    true
                }
                // Tasks keep their parents, so that one of another tree never joins.
                false => reason == "enqueued" && self.unknown.insert(*task_id),
            },
            EventKind::Approval { task_id, state, .. } => {
                if *state == PermissionState::Open {
                    self.asking.insert(*task_id);
                    if !self.members.contains_key(task_id) {
                        self.unknown.insert(*task_id);
                    }
                }
                *state == PermissionState::Open
            }
            _ => false,
        }
    }

    /// The tasks about which the hub is to be asked, as ranges of ids, and forgets them. Beyond the most ranges of a request the last
    /// one has all others.
    pub fn wanted(&mut self) -> Vec<IdRange> {
        let mut ids = std::mem::take(&mut self.unknown);
        ids.append(&mut self.changed);
        let mut ranges: Vec<IdRange> = Vec::new();
        for id in ids {
            let is_full = ranges.len() == RANGES;
            match ranges.last_mut() {
                Some(range) if range.last + 1 == id || is_full => range.last = id,
                _ => ranges.push(IdRange {
                    first: id,
                    last: id,
                }),
            }
        }
        ranges
    }

    /// Notes that every open task may have changed.
    pub fn note_open(&mut self) {
        let open = self.open();
        self.changed.extend(open);
    }

    /// The tasks that have not ended, to read the tree anew after events were lost.
    pub fn open(&self) -> Vec<TaskId> {
        let open = self.members.iter().filter(|(_, it)| !it.status.is_final());
        let mut ids: Vec<TaskId> = open.map(|(id, _)| *id).collect();
        ids.sort_unstable();
        ids
    }

    /// The tasks of the tree that may wait for a person, and forgets them.
    pub fn asking(&mut self) -> Vec<TaskId> {
        let asking = std::mem::take(&mut self.asking).into_iter();
        asking.filter(|id| self.members.contains_key(id)).collect()
    }

    /// Takes the state of tasks, in the order of their ids so that parents come before their children. Returns the updates for the
    /// editor.
    pub fn take(&mut self, tasks: &[Task]) -> Vec<Value> {
        tasks.iter().filter_map(|task| self.one(task)).collect()
    }

    fn one(&mut self, task: &Task) -> Option<Value> {
        let id = task.task_id;
        let is_child = || {
            task.parent_id
                .is_some_and(|it| self.members.contains_key(&it))
        };
        let before = match self.members.get(&id) {
            Some(member) => Some(member.status),
            None if is_child() && self.members.len() < MEMBERS => None,
            None => return None,
        };
        let waits = match task.task_type.as_str() {
            TYPE_HUMAN => task.status == Status::Queued,
            _ => task.status == Status::AwaitingApproval,
        };
        if waits {
            self.asking.insert(id);
        }
        let most = match task.status {
            Status::Failed => SHOWN_MOST,
            _ => SHOWN,
        };
        let has_room = self.shown < most;
        let member = self.members.entry(id).or_insert(TreeTask {
            status: task.status,
            is_shown: false,
        });
        member.status = task.status;
        // The question to the person shows such a task.
        if id == self.root || task.task_type == TYPE_HUMAN {
            return None;
        }
        match (member.is_shown, before) {
            (true, before) if before != Some(task.status) => Some(task_update(task)),
            (true, _) => None,
            (false, _) if has_room => {
                member.is_shown = true;
                self.shown += 1;
                Some(task_call(task))
            }
            (false, _) => None,
        }
    }

    /// Whether tasks are not shown for the first time.
    pub fn became_full(&mut self) -> bool {
        let is_full = self.shown >= SHOWN && self.members.len() > self.shown + 1;
        is_full && !std::mem::replace(&mut self.is_full, true)
    }
}

#[cfg(test)]
mod tests {
    use super::super::updates::tests::task;
    use super::*;
    use serde_json::json;

    fn enqueued(task_id: TaskId) -> EventKind {
        changed(task_id, Status::Queued, "enqueued")
    }

    fn changed(task_id: TaskId, status: Status, reason: &str) -> EventKind {
        EventKind::Task {
            task_id,
            status,
            fence: 1,
            worker_id: None,
            by: None,
            reason: reason.into(),
            question: None,
        }
    }

    fn child(id: TaskId, parent: TaskId, status: &str) -> Task {
        task(json!({"task_id": id, "parent_id": parent, "status": status}))
    }

    #[test]
    fn tasks_at_any_depth_join_and_those_of_others_do_not() {
        let mut tree = TaskTree::new(3);
        for id in [4, 5, 6, 9] {
            assert!(tree.note(&enqueued(id)));
        }
        let range = |first, last| IdRange { first, last };
        assert_eq!(tree.wanted(), [range(4, 6), range(9, 9)]);
        assert!(tree.wanted().is_empty());
        let tasks = [
            child(4, 3, "queued"),
            child(5, 4, "leased"),
            child(6, 1, "queued"),
            task(json!({"task_id": 9})),
        ];
        let updates = tree.take(&tasks);
        let ids: Vec<&str> = updates
            .iter()
            .map(|it| it["toolCallId"].as_str().unwrap())
            .collect();
        assert_eq!(ids, ["task-4", "task-5"]);
        assert!(tree.note(&changed(5, Status::Done, "done")));
        assert!(!tree.note(&changed(6, Status::Done, "done")));
        assert_eq!(tree.wanted(), [range(5, 5)]);
        let updates = tree.take(&[child(5, 4, "done"), child(4, 3, "queued")]);
        assert_eq!(updates.len(), 1, "only what changed: {updates:?}");
        assert_eq!(updates[0]["status"], "completed");
        assert_eq!(tree.open(), [3, 4]);
    }

    #[test]
    fn tasks_that_wait_for_a_person_are_found_once() {
        let mut tree = TaskTree::new(3);
        let human = |id| task(json!({"task_id": id, "parent_id": 3, "type": "human"}));
        let tasks = [
            human(4),
            child(5, 3, "awaiting_approval"),
            child(6, 3, "queued"),
        ];
        assert_eq!(tree.take(&tasks).len(), 2, "4 is shown by its question");
        assert_eq!(tree.asking(), [4, 5]);
        assert!(tree.asking().is_empty());
        let asks = |task_id| EventKind::Approval {
            approval_id: 1,
            task_id,
            fence: 1,
            state: PermissionState::Open,
            tool: "shell".into(),
            title: String::new(),
            by: None,
            rule: None,
        };
        assert!(tree.note(&asks(6)) && tree.note(&asks(77)) && tree.note(&asks(78)));
        tree.take(&[child(78, 6, "leased")]);
        assert_eq!(tree.asking(), [6, 78], "77 is of another tree");
    }

    #[test]
    fn of_many_tasks_those_that_fail_are_shown() {
        let mut tree = TaskTree::new(1);
        let tasks: Vec<Task> = (2..=151).map(|id| child(id, 1, "queued")).collect();
        assert_eq!(tree.take(&tasks).len(), SHOWN);
        assert!(tree.became_full() && !tree.became_full());
        let updates = tree.take(&[child(150, 1, "done"), child(151, 1, "failed")]);
        assert_eq!(updates.len(), 1);
        assert_eq!(updates[0]["sessionUpdate"], "tool_call");
        assert_eq!(updates[0]["status"], "failed");
    }

    #[test]
    fn many_scattered_tasks_are_one_question() {
        let mut tree = TaskTree::new(1);
        for n in 0..500 {
            tree.note(&enqueued(2 + 2 * n));
        }
        let ranges = tree.wanted();
        assert_eq!(ranges.len(), RANGES);
        assert_eq!(ranges[RANGES - 1].last, 1000);
    }
}
