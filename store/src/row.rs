//! The stored form of a task: a short row that changes, and an input that is written once.

use crate::command::TextId;
use kirosu_protocol::{
    Accept, Continued, Fence, NewTask, OnLost, RetryPolicy, Status, TaskBudget, TaskId, weight,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

/// The id of a lane, a pair of queue and type.
pub(crate) type LaneId = i64;

/// The stored number of a status.
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

/// Boolean facts about a task, as bits of one integer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flags(pub i64);

impl Flags {
    /// The attempt of the newest fence has the task's result and error.
    pub const RESULT_IN_ATTEMPT: i64 = 1;
    /// The table `note` has the task's result and error.
    pub const RESULT_IN_NOTE: i64 = 2;
    /// Other tasks depend on it.
    pub const HAS_DEPENDENTS: i64 = 4;
    /// A person must approve before it runs.
    pub const NEEDS_APPROVAL: i64 = 8;
    /// A person has approved.
    pub const APPROVED: i64 = 16;
    /// A person has rejected.
    pub const REJECTED: i64 = 32;
    /// `retry` queued it again, and it has not been leased since.
    pub const RETRIED: i64 = 64;
    /// `on_lost` is `fail`.
    pub const LOST_FAILS: i64 = 128;
    /// `on_lost` is `ask`.
    pub const LOST_ASKS: i64 = 256;
    /// The newest lease was lost; a late ack may still be accepted.
    pub const LOST: i64 = 512;
    /// A run of it has requested a permission.
    pub const HAS_PERMISSIONS: i64 = 1024;
    /// It has an `accept` clause.
    pub const HAS_ACCEPT: i64 = 2048;
    /// It failed because of a dependency, and waits again when that is retried.
    pub const GAVE_UP: i64 = 4096;
    /// It has labels.
    pub const HAS_LABELS: i64 = 1 << 16;
    /// Texts of it have pieces.
    pub const HAS_LONG_TEXTS: i64 = 1 << 17;
    /// It is cancelled when its parent reaches a final state.
    pub const ENDS_WITH_PARENT: i64 = 1 << 18;
    /// Some of its children end with it.
    pub const HAS_CHILDREN_TO_END: i64 = 1 << 19;
    /// A step of a run of a plan made it.
    pub const IN_PLAN: i64 = 1 << 20;
    /// A run of it has handed over to another task.
    pub const HANDED_OVER: i64 = 1 << 22;
    /// Its run is about to end to wait for children.
    pub const WAITS_CHILDREN: i64 = 1 << 23;
    /// A run has added it to its own task, or such a task has handed over to it: that task can wait for it.
    pub const OF_RUN: i64 = 1 << 25;
    /// An attempt of it has ended to wait for children.
    pub const WAITED_CHILDREN: i64 = 1 << 24;
    /// It has a row in the table `conversation`.
    pub const HAS_CONVERSATION: i64 = 1 << 21;

    /// Whether all these bits are set.
    pub fn has(self, bits: i64) -> bool {
        self.0 & bits == bits
    }

    /// Sets the bits of `bits`; the others stay.
    pub fn set(&mut self, bits: i64) {
        self.0 |= bits;
    }

    /// Clears the bits of `bits`; the others stay.
    pub fn clear(&mut self, bits: i64) {
        self.0 &= !bits;
    }

    /// The `on_lost` parameter.
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

/// The row of a task. Times are Unix milliseconds.
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
    /// The key of the role `work` under which the newest lease was taken. `None`: another client took it.
    pub leased_by: Option<Arc<str>>,
    pub created_at: i64,
    pub updated_at: i64,
    pub finished_at: Option<i64>,
    pub flags: Flags,
    pub blocked_by: u32,
}

/// The parts of an input that few tasks have, stored as one JSON text.
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
    /// The ancestors with a budget for their tree, and the task itself if it has one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub budget_trees: Vec<TaskId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accept: Option<Box<Accept>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continues: Option<Box<Continued>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Value>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
}

impl InputOptions {
    /// The options of a stored text; `None` means all defaults.
    ///
    /// # Errors
    /// The text is not JSON of this form.
    pub fn parse(text: Option<&str>) -> serde_json::Result<InputOptions> {
        text.map_or_else(|| Ok(InputOptions::default()), serde_json::from_str)
    }

    /// The text to store; `None` means all defaults.
    ///
    /// # Errors
    /// A value cannot be written as JSON.
    pub fn to_text(&self) -> serde_json::Result<Option<String>> {
        if *self == InputOptions::default() {
            return Ok(None);
        }
        serde_json::to_string(self).map(Some)
    }
}

/// The input of a task, written once.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct TaskInput {
    pub prompt: String,
    pub system_prompt: Option<String>,
    pub options: InputOptions,
    pub key: Option<String>,
    /// Set if prompt and system prompt are only the beginnings of long texts.
    pub long: Option<LongInput>,
}

/// The long texts of an input.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LongInput {
    /// Their pieces.
    pub text: TextId,
    /// The request that has them whole, for the first lease. `None`: only the database has them.
    pub whole: Option<Arc<NewTask>>,
}

impl TaskInput {
    /// The input with whole texts; `None` if only the database has them.
    pub fn whole(self) -> Option<TaskInput> {
        let Some(long) = self.long else {
            return Some(self);
        };
        let whole = Arc::unwrap_or_clone(long.whole?);
        Some(TaskInput {
            prompt: whole.prompt,
            system_prompt: whole.system_prompt,
            long: None,
            ..self
        })
    }

    /// Approximate bytes of memory.
    pub fn bytes(&self) -> usize {
        let InputOptions {
            metadata,
            accept,
            continues,
            ..
        } = &self.options;
        let long = self.long.as_ref().and_then(|long| long.whole.as_ref());
        let long = long.map_or(0, |new| {
            new.prompt.len() + new.system_prompt.as_ref().map_or(0, String::len)
        });
        long + self.prompt.len()
            + self.system_prompt.as_ref().map_or(0, String::len)
            + metadata.as_ref().map_or(0, weight)
            + accept.as_ref().map_or(0, |accept| accept.weight())
            + continues.as_ref().map_or(0, |it| it.weight())
            + 256
    }
}
