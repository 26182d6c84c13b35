//! A task as a row of the list: short sanitized texts, so that a window of rows is cheap to store and to draw.

use crate::terminal::text::one_line_start;
use kirosu_protocol::{Status, Task, TaskId};

/// Maximum number of characters of a text; more than the widest screen shows.
const PIECE: usize = 300;

/// A row of the task list.
#[derive(Clone, Debug, PartialEq)]
pub struct ListRow {
    /// The task's number.
    pub id: TaskId,
    /// Its status.
    pub status: Status,
    /// Its type.
    pub task_type: String,
    /// Its queue.
    pub queue: String,
    /// Number of attempts.
    pub attempts: u32,
    /// The worker that holds it or held it last.
    pub worker: String,
    /// Unix seconds of the enqueue.
    pub created_at: f64,
    /// Unix seconds of the last change of state.
    pub updated_at: f64,
    /// Unix seconds before which it does not run.
    pub run_at: Option<f64>,
    /// The start of the prompt.
    pub prompt: String,
    /// The start of the result, of the reason why it waits, or of the error.
    pub outcome: String,
    /// Unix seconds at which it stops waiting, if that is known.
    pub until: Option<f64>,
}

impl From<&Task> for ListRow {
    fn from(task: &Task) -> ListRow {
        let waiting = task.waiting.as_deref();
        let outcome = match (task.status, waiting) {
            (Status::Done, _) => task.result.as_deref(),
            (_, Some(waiting)) => Some(waiting.message.as_str()),
            _ => task.error.as_deref(),
        };
        ListRow {
            id: task.task_id,
            status: task.status,
            task_type: one_line_start(&task.task_type, PIECE),
            queue: one_line_start(&task.queue, PIECE),
            attempts: task.attempts,
            worker: one_line_start(task.worker_id.as_deref().unwrap_or_default(), PIECE),
            created_at: task.created_at,
            updated_at: task.updated_at,
            run_at: task.run_at,
            prompt: one_line_start(&task.prompt, PIECE),
            outcome: one_line_start(outcome.unwrap_or_default(), PIECE),
            until: waiting.and_then(|waiting| waiting.until),
        }
    }
}
