//! A task as the file keeps it: the small row that changes, and the input that does not.

use crate::sql::{FromRow, int, maybe_int, maybe_text};
use diesel::QueryResult;
use diesel::row::Row;
use diesel::sqlite::Sqlite;
use kirosu_protocol::{Accept, Fence, OnLost, RetryPolicy, Status, TaskBudget, TaskId, weight};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

/// The number of a pair of queue and type.
pub(crate) type LaneId = i64;

/// The number a status has in the file.
pub(crate) fn state_number(status: Status) -> i64 {
    match status {
        Status::Queued => 0,
        Status::Blocked => 1,
        Status::Scheduled => 2,
        Status::AwaitingApproval => 3,
        Status::Leased => 4,
        Status::Done => 5,
        Status::Failed => 6,
        Status::Cancelled => 7,
    }
}

/// The status a number in the file stands for.
pub(crate) fn state_of(number: i64) -> QueryResult<Status> {
    usize::try_from(number)
        .ok()
        .and_then(|n| Status::ALL.get(n).copied())
        .ok_or_else(|| {
            diesel::result::Error::DeserializationError(
                format!("unknown task state {number}").into(),
            )
        })
}

/// Yes-or-no facts about a task, as bits of one integer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flags(pub i64);

impl Flags {
    /// The attempt of the newest fence says result and error.
    pub const TOLD_BY_ATTEMPT: i64 = 1;
    /// `note` says result and error.
    pub const TOLD_BY_NOTE: i64 = 2;
    /// Other tasks depend on it.
    pub const HAS_DEPENDENTS: i64 = 4;
    /// A person must approve before it runs.
    pub const NEEDS_APPROVAL: i64 = 8;
    /// A person has approved.
    pub const APPROVED: i64 = 16;
    /// A person has rejected.
    pub const REJECTED: i64 = 32;
    /// `retry` brought it back and it has not been leased since.
    pub const RETRIED: i64 = 64;
    /// `on_lost` is `fail`.
    pub const LOST_FAILS: i64 = 128;
    /// `on_lost` is `ask`.
    pub const LOST_ASKS: i64 = 256;
    /// The newest lease was lost; its late ack may still be taken.
    pub const LOST: i64 = 512;
    /// An agent that ran it has asked whether a tool may run.
    pub const ASKED: i64 = 1024;
    /// It has an `accept` clause.
    pub const HAS_ACCEPT: i64 = 2048;
    /// It failed for the sake of a dependency, and comes back with it.
    pub const GAVE_UP: i64 = 4096;
    /// It has labels.
    pub const HAS_LABELS: i64 = 1 << 16;

    /// Whether all these bits are set.
    pub fn has(self, bits: i64) -> bool {
        self.0 & bits == bits
    }

    /// Sets bits.
    pub fn set(&mut self, bits: i64) {
        self.0 |= bits;
    }

    /// Clears bits.
    pub fn clear(&mut self, bits: i64) {
        self.0 &= !bits;
    }

    /// What happens when a run is lost.
    pub fn on_lost(self) -> OnLost {
        if self.has(Flags::LOST_FAILS) {
            OnLost::Fail
        } else if self.has(Flags::LOST_ASKS) {
            OnLost::Ask
        } else {
            OnLost::Retry
        }
    }
}

/// The hot row. Times are Unix milliseconds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TaskRow {
    pub id: TaskId,
    pub state: Status,
    pub lane: LaneId,
    pub priority: i32,
    pub fence: Fence,
    pub attempts: u32,
    pub max_attempts: Option<u32>,
    pub run_at: Option<i64>,
    pub lease_until: Option<i64>,
    pub lease_ms: Option<i64>,
    pub leased_at: Option<i64>,
    pub session: Option<Arc<str>>,
    pub worker: Option<Arc<str>>,
    pub created_at: i64,
    pub updated_at: i64,
    pub finished_at: Option<i64>,
    pub flags: Flags,
    pub blocked_by: u32,
}

impl FromRow for TaskRow {
    fn from_row<'a>(row: &impl Row<'a, Sqlite>) -> QueryResult<TaskRow> {
        Ok(TaskRow {
            id: int(row, 0)?,
            state: state_of(int(row, 1)?)?,
            lane: int(row, 2)?,
            priority: int(row, 3)? as i32,
            fence: int(row, 4)?,
            attempts: int(row, 5)? as u32,
            max_attempts: maybe_int(row, 6)?.map(|n| n as u32),
            run_at: maybe_int(row, 7)?,
            lease_until: maybe_int(row, 8)?,
            lease_ms: maybe_int(row, 9)?,
            leased_at: maybe_int(row, 10)?,
            session: maybe_text(row, 11)?.map(Arc::from),
            worker: maybe_text(row, 12)?.map(Arc::from),
            created_at: int(row, 13)?,
            updated_at: int(row, 14)?,
            finished_at: maybe_int(row, 15)?,
            flags: Flags(int(row, 16)?),
            blocked_by: int(row, 17)? as u32,
        })
    }
}

/// The parts of an input that few tasks have, kept as one JSON text.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct InputOptions {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryPolicy>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<TaskId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workdir: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<TaskBudget>,
    /// The ancestors with a budget of their tree, and the task itself where it has one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub budget_trees: Vec<TaskId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accept: Option<Box<Accept>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Value>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
}

impl InputOptions {
    /// The options of a stored text; none is nothing but defaults.
    pub fn parse(text: Option<&str>) -> QueryResult<InputOptions> {
        match text {
            None => Ok(InputOptions::default()),
            Some(text) => serde_json::from_str(text)
                .map_err(|e| diesel::result::Error::DeserializationError(Box::new(e))),
        }
    }

    /// The text to store; none for nothing but defaults.
    pub fn to_text(&self) -> QueryResult<Option<String>> {
        if *self == InputOptions::default() {
            return Ok(None);
        }
        serde_json::to_string(self)
            .map(Some)
            .map_err(|e| diesel::result::Error::SerializationError(Box::new(e)))
    }
}

/// What a task is: written once.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Input {
    pub prompt: String,
    pub system_prompt: Option<String>,
    pub options: InputOptions,
    pub key: Option<String>,
}

impl Input {
    /// Bytes of memory that it takes, about.
    pub fn bytes(&self) -> usize {
        let InputOptions {
            metadata, accept, ..
        } = &self.options;
        self.prompt.len()
            + self.system_prompt.as_ref().map_or(0, String::len)
            + metadata.as_ref().map_or(0, weight)
            + accept.as_ref().map_or(0, |accept| accept.weight())
            + 256
    }
}

impl FromRow for Input {
    fn from_row<'a>(row: &impl Row<'a, Sqlite>) -> QueryResult<Input> {
        let options = maybe_text(row, 2)?;
        Ok(Input {
            prompt: crate::sql::text(row, 0)?,
            system_prompt: maybe_text(row, 1)?,
            options: InputOptions::parse(options.as_deref())?,
            key: maybe_text(row, 3)?,
        })
    }
}
