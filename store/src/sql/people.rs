//! Decisions of people.

use super::{insert, statement};

insert! {
    /// A person's decision about a task.
    InsertDecision<'a> {
        task_id: i64,
        fence: i64,
        verdict: &'a str,
        by: Option<&'a str>,
        reason: Option<&'a str>,
        at: i64,
    } "INSERT INTO decision"
}

statement! {
    /// Whether the prompt that a task had with this fence has this verdict.
    SelectVerdict<'a> { task_id: i64, verdict: &'a str, fence: i64 }
    "SELECT 1 FROM decision WHERE task_id = ? AND verdict = ? AND fence = ? LIMIT 1"
}

statement! {
    /// Whether the same person gave the same verdict in the same words on an earlier prompt of a task.
    SelectSameDecision<'a> {
        task_id: i64,
        verdict: &'a str,
        by: Option<&'a str>,
        reason: Option<&'a str>,
        before: i64,
    } "SELECT 1 FROM decision WHERE task_id = ? AND verdict = ? AND by IS ? AND reason IS ? AND fence < ? LIMIT 1"
}

insert! {
    /// Pauses a queue.
    InsertPaused<'a> { queue: &'a str, since: i64 } "INSERT OR IGNORE INTO paused_queue"
}

statement! {
    /// Resumes a queue.
    DeletePaused<'a> { queue: &'a str } "DELETE FROM paused_queue WHERE queue = ?"
}

statement! {
    /// The paused queues.
    SelectPaused {} "SELECT queue FROM paused_queue"
}
