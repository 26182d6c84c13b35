//! Retention: deletes finished tasks that are old enough, in small steps.

use crate::backend::Result;
use crate::core::Core;
use crate::outcome::Outcome;
use crate::retention::Scan;
use crate::row::Flags;
use crate::sql::approval::DeleteApprovals;
use crate::sql::handoff::DeleteHandoff;
use crate::sql::long_text::{DropTextsOfAttempts, DropTextsOfTask};
use crate::sql::plan::DeleteCached;
use crate::sql::sets::{self, FinishedTask, SelectFinished, SelectFirstFrom};
use crate::sql::tx::FreePages;
use kirosu_protocol::{Status, TaskId};

/// A task with more dependents is kept until fewer are left: reading all of them takes too long.
const DEPENDENTS: i64 = 1000;
/// Pruned members of a budget's tree that are deleted in one step.
const MEMBERS: i64 = 500;
/// Pages that one step frees, approximately; half a MiB in new files. Long texts cost more than many rows.
const PAGES: i64 = 256;
/// Dependencies of one task that are deleted in one step.
const DEPENDENCIES: i64 = 500;
/// Rows of one task that are deleted at once from a table in which it may have many or long ones.
const ROWS: i64 = 16;

impl Core {
    /// Examines the next finished tasks, at most `limit`, and deletes those that ended before a time unless an
    /// unfinished task depends on them.
    pub(crate) fn prune(&mut self, before_ms: i64, limit: u32) -> Result<Outcome> {
        self.flush_rows()?;
        let limit = i64::from(limit.max(1));
        let (mut examined, mut count) = (0, 0);
        let enough = self.free_pages()? + PAGES;
        while examined < limit
            && self.free_pages()? < enough
            && self.unused_texts.is_empty()
            && let Some(mut scan) = self.retention.next(before_ms)
        {
            let most = limit - examined;
            let seen = self.db.finished(SelectFinished {
                after: scan.after,
                last: scan.last(),
                limit: most,
            })?;
            // Reading a range has a cost even if it is empty.
            examined += (seen.len() as i64).max(limit / 4);
            let is_last = (seen.len() as i64) < most;
            if seen.is_empty() && self.retention.is_unseen(&scan) {
                let from = scan.last() + 1;
                let first = self.db.number(SelectFirstFrom { from }.into())?;
                self.retention.finish(scan);
                self.retention.skip_to(first);
                continue;
            }
            let mut all = true;
            for task in &seen {
                if self.free_pages()? >= enough || !self.unused_texts.is_empty() {
                    all = false;
                    break;
                }
                count += u64::from(self.prune_one(task, before_ms, enough, &mut scan)?);
                scan.after = task.id;
            }
            match all && is_last {
                true => self.retention.finish(scan),
                false => self.retention.pause(scan),
            }
        }
        if count > 0 {
            self.counters.set_last_id(self.tasks.last_id());
        }
        // The texts of deleted rows are deleted by the next commits.
        let more = self.retention.next(before_ms).is_some()
            || !self.unused_texts.is_empty()
            || self.forget_unnamed_source()?;
        Ok(Outcome::Counted { count, more })
    }

    /// Unused pages of the file.
    fn free_pages(&mut self) -> Result<i64> {
        Ok(self.db.number(FreePages {}.into())?.unwrap_or(0))
    }

    fn prune_one(
        &mut self,
        task: &FinishedTask,
        before_ms: i64,
        enough: i64,
        scan: &mut Scan,
    ) -> Result<bool> {
        if task.at >= before_ms {
            scan.stays(task.at);
            return Ok(false);
        }
        let flags = Flags(task.flags);
        if self.is_needed(task.id)?
            || (flags.has(Flags::IN_PLAN) && self.is_in_run(task.id)?)
            || (flags.has(Flags::OF_RUN) && self.is_awaited(task.id)?)
        {
            // The next sweep examines it again.
            scan.stays(before_ms);
            return Ok(false);
        }
        self.read_lane(task.lane)?;
        let is_plan = self.lanes.get(task.lane).is_some_and(|lane| lane.is_plan());
        if (is_plan && !self.forget_run(task.id)?)
            || !self.leave_trees(task.id)?
            || !self.delete_pieces(task, enough)?
            || !self.delete_dependencies(task.id)?
        {
            // The next step continues with it.
            scan.stays(task.at);
            return Ok(false);
        }
        if flags.has(Flags::IN_PLAN) {
            self.write(DeleteCached { task_id: task.id })?;
        }
        if flags.has(Flags::HANDED_OVER) {
            self.write(DeleteHandoff { task_id: task.id })?;
        }
        self.forget(task)?;
        Ok(true)
    }

