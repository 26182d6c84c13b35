//! `retry`: bring a finished task back. (`retry_failed` goes on in steps: `work`.)

use crate::core::{Core, Reply, wrong_state};
use crate::outcome::Outcome;
use crate::row::{Flags, TaskRow};
use crate::sql;
use crate::sql::cold::SelectNote;
use diesel::QueryResult;
use kirosu_protocol::{Status, TaskId};

impl Core {
    /// Queues a failed or cancelled task again; sent twice, it is fine. One whose dependencies have ended without a result
    /// fails again at once.
    pub(crate) fn retry(&mut self, id: TaskId) -> Reply<Outcome> {
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
        self.come_back(id)?;
        let failed = self.known(id)?.state == Status::Failed;
        let note: Option<Option<String>> = match failed {
            true => sql::first(&mut self.conn, SelectNote { task_id: id })?,
            false => None,
        };
        let row = self.known(id)?;
        Ok(retried(row, note.flatten()))
    }

    /// Brings one failed or cancelled task back, or fails it again.
    fn come_back(&mut self, id: TaskId) -> QueryResult<()> {
        if let Some(error) = self.hopeless(id)? {
            return self.fail_for_dependency(id, &error);
        }
        self.bring_back(id);
        self.tell(id, "retried");
        self.came_back(id)
    }
}

fn retried(row: &TaskRow, error: Option<String>) -> Outcome {
    Outcome::Retried {
        status: row.state,
        error,
    }
}
