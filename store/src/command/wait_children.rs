//! Waits of tasks for their children without a lease: an attempt ends as `parked`, and the task is queued again when the
//! unfinished children have ended, in whatever way.
//!
//! Such a task is blocked, and each unfinished child is a dependency of it. It differs from other dependencies: a child that
//! fails ends the wait, too, and a child ends it once, so its row of the table is deleted with its end. A child has a greater
//! id than its parent, a dependency a lower one than its dependent: so the rows of both kinds are distinguished.

use crate::backend::{Result, StoreFault};
use crate::core::{CommandResult, Core};
use crate::outcome::Outcome;
use crate::row::Flags;
use crate::rules::transition;
use crate::sql::children_wait::{
    DeleteChildDependencies, DeleteChildrenWait, DeleteDependency, PutChildrenWait,
    SelectChildrenOfRuns,
};
use crate::sql::cold::InsertDependencies;
use kirosu_protocol::task::TYPE_PYTHON;
use kirosu_protocol::{
    Ack, AckStatus, Continued, Error, ErrorCode, FailureClass, Fence, Status, Task, TaskId,
    WaitChildrenAnswer,
};
use serde_json::json;

/// Bytes of the results of all children that one lease hands out.
const RESULTS_BYTES: usize = 1 << 20;
/// Bytes of the result of one child.
const RESULT_BYTES: usize = 64 << 10;

/// Above the number of any state, and that of the first final one.
const ALL: i64 = i64::MAX;
const UNFINISHED: i64 = 5;

impl Core {
    /// A run is about to end to wait for children.
    pub(crate) fn wait_children(
        &mut self,
        task_id: TaskId,
        fence: Fence,
    ) -> CommandResult<Outcome> {
        let lane = self.held("wait for the children of", task_id, fence)?.lane;
        if self
            .lanes
            .get(lane)
            .is_some_and(|lane| &*lane.task_type == TYPE_PYTHON)
        {
            let message = format!(
                "task {task_id} is code, which would run again from its beginning: let it wait with the method `wait`"
            );
            return Err(self.wrong_state_of(task_id, message));
        }
        if let Some(next) = self.open_handoff(task_id)? {
            let message = format!(
                "this run has handed over to task {next}, which goes on with the work: it cannot wait for children, too"
            );
            return Err(self.wrong_state_of(task_id, message));
        }
        self.flush_rows()?;
        let (after, upto) = (self.waited_upto(task_id)?, self.tasks.last_id());
        let children = self.children_of_runs(task_id, (after, upto), ALL)?;
        let unfinished = self.children_of_runs(task_id, (after, upto), UNFINISHED)?;
        if unfinished.is_empty() {
            let why = match children.len() {
                0 => "it has added no children since it began or last waited".to_owned(),
                count => format!(
                    "its {count} children have ended; read their results with `get` or `wait`"
                ),
            };
            let message = format!("cannot wait for the children of task {task_id}: {why}");
            return Err(self.wrong_state_of(task_id, message));
        }
        self.change(task_id, |row| row.flags.set(Flags::WAITS_CHILDREN));
        Ok(Outcome::WaitsChildren(WaitChildrenAnswer {
            task_id,
            children: children.len() as u64,
            unfinished: unfinished.len() as u64,
        }))
    }

    /// Refuses an ack that would end a task whose run waits for children, and a `parked` one of a run that does not.
    pub(crate) fn check_waits(&mut self, ack: &Ack) -> CommandResult<()> {
        let row = self.known(ack.task_id)?;
        let waits = row.flags.has(Flags::WAITS_CHILDREN);
        let is_parked = ack.class == Some(FailureClass::Parked);
        let (id, status) = (ack.task_id, row.state);
        let message = match (waits, is_parked, ack.status) {
            (true, _, AckStatus::Done) => format!(
                "cannot ack task {id} as done: its run has called `wait_children`; ack it as failed with class parked"
            ),
            (false, true, _) => {
                format!("cannot ack task {id} as parked: its run has not called `wait_children`")
            }
            _ => return Ok(()),
        };
        // A worker that did not know it sends the other ack.
        let data = json!({ "task_id": id, "status": status, "waits_children": waits });
        Err(Error::new(ErrorCode::WrongState, message)
            .with_data(data)
            .into())
    }

