//! A connection that only reads.

use crate::StoreError;
use crate::query::{ListQuery, OutputChunk, Page, TaskDetail};
use diesel::SqliteConnection;
use kirosu_protocol::{Fence, Task, TaskId};
use std::path::Path;

/// A connection that only reads; as many as one likes, each on its own thread. Every call is one short read
/// transaction and sees everything that was answered before it.
pub struct Reader {
    pub(crate) conn: SqliteConnection,
}

impl Reader {
    /// Opens the file that a [`Store`](crate::Store) of this process has open.
    pub fn open(path: &Path) -> Result<Reader, StoreError> {
        let _ = path;
        Err(StoreError::Corrupt("not yet".into()))
    }

    /// A page of tasks, newest id first. A page can be shorter than asked though more follows
    /// (`next_before` says so): a filter by queue or type looks at a bounded number of rows a call.
    pub fn list(&mut self, query: &ListQuery) -> Result<Page, StoreError> {
        let _ = query;
        Err(StoreError::Corrupt("not yet".into()))
    }

    /// Everything known of one task; none for an unknown id. `output_chunks`: at most this many of the last chunks.
    pub fn get(
        &mut self,
        task: TaskId,
        output_chunks: u32,
    ) -> Result<Option<TaskDetail>, StoreError> {
        let _ = (task, output_chunks);
        Err(StoreError::Corrupt("not yet".into()))
    }

    /// Those of the tasks that exist, in the order asked.
    pub fn many(&mut self, tasks: &[TaskId]) -> Result<Vec<Task>, StoreError> {
        let _ = tasks;
        Err(StoreError::Corrupt("not yet".into()))
    }

    /// The output of one attempt from a chunk number on, in order, at most `limit` chunks.
    pub fn output(
        &mut self,
        task: TaskId,
        fence: Fence,
        from_chunk: u64,
        limit: u32,
    ) -> Result<Vec<OutputChunk>, StoreError> {
        let _ = (task, fence, from_chunk, limit);
        Err(StoreError::Corrupt("not yet".into()))
    }
}
