//! The amount of output stored for each running attempt.

use crate::backend::{Backend, Result};
use kirosu_protocol::{Fence, TaskId};
use std::collections::HashMap;

/// The stored output of one attempt.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct StoredOutput {
    /// Bytes; more than the limit once the output was cut.
    pub bytes: u64,
    /// The number after the highest chunk.
    pub next_chunk: u64,
}

/// A cache by task and fence.
#[derive(Debug, Default)]
pub(crate) struct Outputs(HashMap<(TaskId, Fence), StoredOutput>);

impl Outputs {
    /// The stored output of an attempt, from memory or the database.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn get(
        &mut self,
        db: &mut dyn Backend,
        task: TaskId,
        fence: Fence,
    ) -> Result<StoredOutput> {
        if let Some(stored) = self.0.get(&(task, fence)) {
            return Ok(*stored);
        }
        let (bytes, next) = db.stored_output(task, fence)?;
        let stored = StoredOutput {
            bytes: bytes as u64,
            next_chunk: next as u64,
        };
        self.set(task, fence, stored);
        Ok(stored)
    }

    /// Output was added.
    pub fn set(&mut self, task: TaskId, fence: Fence, stored: StoredOutput) {
        self.0.insert((task, fence), stored);
    }

    /// The attempt has ended.
    pub fn forget(&mut self, task: TaskId, fence: Fence) {
        self.0.remove(&(task, fence));
    }
}
