//! Stored parts of large batches.

use super::{insert, row, statement};

insert! {
    /// Stores a part of a batch.
    InsertBatchPart<'a> { batch: i64, first: i64, next: i64, last: i64, at: i64, tasks: &'a str }
    "INSERT INTO batch_part"
}

statement! {
    /// Whether the part of a batch that ends before a position is stored.
    SelectPartBefore { batch: i64, next: i64 }
    "SELECT 1 FROM batch_part WHERE batch = ? AND next = ?"
}

statement! {
    /// The tasks of a part are made.
    DeleteBatchPart { batch: i64, first: i64 }
    "DELETE FROM batch_part WHERE batch = ? AND first = ?"
}

statement! {
    /// A batch was refused.
    DeleteBatch { batch: i64 } "DELETE FROM batch_part WHERE batch = ?"
}

statement! {
    /// Batches whose last part is missing.
    DeleteIncompleteBatches {}
    "DELETE FROM batch_part WHERE batch NOT IN (SELECT batch FROM batch_part WHERE last = 1)"
}

statement! {
    /// The first part of the oldest batch.
    SelectBatchPart {} "SELECT batch, first, at, tasks FROM batch_part ORDER BY batch, first LIMIT 1"
}

/// A stored part of a batch.
#[derive(Debug)]
pub(crate) struct StoredPart {
    pub batch: i64,
    /// The position in the batch of its first task.
    pub first: i64,
    /// The time when it was stored, in Unix milliseconds.
    pub at: i64,
    /// Parameters of `enqueue_batch`, as JSON.
    pub tasks: String,
}

row! { StoredPart { batch, first, at, tasks } }
