//! Decisions of people.

use super::statement;
use diesel::sql_types::{BigInt, Nullable, Text};

statement! {
    /// A person's decision about a task.
    InsertDecision<'a> {
        task_id: i64 => BigInt,
        fence: i64 => BigInt,
        verdict: &'a str => Text,
        by: Option<&'a str> => Nullable<Text>,
        reason: Option<&'a str> => Nullable<Text>,
        at: i64 => BigInt,
    } "INSERT INTO decision (task_id, fence, verdict, by, reason, at) VALUES (?, ?, ?, ?, ?, ?)"
}

statement! {
    /// Whether the prompt that a task had with this fence has this verdict.
    SelectVerdict<'a> { task_id: i64 => BigInt, verdict: &'a str => Text, fence: i64 => BigInt }
    "SELECT 1 FROM decision WHERE task_id = ? AND verdict = ? AND fence = ? LIMIT 1"
}

statement! {
    /// Whether the same person gave the same verdict in the same words on an earlier prompt of a task.
    SelectSameDecision<'a> {
        task_id: i64 => BigInt,
        verdict: &'a str => Text,
        by: Option<&'a str> => Nullable<Text>,
        reason: Option<&'a str> => Nullable<Text>,
        before: i64 => BigInt,
    } "SELECT 1 FROM decision WHERE task_id = ? AND verdict = ? AND by IS ? AND reason IS ? AND fence < ? LIMIT 1"
}

statement! {
    /// Pauses a queue.
    InsertPaused<'a> { queue: &'a str => Text, since: i64 => BigInt }
    "INSERT OR IGNORE INTO paused_queue (queue, since) VALUES (?, ?)"
}

statement! {
    /// Resumes a queue.
    DeletePaused<'a> { queue: &'a str => Text } "DELETE FROM paused_queue WHERE queue = ?"
}

statement! {
    /// The paused queues.
    SelectPaused {} "SELECT queue FROM paused_queue"
}
