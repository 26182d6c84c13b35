//! Whole tasks by id, one at a time, as their texts may be long.

use crate::command::long_text::ROW_BYTES;
use crate::row::{InputOptions, TaskInput, TaskRow};
use crate::sql::RowReader;
use crate::sql::long_text::whole_of;
use crate::task::task_of;
use diesel::connection::LoadConnection;
use diesel::row::Row;
use diesel::sqlite::Sqlite;
use diesel::{QueryResult, SqliteConnection, sql_query};
use kirosu_protocol::text::head;
use kirosu_protocol::{Task, TaskId};
use std::collections::BTreeMap;

/// Ids named in one statement.
const CHUNK: usize = 200;

/// The part of a task's texts to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Texts {
    /// All of prompt, system prompt, result, error, metadata and acceptance.
    Whole,
    /// At max_bytes this many bytes of each text. A text that is cut ends with a line that says so, and `Task::cut` has its
    /// length. Metadata and acceptance cannot be cut: they are left out if they are longer together.
    Preview(usize),
}

/// The progress of [`visit`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Visited {
    /// Finished ids: their tasks were visited, or do not exist.
    pub ids: usize,
    /// Bytes of the next task's texts, if these are more than `room`.
    pub needs: Option<u64>,
}

/// A row: the task, unless its texts have more bytes than `room`.
struct Shown {
    id: TaskId,
    bytes: u64,
    task: Option<Task>,
}

impl Shown {
    fn from_row<'a>(row: &impl Row<'a, Sqlite>, texts: Texts) -> QueryResult<Shown> {
        type Read = (Option<String>, Option<String>, InputOptions, String, String);
        let mut columns = RowReader::of(row);
        let hot: TaskRow = columns.read()?;
        let (prompt, system_prompt, options, queue, task_type): Read = columns.read()?;
        let [result, error]: [Option<String>; 2] = columns.read()?;
        let (bytes, fits): (u64, bool) = columns.read()?;
        let lengths: [Option<u64>; 5] = columns.read_last()?;
        let id = hot.id;
        if !fits {
            let task = None;
            return Ok(Shown { id, bytes, task });
        }
        let mut cut = BTreeMap::new();
        let mut shown = |text: Option<String>, length: u64, name: &str| match texts {
            Texts::Whole => text,
            Texts::Preview(max_bytes) => {
                text.map(|text| preview(text, max_bytes, length, name, &mut cut))
            }
        };
        let [of_prompt, of_system_prompt, of_options, of_result, of_error] =
            lengths.map(Option::unwrap_or_default);
        let input = TaskInput {
            prompt: shown(prompt, of_prompt, "prompt").unwrap_or_default(),
            system_prompt: shown(system_prompt, of_system_prompt, "system_prompt"),
            options,
            key: None,
            long: None,
        };
        let result = shown(result, of_result, "result");
        let error = shown(error, of_error, "error");
        if matches!(texts, Texts::Preview(max_bytes) if of_options > max_bytes as u64) {
            cut.insert("metadata".to_owned(), of_options);
        }
        let mut task = task_of(&hot, input, &queue, &task_type, result, error);
        task.cut = cut;
        let task = Some(task);
        Ok(Shown { id, bytes, task })
    }
}

/// The text, or its first `max_bytes` bytes if it is longer (SQLite has cut it to as many characters already).
fn preview(
    text: String,
    max_bytes: usize,
    length: u64,
    name: &str,
    cut: &mut BTreeMap<String, u64>,
) -> String {
    if length <= max_bytes as u64 {
        return text;
    }
    let start = head(&text, max_bytes);
    let end = start.len();
    cut.insert(name.to_owned(), length);
    format!("{start}\n[cut here: {end} of {length} bytes; `get` answers all of it]")
}

