//! `retry`: queues a finished task again. (`retry_failed` runs in steps: `work`.)

use crate::backend::Result;
use crate::core::{CommandResult, Core, wrong_state};
use crate::outcome::Outcome;
use crate::row::{Flags, TaskRow};
use crate::sql::cold::SelectNote;
use crate::sql::records::TextQuery;
use kirosu_protocol::{Status, TaskId};

impl Core {
    /// Queues a failed or cancelled task again; repeating it is harmless. A task whose dependencies failed or were
    /// cancelled fails again at once.
    pub(crate) fn retry(&mut self, id: TaskId) -> CommandResult<Outcome> {
        let row = self.known(id)?;
        match row.state {
            Status::Failed | Status::Cancelled => {}
            state if !state.is_final() && row.flags.has(Flags::RETRIED) => {
                return Ok(retried(row, None));
            }
            _ => {
                return Err(wrong_state(
                    "retry",
                    row,
                    "only failed and cancelled tasks can be retried",
                )
                .into());
            }
        }
        self.check_not_continued(id)?;
        self.check_retry_in_plan(id)?;
        self.come_back(id)?;
        let failed = self.known(id)?.state == Status::Failed;
        let note = match failed {
            true => self.db.text(TextQuery::Note(SelectNote { task_id: id }))?,
            false => None,
        };
        Ok(retried(self.known(id)?, note))
    }

    /// Queues one failed or cancelled task again, or fails it again.
    fn come_back(&mut self, id: TaskId) -> Result<()> {
        if let Some(error) = self.hopeless(id)? {
            return self.fail_for_dependency(id, &error);
        }
        self.bring_back(id);
        self.report(id, "retried");
        self.came_back(id)
    }
}

fn retried(row: &TaskRow, error: Option<String>) -> Outcome {
    Outcome::Retried {
        status: row.state,
        error,
    }
}
