//! A row of the Python version as a task: pure rules.

use crate::import::{ImportedAttempt, ImportedNote, ImportedTask};
use crate::row::{Flags, InputOptions, TaskInput, TaskRow};
use kirosu_protocol::task::{DEFAULT_QUEUE, TYPE_CHAT, TYPE_HUMAN};
use kirosu_protocol::{FailureClass, Limits, Status, TYPE_PLAN, TaskId};
use serde_json::{Map, Value};
use std::sync::Arc;

/// Ids above this one are refused: programs that read JSON numbers as floats could confuse them.
pub(super) const LAST_ID: TaskId = 1 << 52;
/// The last second of the year 9999.
const LAST_SECOND: f64 = 253_402_300_799.0;

/// A text of the source.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum SourceText {
    #[default]
    Null,
    /// Longer than the limit: its bytes.
    TooLong(u64),
    NotUtf8,
    Text(String),
}

/// A row of the source. Columns that it does not have are null.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct SourceRow {
    pub id: TaskId,
    /// Unix seconds; `None` is null or not a number.
    pub created_at: Option<f64>,
    pub updated_at: Option<f64>,
    pub status: SourceText,
    pub task_type: SourceText,
    pub worker: SourceText,
    pub prompt: SourceText,
    pub system_prompt: SourceText,
    pub result: SourceText,
    pub error: SourceText,
}

/// The state that a status of the Python version becomes. The Python hub never leased a task in a state that it did not
/// know, so such a task must not run by itself now: it is cancelled, and keeps the word in its metadata.
pub(crate) fn state_of(status: &str) -> (Status, bool) {
    match status.trim().to_ascii_lowercase().as_str() {
        "queued" | "leased" => (Status::Queued, true),
        "done" => (Status::Done, true),
        "failed" => (Status::Failed, true),
        "cancelled" | "canceled" => (Status::Cancelled, true),
        _ => (Status::Cancelled, false),
    }
}

/// The longest texts in bytes that are taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TextLimits {
    pub prompt: usize,
    pub result: usize,
    pub name: usize,
}

impl From<&Limits> for TextLimits {
    fn from(limits: &Limits) -> TextLimits {
        TextLimits {
            prompt: limits.prompt_bytes,
            // A worker cannot send longer ones.
            result: limits.line_bytes,
            name: limits.name_bytes,
        }
    }
}

/// A text that may be missing, or the reason why it cannot be taken.
fn text(name: &str, text: SourceText, most: usize) -> Result<Option<String>, String> {
    match text {
        SourceText::Null => Ok(None),
        SourceText::Text(text) => Ok(Some(text)),
        SourceText::NotUtf8 => Err(format!("its {name} is not UTF-8")),
        SourceText::TooLong(bytes) => Err(format!(
            "its {name} has {bytes} bytes, and the limit is {most}"
        )),
    }
}

/// Unix milliseconds.
fn time(name: &str, seconds: f64) -> Result<i64, String> {
    match (0.0..=LAST_SECOND).contains(&seconds) {
        true => Ok((seconds * 1000.0).round() as i64),
        false => Err(format!("its {name} ({seconds:e}) is not a time")),
    }
}

/// The task that a row becomes, with its status in the source.
///
/// # Errors
/// The reason why it cannot be taken, as `its prompt is null`.
pub(crate) fn task_of(
    row: SourceRow,
    limits: TextLimits,
) -> Result<(String, ImportedTask), String> {
    let id = row.id;
    if !(1..=LAST_ID).contains(&id) {
        return Err(format!("its id is not between 1 and {LAST_ID}"));
    }
    let name = |of, value| text(of, value, limits.name);
    let status = name("status", row.status)?.ok_or("its status is null")?;
    let worker = name("worker_id", row.worker)?;
    let given_type = name("type", row.task_type)?;
    let prompt = text("prompt", row.prompt, limits.prompt)?.ok_or("its prompt is null")?;
    let system_prompt = text("system_prompt", row.system_prompt, limits.prompt)?;
    let result = text("result", row.result, limits.result)?;
    let error = text("error", row.error, limits.result)?;
    let created_at = row.created_at.or(row.updated_at);
    let created_at = created_at.ok_or("its created_at is not a number")?;
    let updated_at = time("updated_at", row.updated_at.unwrap_or(created_at))?;
    let created_at = time("created_at", created_at)?;

    let (state, is_known) = state_of(&status);
    let mut legacy = Map::new();
    if !is_known {
        legacy.insert("status".to_owned(), Value::from(status.as_str()));
    }
    let task_type = type_of(given_type, &mut legacy);
    let has_ended = state.is_final();
    let by_worker = has_ended && is_known && worker.is_some() && task_type != TYPE_HUMAN;
    let mut task = ImportedTask {
        row: TaskRow {
            state,
            fence: i64::from(by_worker),
            attempts: u32::from(by_worker),
            leased_at: by_worker.then_some(updated_at),
            worker: worker.as_deref().filter(|_| has_ended).map(Arc::from),
            updated_at,
            finished_at: has_ended.then_some(updated_at),
            ..new_row(id, created_at)
        },
        queue: DEFAULT_QUEUE.to_owned(),
        task_type,
        input: TaskInput {
            prompt,
            system_prompt: system_prompt.filter(|text| !text.is_empty()),
            options: InputOptions {
                metadata: (!legacy.is_empty()).then(|| serde_json::json!({ "legacy": legacy })),
                ..InputOptions::default()
            },
            key: None,
            long: None,
        },
        attempts: Vec::new(),
        note: None,
    };
    if by_worker {
        task.row.flags.set(Flags::RESULT_IN_ATTEMPT);
        task.attempts = vec![ImportedAttempt {
            fence: 1,
            outcome: outcome_of(state).to_owned(),
            worker,
            // When a run began was not recorded.
            started_at: updated_at,
            ended_at: updated_at,
            result,
            error,
        }];
    } else if has_ended {
        let unknown = || format!("it had the state {status:?} in the Python version");
        let error = error.or_else(|| (!is_known).then(unknown));
        task.row.flags.set(Flags::RESULT_IN_NOTE);
        task.note = Some(ImportedNote { result, error });
    }
    Ok((status, task))
}

/// The outcome of an attempt. The Python version did not record why one failed: it counts as a failure of the
/// provider, as an ack without a class does.
fn outcome_of(state: Status) -> &'static str {
    match state {
        Status::Done => "done",
        Status::Cancelled => FailureClass::Cancelled.as_str(),
        _ => FailureClass::ProviderError.as_str(),
    }
}

/// The type of a task. The Python agents ran any type but `python` as a chat; a task of the type `plan` would become a run
/// of a plan now.
fn type_of(given: Option<String>, legacy: &mut Map<String, Value>) -> String {
    match given.as_deref().map(str::trim) {
        None | Some("") => TYPE_CHAT.to_owned(),
        Some(TYPE_PLAN) => {
            legacy.insert("type".to_owned(), Value::from(TYPE_PLAN));
            TYPE_CHAT.to_owned()
        }
        Some(given) => given.to_owned(),
    }
}

/// A queued task.
fn new_row(id: TaskId, created_at: i64) -> TaskRow {
    TaskRow {
        id,
        state: Status::Queued,
        lane: 0,
        priority: 0,
        fence: 0,
        attempts: 0,
        max_attempts: None,
        run_at: None,
        lease_until: None,
        lease_ms: None,
        leased_at: None,
        session: None,
        worker: None,
        leased_by: None,
        created_at,
        updated_at: created_at,
        finished_at: None,
        flags: Flags::default(),
        blocked_by: 0,
    }
}
