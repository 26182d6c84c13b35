//! Rows that the common path of a task does not touch: idempotency keys, dependencies, progress, output, notes.

use super::long_text::whole;
use super::{insert, statement};

statement! {
    /// The task of an idempotency key, and the hash of its request.
    SelectKey<'a> { key: &'a str } "SELECT key, task_id, body FROM idempotency WHERE key = ?"
}

statement! {
    /// The same for many keys, as a JSON array of texts.
    SelectKeys<'a> { keys: &'a str }
    "SELECT key, task_id, body FROM idempotency WHERE key IN (SELECT value FROM json_each(?))"
}

insert! {
    /// Binds an idempotency key to a task.
    InsertKey<'a> { key: &'a str, task_id: i64, body: i64 } "INSERT INTO idempotency"
}

insert! {
    /// One task waits for another.
    InsertDependency { depends_on: i64, task_id: i64 } "INSERT INTO dependency"
}

statement! {
    /// One task waits for several, as a JSON array of ids. Some of them may be stored already.
    InsertDependencies<'a> { task_id: i64, depends_on: &'a str }
    "INSERT OR IGNORE INTO dependency (task_id, depends_on) SELECT ?, value FROM json_each(?)"
}

statement! {
    /// The number of dependencies of a task.
    CountDependencies { task_id: i64 } "SELECT count(*) FROM dependency WHERE task_id = ?"
}

insert! {
    /// One task was enqueued by another.
    InsertChild { parent_id: i64, task_id: i64 } "INSERT INTO child"
}

statement! {
    /// The number of children of a task, at most `most`.
    CountChildren { parent_id: i64, most: i64 }
    "SELECT count(*) FROM (SELECT 1 FROM child WHERE parent_id = ? LIMIT ?)"
}

statement! {
    /// The number of tasks below a task, at most `most`.
    CountBelow { root: i64, most: i64 }
    "WITH RECURSIVE below(id) AS (SELECT task_id FROM child WHERE parent_id = ?
     UNION ALL SELECT child.task_id FROM below JOIN child ON child.parent_id = below.id LIMIT ?)
     SELECT count(*) FROM below"
}

statement! {
    /// The error of a task without an attempt.
    SelectNote { task_id: i64 } "SELECT error FROM note WHERE task_id = ? AND error IS NOT NULL"
}

statement! {
    /// The conversation of a task's newest attempt that reported one.
    PutConversation<'a> { task_id: i64, fence: i64, body: &'a str }
    "INSERT INTO conversation (task_id, fence, body) VALUES (?, ?, ?) \
     ON CONFLICT (task_id) DO UPDATE SET fence = excluded.fence, body = excluded.body"
}

statement! {
    /// The conversation that an attempt reported.
    SelectConversation { task_id: i64, fence: i64 } "SELECT body FROM conversation WHERE task_id = ? AND fence = ?"
}

statement! {
    /// A task continues the conversation of another.
    SetContinuedBy { continued_by: i64, task_id: i64 } "UPDATE conversation SET continued_by = ? WHERE task_id = ?"
}

statement! {
    /// The newest task that continues another.
    SelectContinuedBy { task_id: i64 }
    "SELECT continued_by FROM conversation WHERE task_id = ? AND continued_by IS NOT NULL"
}

insert! {
    /// A task has a label.
    InsertLabel<'a> { label: &'a str, task_id: i64 } "INSERT INTO task_label"
}

statement! {
    /// A task with this label that was added at this time.
    SelectLabelled<'a> { label: &'a str, created_at: i64 }
    "SELECT t.id FROM task_label l JOIN task t ON t.id = l.task_id WHERE l.label = ? AND t.created_at = ? LIMIT 1"
}

insert! {
    /// The newest report of progress of a running task.
    PutProgress<'a> { task_id: i64, fence: i64, data: &'a str, at: i64 } "INSERT OR REPLACE INTO progress"
}

insert! {
    /// A chunk of output; one that is stored already stays as it is.
    InsertOutput<'a> { task_id: i64, fence: i64, chunk: i64, text: &'a str } "INSERT OR IGNORE INTO output"
}

statement! {
    /// The bytes of output that an attempt has, and the number after its last chunk.
    SelectOutputKept { task_id: i64, fence: i64 }
    "SELECT coalesce(sum(octet_length(text)), 0), coalesce(max(chunk) + 1, 0) FROM output WHERE task_id = ? AND fence = ?"
}

statement! {
    /// Whether a task without an attempt has this result, followed by the pieces of `text_id`.
    SelectNoteHas<'a> { task_id: i64, result: &'a str, text_id: Option<i64> }
    concat!("SELECT 1 FROM note WHERE task_id = ? AND ", whole!("result", "first"),
            " = ? || coalesce((SELECT first FROM text_rest r WHERE r.id = ?), '')")
}

insert! {
    /// Result and error of a task without an attempt.
    PutNote<'a> { task_id: i64, result: Option<&'a str>, error: Option<&'a str>, text_id: Option<i64> } "INSERT OR REPLACE INTO note"
}
