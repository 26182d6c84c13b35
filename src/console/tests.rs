//! Helpers of this room's tests.

use super::row::Row;
use kirosu_protocol::{Status, TaskId};

/// A row of the list.
pub fn row(id: TaskId) -> Row {
    Row {
        id,
        status: Status::Queued,
        task_type: "chat".into(),
        queue: "default".into(),
        attempts: 0,
        worker: String::new(),
        created_at: 1000.0,
        updated_at: 1000.0,
        run_at: None,
        prompt: format!("prompt {id}"),
        told: String::new(),
    }
}