/// The statement for some ids, with rows in the order of the ids. `texts`: the part of each text to read; texts of more
/// than `room` bytes together are not read.
fn select(ids: &[TaskId], texts: Texts, room: u64) -> String {
    // Flag 1: the newest attempt has result and error. Flag 2: the table `note` has them.
    let from_attempt_or_note = |name: &str| {
        format!("CASE WHEN t.flags & 1 THEN a.{name} WHEN t.flags & 2 THEN n.{name} END")
    };
    let (result, error) = (
        from_attempt_or_note("result"),
        from_attempt_or_note("error"),
    );
    let columns = ["i.prompt", "i.system_prompt", "i.options", &result, &error];
    // The bytes of the pieces of each text, and the pieces themselves: the table `long_text` twice, and the view.
    let [of_input, of_end] = ["x", "y"];
    let pieces = [
        Some((of_input, "first")),
        Some((of_input, "second")),
        None,
        Some((of_end, "first")),
        Some((of_end, "second")),
    ];
    let lengths = [0, 1, 2, 3, 4].map(|at| match pieces[at] {
        Some((table, bytes)) => format!(
            "octet_length({}) + coalesce({table}.{bytes}, 0)",
            columns[at]
        ),
        None => format!("octet_length({})", columns[at]),
    });
    let bytes = match texts {
        Texts::Whole => lengths
            .each_ref()
            .map(|length| format!("coalesce({length}, 0)"))
            .join(" + "),
        Texts::Preview(_) => "0".to_owned(),
    };
    let whole = |at: usize| match pieces[at] {
        Some((table, rest)) => whole_of(columns[at], &format!("{table}.id"), rest),
        None => columns[at].to_owned(),
    };
    let read = |at: usize| match texts {
        Texts::Whole => format!("CASE WHEN {bytes} <= {room} THEN {} END", whole(at)),
        Texts::Preview(max_bytes) if max_bytes <= ROW_BYTES => {
            format!("substr({}, 1, {max_bytes})", columns[at])
        }
        Texts::Preview(max_bytes) => format!("substr({}, 1, {max_bytes})", whole(at)),
    };
    let [prompt, system_prompt, of_options, result, error] = [0, 1, 2, 3, 4];
    let options = columns[of_options];
    let shown_options = match texts {
        Texts::Whole => read(of_options),
        Texts::Preview(max_bytes) => format!(
            "CASE WHEN octet_length({options}) <= {max_bytes} THEN {options} \
             ELSE json_remove({options}, '$.metadata', '$.accept') END"
        ),
    };
    let ids: Vec<String> = ids.iter().map(|id| format!("({id})")).collect();
    // CROSS JOIN keeps the planner in the order of the ids.
    format!(
        "SELECT t.id, t.state, t.lane, t.priority, t.fence, t.attempts, t.max_attempts, t.run_at, t.lease_until, \
         t.lease_ms, t.leased_at, t.session, t.worker, t.leased_by, t.created_at, t.updated_at, t.finished_at, t.flags, t.blocked_by, \
         {}, {}, {shown_options}, l.queue, l.type, {}, {}, {bytes}, {bytes} <= {room}, {} \
         FROM (VALUES {}) AS asked CROSS JOIN task t ON t.id = asked.column1 CROSS JOIN lane l ON l.id = t.lane \
         LEFT JOIN task_input i ON i.task_id = t.id LEFT JOIN attempt a ON a.task_id = t.id AND a.fence = t.fence \
         LEFT JOIN note n ON n.task_id = t.id LEFT JOIN long_text {of_input} ON {of_input}.id = i.text_id \
         LEFT JOIN long_text {of_end} ON {of_end}.id = CASE WHEN t.flags & 1 THEN a.text_id WHEN t.flags & 2 THEN n.text_id END",
        read(prompt),
        read(system_prompt),
        read(result),
        read(error),
        lengths.join(", "),
        ids.join(", "),
    )
}

/// Passes the existing tasks with these ids to `see`, in the given order, until `see` returns false or the texts of a
/// task have more than `room` bytes. No id may be listed twice.
pub(crate) fn visit(
    conn: &mut SqliteConnection,
    ids: &[TaskId],
    texts: Texts,
    room: u64,
    mut see: impl FnMut(Task) -> bool,
) -> QueryResult<Visited> {
    let mut visited = Visited::default();
    for chunk in ids.chunks(CHUNK) {
        let begun = visited.ids;
        for row in conn.load(sql_query(select(chunk, texts, room)))? {
            let Shown { id, bytes, task } = Shown::from_row(&row?, texts)?;
            // The ids in between have no task.
            let ahead = ids[visited.ids..].iter().position(|asked| *asked == id);
            visited.ids += ahead.ok_or(diesel::result::Error::NotFound)?;
            let Some(task) = task else {
                visited.needs = Some(bytes);
                return Ok(visited);
            };
            visited.ids += 1;
            if !see(task) {
                return Ok(visited);
            }
        }
        visited.ids = begun + chunk.len();
    }
    Ok(visited)
}

/// The existing tasks with these ids, in the given order, with whole texts.
pub(crate) fn by_ids(conn: &mut SqliteConnection, ids: &[TaskId]) -> QueryResult<Vec<Task>> {
    let mut tasks = Vec::with_capacity(ids.len());
    let collect = |task| {
        tasks.push(task);
        true
    };
    visit(conn, ids, Texts::Whole, u64::MAX >> 1, collect)?;
    Ok(tasks)
}
