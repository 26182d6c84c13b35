//! `retry`: bring a finished task back. (`retry_failed` goes on in steps: `work`.)

use crate::core::{Core, Reply, wrong_state};
use crate::outcome::Outcome;
use crate::row::{Flags, TaskRow};
use crate::sql;
use crate::sql::cold::SelectNote;
use crate::sql::work::SelectFailedDependencies;
use diesel::QueryResult;
use kirosu_protocol::{Error, ErrorCode, Status, TaskId};
use std::collections::BTreeSet;

/// Most dependencies that one `retry` takes along.
const TAKEN_ALONG: usize = 1000;

impl Core {
    /// Queues a failed or cancelled task again, on demand with those that it depends on; sent twice, it is fine. One whose
    /// dependencies have ended without a result fails again at once.
    pub(crate) fn retry(&mut self, id: TaskId, with_dependencies: bool) -> Reply<Outcome> {
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
        if with_dependencies {
            // Older ones first: each finds those that it depends on as they will be.
            for dependency in self.failed_ancestors(id)? {
                self.come_back(dependency)?;
            }
        }
        // One of them may have brought it back.
        if self.known(id)?.state.is_final() {
            self.come_back(id)?;
        }
        let failed = self.known(id)?.state == Status::Failed;
        let note: Option<Option<String>> = match failed {
            true => sql::first(&mut self.conn, SelectNote { task_id: id })?,
            false => None,
        };
        let row = self.known(id)?;
        Ok(retried(row, note.flatten()))
    }

    /// The failed and cancelled tasks that a task depends on, and theirs in turn, by id.
    fn failed_ancestors(&mut self, id: TaskId) -> Reply<BTreeSet<TaskId>> {
        self.flush_rows()?;
        let (mut found, mut open) = (BTreeSet::new(), vec![id]);
        while let Some(task_id) = open.pop() {
            let dependencies: Vec<TaskId> =
                sql::all(&mut self.conn, SelectFailedDependencies { task_id })?;
            open.extend(dependencies.into_iter().filter(|id| found.insert(*id)));
            if found.len() > TAKEN_ALONG {
                let message = format!(
                    "cannot retry task {id} with its dependencies: more than {TAKEN_ALONG} of them failed or were cancelled; retry them by queue first"
                );
                return Err(Error::new(ErrorCode::TooLarge, message).into());
            }
        }
        Ok(found)
    }

    /// Brings one failed or cancelled task back, or fails it again.
    fn come_back(&mut self, id: TaskId) -> QueryResult<()> {
        if self.row(id)?.is_none_or(|row| !row.state.is_final()) {
            return Ok(());
        }
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
