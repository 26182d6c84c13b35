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
    SelectUnfinishedChildren,
};
use crate::sql::work::SelectNextChildren;
use kirosu_protocol::{
    Ack, AckStatus, Continued, FailureClass, Fence, Task, TaskId, WaitChildrenAnswer,
};

/// Bytes of the results of all children that one lease hands out.
const RESULTS_BYTES: usize = 1 << 20;
/// Bytes of the result of one child.
const RESULT_BYTES: usize = 64 << 10;

impl Core {
    /// A run is about to end to wait for children.
    pub(crate) fn wait_children(
        &mut self,
        task_id: TaskId,
        fence: Fence,
    ) -> CommandResult<Outcome> {
        self.held("wait for the children of", task_id, fence)?;
        if let Some(next) = self.handed_to(task_id)? {
            let message = format!(
                "this run has handed over to task {next}, which goes on with the work: it cannot wait for children, too"
            );
            return Err(self.wrong_state_of(task_id, message));
        }
        self.flush_rows()?;
        let after = self.waited_upto(task_id)?;
        let (upto, limit) = (self.tasks.last_id(), i64::MAX);
        let children = self.db.ids(
            SelectNextChildren {
                parent_id: task_id,
                after,
                upto,
                limit,
            }
            .into(),
        )?;
        let unfinished = self.unfinished_children(task_id, after)?;
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
        let message = match (waits, is_parked, ack.status) {
            (true, false, AckStatus::Done) => format!(
                "cannot ack task {} as done: its run has called `wait_children`; ack it as failed with class parked",
                ack.task_id
            ),
            (false, true, _) => format!(
                "cannot ack task {} as parked: its run has not called `wait_children`",
                ack.task_id
            ),
            _ => return Ok(()),
        };
        Err(self.wrong_state_of(ack.task_id, message))
    }

    /// An attempt has ended as `parked`: the task waits for its unfinished children, if there are any left.
    pub(crate) fn park(&mut self, task_id: TaskId) -> Result<()> {
        self.flush_rows()?;
        let after = self.waited_upto(task_id)?;
        let unfinished = self.unfinished_children(task_id, after)?;
        let Some(fence) = self.tasks.get(task_id).map(|row| row.fence) else {
            return Ok(());
        };
        self.write(PutChildrenWait {
            task_id,
            fence,
            after,
            upto: self.tasks.last_id(),
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

    /// A child for which a task waits has ended.
    pub(crate) fn child_ended(&mut self, task_id: TaskId, child: TaskId) -> Result<()> {
        self.write(DeleteDependency {
            depends_on: child,
            task_id,
        })?;
        self.unblock(task_id)
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
        let children = self.db.ids(
            SelectNextChildren {
                parent_id: task.task_id,
                after: wait.after,
                upto: wait.upto,
                limit: i64::MAX,
            }
            .into(),
        )?;
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

    /// The id up to which a task has waited for its children before; 0 if it has not.
    fn waited_upto(&mut self, task_id: TaskId) -> Result<TaskId> {
        let wait = self.db.children_wait(task_id)?;
        Ok(wait.map_or(0, |wait| wait.upto))
    }

    fn unfinished_children(&mut self, parent_id: TaskId, after: TaskId) -> Result<Vec<TaskId>> {
        self.db
            .ids(SelectUnfinishedChildren { parent_id, after }.into())
    }
}