    /// An attempt has ended as `parked`: the task waits for its unfinished children, if there are any left.
    pub(crate) fn park(&mut self, task_id: TaskId) -> Result<()> {
        let Some(fence) = self.tasks.get(task_id).map(|row| row.fence) else {
            return Ok(());
        };
        self.flush_rows()?;
        let (after, upto) = (self.waited_upto(task_id)?, self.tasks.last_id());
        let unfinished = self.children_of_runs(task_id, (after, upto), UNFINISHED)?;
        self.write(PutChildrenWait {
            task_id,
            fence,
            after,
            upto,
        })?;
        self.insert_dependencies(task_id, &unfinished)?;
        self.mark_dependents(&unfinished)?;
        let (blocked_by, now) = (unfinished.len() as u32, self.now());
        self.change(task_id, |row| transition::park(row, blocked_by, now));
        Ok(())
    }

    /// Whether a task waits for the end of this child.
    pub(crate) fn waits_for_child(&mut self, task_id: TaskId, child: TaskId) -> Result<bool> {
        let row = self.row(task_id)?;
        Ok(child > task_id && row.is_some_and(|row| row.flags.has(Flags::WAITED_CHILDREN)))
    }

    /// A child for which a task waits has ended. One that has handed over goes on as that other task.
    pub(crate) fn child_ended(&mut self, task_id: TaskId, child: TaskId) -> Result<()> {
        self.write(DeleteDependency {
            depends_on: child,
            task_id,
        })?;
        let is_done = self
            .row(child)?
            .is_some_and(|row| row.state == Status::Done);
        let next = match is_done {
            true => self.open_handoff(child)?,
            false => None,
        };
        let Some(next) = next else {
            return self.unblock(task_id);
        };
        if let Some(wait) = self.db.children_wait(task_id)? {
            self.write(PutChildrenWait {
                task_id,
                fence: wait.fence,
                after: wait.after,
                upto: wait.upto.max(next),
            })?;
        }
        let added = self.write(InsertDependencies {
            task_id,
            depends_on: &json!([next]).to_string(),
        })?;
        if added == 0 {
            // It is one of those for which the task waits already.
            return self.unblock(task_id);
        }
        self.mark_dependents(&[next])
    }

    /// The unfinished task to which the newest attempt of a task has handed over.
    fn open_handoff(&mut self, task_id: TaskId) -> Result<Option<TaskId>> {
        let Some(next) = self.handed_to(task_id)? else {
            return Ok(None);
        };
        let is_open = self.row(next)?.is_some_and(|row| !row.state.is_final());
        Ok(is_open.then_some(next))
    }

    /// A task has ended: it waits for no child, and a retry of it begins anew.
    pub(crate) fn end_wait(&mut self, task_id: TaskId) -> Result<()> {
        let waited = |row: &crate::row::TaskRow| row.flags.has(Flags::WAITED_CHILDREN);
        if !self.tasks.get(task_id).is_some_and(waited) {
            return Ok(());
        }
        self.write(DeleteChildrenWait { task_id })?;
        self.write(DeleteChildDependencies {
            task_id,
            above: task_id,
        })?;
        self.change(task_id, |row| {
            row.flags.clear(Flags::WAITED_CHILDREN);
            row.blocked_by = 0;
        });
        Ok(())
    }

    /// Adds to a leased task how the children have ended for which it waited, and the conversation of the attempt that did.
    pub(crate) fn add_children(&mut self, task: &mut Task) -> Result<()> {
        let Some(wait) = self.db.children_wait(task.task_id)? else {
            return Err(StoreFault::value("a task that waited, without its wait"));
        };
        self.flush_rows()?;
        let range = (wait.after, wait.upto);
        let children = self.children_of_runs(task.task_id, range, ALL)?;
        // A child has a result or an error, and rarely both.
        let most = RESULT_BYTES.min(RESULTS_BYTES / children.len().max(1));
        task.children = self.db.ended_children(&children, most)?;
        if let Some(conversation) = self.conversation_at(task.task_id, wait.fence)?
            && !conversation.folder_removed
        {
            task.continues = Some(Box::new(Continued {
                task_id: task.task_id,
                conversation,
            }));
        }
        Ok(())
    }

    /// The id up to which a task has waited for its children before. Children have greater ids than their parents.
    fn waited_upto(&mut self, task_id: TaskId) -> Result<TaskId> {
        let wait = self.db.children_wait(task_id)?;
        Ok(wait.map_or(task_id, |wait| wait.upto))
    }

    /// The children that runs of the task have added, with ids in a range and states below `before`.
    fn children_of_runs(
        &mut self,
        parent_id: TaskId,
        (after, upto): (TaskId, TaskId),
        before: i64,
    ) -> Result<Vec<TaskId>> {
        let query = SelectChildrenOfRuns {
            parent_id,
            after,
            upto,
            flag: Flags::OF_RUN,
            before,
        };
        self.db.ids(query.into())
    }
}
