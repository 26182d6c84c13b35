//! Retention: deletes runs in small steps.

use crate::backend::Result;
use crate::core::Core;
use crate::sql::plan::{
    DeletePlanRun, DeletePlanStep, DeletePlanText, DeleteSomeItems, DeleteSource,
    DeleteSourcePiece, SelectAnyStep, SelectItemWith, SelectSourceOfRun, SelectUnnamedSource,
};
use kirosu_protocol::{SourceId, TaskId};

/// Items that one step deletes.
const ITEMS: i64 = 200;
/// The time for which a source waits for the run that names it, in milliseconds.
const UNNAMED_MS: i64 = 24 * 60 * 60 * 1000;

impl Core {
    /// Whether a task of a step is needed: the items of its run are not deleted yet.
    pub(crate) fn is_in_run(&mut self, id: TaskId) -> Result<bool> {
        Ok(self
            .db
            .number(SelectItemWith { task_id: id }.into())?
            .is_some())
    }

    /// Deletes some of what belongs to a run. Returns whether nothing is left of it but its task.
    pub(crate) fn forget_run(&mut self, id: TaskId) -> Result<bool> {
        if let Some(step) = self.db.number(SelectAnyStep { run_id: id }.into())? {
            let some = DeleteSomeItems {
                step_id: step,
                same: step,
                limit: ITEMS,
            };
            if (self.write(some)? as i64) < ITEMS {
                self.write(DeletePlanStep { id: step })?;
                self.plans.steps.remove(&step);
            }
            return Ok(false);
        }
        if let Some(source) = self.db.number(SelectSourceOfRun { run_id: id }.into())? {
            self.forget_source(source)?;
            return Ok(false);
        }
        self.write(DeletePlanText { run_id: id })?;
        self.write(DeletePlanRun { task_id: id })?;
        self.plans.runs.remove(&id);
        Ok(true)
    }

    /// Deletes some of a source that no run has named for long. Returns whether there was one.
    pub(crate) fn forget_unnamed_source(&mut self) -> Result<bool> {
        let before = self.now() - UNNAMED_MS;
        let source = self.db.number(SelectUnnamedSource { before }.into())?;
        match source {
            Some(source) => self.forget_source(source).map(|()| true),
            None => Ok(false),
        }
    }

    /// Deletes one piece of a source, or the source without pieces.
    fn forget_source(&mut self, id: SourceId) -> Result<()> {
        if self.write(DeleteSourcePiece { source_id: id })? == 0 {
            self.write(DeleteSource { id })?;
        }
        Ok(())
    }
}