    /// Whether an unfinished task depends on this one, or work on its dependents or children is unfinished.
    fn is_needed(&mut self, id: TaskId) -> Result<bool> {
        if self.works.needs(id) {
            return Ok(true);
        }
        let (dependents, unfinished) = self.db.dependents(id, DEPENDENTS + 1)?;
        Ok(dependents > DEPENDENTS || unfinished > 0)
    }

    /// Whether a task that waits for its children has not got the result of this one yet.
    fn is_awaited(&mut self, id: TaskId) -> Result<bool> {
        let Some(parent) = self.task_options(id)?.parent_id else {
            return Ok(false);
        };
        let waits =
            |flags: Flags| flags.has(Flags::WAITS_CHILDREN) || flags.has(Flags::WAITED_CHILDREN);
        Ok(self.row(parent)?.is_some_and(|row| waits(row.flags)))
    }

    /// Removes the task from its trees with a budget; with the last task of a tree the budget is deleted. Returns false
    /// where a further step is needed first.
    fn leave_trees(&mut self, id: TaskId) -> Result<bool> {
        for tree in self.ledger.trees_of(&mut *self.db, id)? {
            if !self.ledger.leave_tree(&mut *self.db, id, tree, MEMBERS)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Deletes output and attempts of a task, which may be long, the oldest first, until `enough` pages are free.
    /// Returns whether all of them are deleted.
    fn delete_pieces(&mut self, task: &FinishedTask, enough: i64) -> Result<bool> {
        let (task_id, same, limit) = (task.id, task.id, ROWS);
        loop {
            if Flags(task.flags).has(Flags::HAS_LONG_TEXTS) {
                self.write(DropTextsOfAttempts { task_id, limit })?;
                self.find_unused_texts()?;
            }
            let deleted = self.write(sets::DeleteSomeOutput {
                task_id,
                same,
                limit,
            })? + self.write(sets::DeleteSomeAttempts {
                task_id,
                same,
                limit,
            })?;
            if (deleted as i64) < ROWS {
                return Ok(true);
            }
            if self.free_pages()? >= enough {
                return Ok(false);
            }
        }
    }

    /// Deletes dependencies that are done, up to a limit: each may be in a page of its own. A retry of the task until then
    /// waits for the others. Returns whether all of them are deleted.
    fn delete_dependencies(&mut self, id: TaskId) -> Result<bool> {
        let (task_id, same, limit) = (id, id, DEPENDENCIES);
        let some = sets::DeleteSomeDependencies {
            task_id,
            same,
            limit,
        };
        Ok((self.write(some)? as i64) < limit)
    }

    fn forget(&mut self, task: &FinishedTask) -> Result<()> {
        let (id, status) = (task.id, task.state);
        if Flags(task.flags).has(Flags::HAS_LONG_TEXTS) {
            self.write(DropTextsOfTask {
                task_id: id,
                same: id,
            })?;
            self.find_unused_texts()?;
        }
        self.write(sets::DeleteKey { id })?;
        self.write(sets::DeleteChild { task_id: id, id })?;
        self.write(sets::DeleteInput { id })?;
        self.write(sets::DeleteNote { id })?;
        self.write(sets::DeleteDecisions { id })?;
        self.write(sets::DeleteDependencies { id })?;
        if status == Status::Done {
            // The dependents of a task that was not done need these rows when they are retried.
            self.write(sets::DeleteDependents { id })?;
        }
        self.write(sets::DeleteProgress { id })?;
        self.ledger.delete_task(&mut *self.db, id)?;
        if Flags(task.flags).has(Flags::HAS_LABELS) {
            self.write(sets::DeleteLabels { id })?;
        }
        if Flags(task.flags).has(Flags::HAS_CONVERSATION) {
            self.write(sets::DeleteConversation { id })?;
        }
        if Flags(task.flags).has(Flags::HAS_PERMISSIONS) {
            self.write(DeleteApprovals { id })?;
        }
        self.write(sets::DeleteTask { id })?;
        self.tasks.forget(id);
        self.read_lane(task.lane)?;
        self.lanes.count(task.lane, status, -1);
        self.lanes.note_if_empty(task.lane);
        self.counters.pruned(status);
        Ok(())
    }
}
