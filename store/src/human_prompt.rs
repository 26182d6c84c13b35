//! The prompt that a person sees when a task begins to wait for one.

use crate::core::Core;
use crate::row::Flags;
use crate::sql::attempt::SelectAttemptError;
use crate::sql::records::TextQuery;
use kirosu_protocol::{Status, TaskId};

/// Maximum characters of a task's prompt or error in it.
const PIECE: usize = 200;

impl Core {
    /// The prompt for a person; `None` for a task that does not wait for one or is not in memory.
    pub(crate) fn human_prompt(&mut self, id: TaskId) -> Option<String> {
        let row = self.tasks.get(id)?;
        match row.state {
            Status::AwaitingApproval if row.flags.has(Flags::RESULT_IN_ATTEMPT) => {
                let fence = row.fence;
                Some(format!("may it run again? {}", self.last_error(id, fence)))
            }
            Status::AwaitingApproval => Some(format!("may it run? {}", self.first_line(id))),
            Status::Queued if self.lanes.get(row.lane).is_some_and(|lane| lane.is_human()) => {
                Some(self.first_line(id))
            }
            _ => None,
        }
    }

    /// The start of the task's prompt. A failed read yields an empty text: an event must not fail the batch, and the
    /// next statement that matters reports the fault.
    fn first_line(&mut self, id: TaskId) -> String {
        if let Some(input) = self.tasks.input(id) {
            return piece(&input.prompt);
        }
        let input = self.db.input(id);
        input
            .ok()
            .flatten()
            .map_or_else(String::new, |input| piece(&input.prompt))
    }

    fn last_error(&mut self, task_id: TaskId, fence: i64) -> String {
        let query = TextQuery::AttemptError(SelectAttemptError { task_id, fence });
        let error = self.db.text(query);
        error
            .ok()
            .flatten()
            .map_or_else(String::new, |error| piece(&error))
    }
}

/// The first line that is not blank, shortened.
pub(crate) fn piece(text: &str) -> String {
    let line = text.lines().find(|line| !line.trim().is_empty());
    let line = line.unwrap_or_default().trim();
    match line.char_indices().nth(PIECE) {
        Some((at, _)) => format!("{}...", &line[..at]),
        None => line.to_owned(),
    }
}
