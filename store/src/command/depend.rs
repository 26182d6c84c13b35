//! The dependencies of new tasks: checked, stored, marked and counted.

use crate::backend::{Result, StoreFault};
use crate::core::{CommandResult, Core};
use crate::outcome::Outcome;
use crate::row::Flags;
use crate::rules::key;
use crate::sql::cold::{CountDependencies, InsertDependencies, InsertDependency};
use crate::sql::task::SetFlags;
use kirosu_protocol::{Status, TaskId};

/// Dependencies of one task whose rows are marked by one statement.
const MARKED_AT_ONCE: usize = 64;

impl Core {
    /// Refuses dependencies that do not exist, of a task at this position of its request.
    pub(super) fn check_dependencies(
        &mut self,
        depends_on: &[TaskId],
        position: Option<usize>,
    ) -> CommandResult<()> {
        for dependency in depends_on {
            if self.row(*dependency)?.is_none() {
                return Err(key::unknown_dependency(*dependency, position).into());
            }
        }
        Ok(())
    }

    /// Marks dependencies: a mark without a dependent has no effect. One that does not exist is refused with its task, which is
    /// not known here.
    pub(crate) fn prepare_dependencies(&mut self, ids: &[TaskId]) -> CommandResult<Outcome> {
        let mut unmarked = Vec::new();
        for id in ids {
            let Some(row) = self.row(*id)? else {
                continue;
            };
            if row.state != Status::Done && !row.flags.has(Flags::HAS_DEPENDENTS) {
                unmarked.push(*id);
            }
        }
        self.mark_dependents(&unmarked)?;
        Ok(Outcome::Ok)
    }

    /// Records the dependencies of a new task, some of which may be `stored`. Returns how many are not done, and the reason
    /// why the task can never run, if there is one.
    pub(super) fn depend(
        &mut self,
        task_id: TaskId,
        depends_on: &[TaskId],
        stored: bool,
    ) -> Result<(u32, Option<String>)> {
        let (mut blocked_by, mut hopeless) = (0, None);
        let mut depends_on = depends_on.to_vec();
        depends_on.sort_unstable();
        depends_on.dedup();
        let are_stored = stored && {
            let stored = self.db.number(CountDependencies { task_id }.into())?;
            stored == Some(depends_on.len() as i64)
        };
        if !are_stored {
            self.insert_dependencies(task_id, &depends_on)?;
        }
        let mut unmarked = Vec::new();
        for depends_on in depends_on {
            let row = self.row(depends_on)?.map(|row| (row.state, row.flags));
            let Some((state, flags)) = row else {
                // It was pruned after the check of a large batch.
                blocked_by += 1;
                hopeless = Some(format!("dependency {depends_on} was pruned"));
                continue;
            };
            // Work that the end of the dependency began counts a task down that has its id already.
            if state == Status::Done && !self.works.will_unblock(depends_on, task_id) {
                continue;
            }
            blocked_by += 1;
            if !flags.has(Flags::HAS_DEPENDENTS) {
                unmarked.push(depends_on);
            }
            if state.is_final() && state != Status::Done {
                hopeless = Some(super::finish::dependency_ended(depends_on, state));
            }
        }
        self.mark_dependents(&unmarked)?;
        Ok((blocked_by, hopeless))
    }

    pub(super) fn insert_dependencies(
        &mut self,
        task_id: TaskId,
        depends_on: &[TaskId],
    ) -> Result<()> {
        match depends_on {
            [] => 0,
            [depends_on] => self.write(InsertDependency {
                depends_on: *depends_on,
                task_id,
            })?,
            depends_on => self.write(InsertDependencies {
                task_id,
                depends_on: &json(depends_on)?,
            })?,
        };
        Ok(())
    }

    /// Records in the rows of tasks that others depend on them. Many stored rows are changed by one statement.
    pub(super) fn mark_dependents(&mut self, ids: &[TaskId]) -> Result<()> {
        if ids.len() < MARKED_AT_ONCE {
            for id in ids {
                // Only a row in memory can be changed.
                self.row(*id)?;
                self.change(*id, |row| row.flags.set(Flags::HAS_DEPENDENTS));
            }
            return Ok(());
        }
        self.flush_rows()?;
        self.tasks.set_flag(ids, Flags::HAS_DEPENDENTS);
        self.write(SetFlags {
            flags: Flags::HAS_DEPENDENTS,
            ids: &json(ids)?,
        })?;
        Ok(())
    }
}

fn json(ids: &[TaskId]) -> Result<String> {
    serde_json::to_string(ids).map_err(StoreFault::value)
}
