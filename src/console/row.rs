//! A task as its line in the list: short and harmless, so that a window of them is cheap to keep and to draw.

use super::clean::one_line;
use kirosu_protocol::{Status, Task, TaskId};

/// Characters kept of a prompt or result: more than the widest screen shows.
const PIECE: usize = 300;

/// One line of the list of tasks.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The task's number.
    pub id: TaskId,
    /// Where it stands.
    pub status: Status,
    /// Its type.
    pub task_type: String,
    /// Its queue.
    pub queue: String,
    /// Attempts that count.
    pub attempts: u32,
    /// Who holds, or last held, it.
    pub worker: String,
    /// Unix seconds of the enqueue.
    pub created_at: f64,
    /// Unix seconds of the last change of state.
    pub updated_at: f64,
    /// Unix seconds before which it does not run.
    pub run_at: Option<f64>,
    /// The prompt's beginning.
    pub prompt: String,
    /// The beginning of its result, of why it waits, or of its error.
    pub told: String,
    /// Unix seconds at which the reason for which it waits ends by itself.
    pub until: Option<f64>,
}

impl From<&Task> for Row {
    fn from(task: &Task) -> Row {
        let waiting = task.waiting.as_deref();
        let told = match (task.status, waiting) {
            (Status::Done, _) => task.result.as_deref(),
            (_, Some(waiting)) => Some(waiting.message.as_str()),
            _ => task.error.as_deref(),
        };
        Row {
            id: task.task_id,
            status: task.status,
            task_type: one_line(&task.task_type, PIECE),
            queue: one_line(&task.queue, PIECE),
            attempts: task.attempts,
            worker: one_line(task.worker_id.as_deref().unwrap_or_default(), PIECE),
            created_at: task.created_at,
            updated_at: task.updated_at,
            run_at: task.run_at,
            prompt: one_line(&task.prompt, PIECE),
            told: one_line(told.unwrap_or_default(), PIECE),
            until: waiting.and_then(|waiting| waiting.until),
        }
    }
}
