//! `get`: one task with its attempts, and its output where asked for.
//!
//! ```text
//! {"id":1,"method":"get","params":{"task_id":42,"output":true}}
//! {"id":1,"result":{"task":{...},"attempts":[{"fence":1,"outcome":"done",...}],"output":[{"fence":1,"text":"..."}]},"error":null}
//! ```

use super::Verb;
use crate::error::Error;
use crate::limits::Limits;
use crate::method::Method;
use crate::params::Params;
use crate::task::{Attempt, Fence, Task, TaskId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Which task, and how much of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct GetParams {
    /// The task.
    pub task_id: TaskId,
    /// Whether its output is wanted too.
    pub output: bool,
    /// Whose output: the fence of the attempt; the newest attempt's when none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<Fence>,
}

/// What an attempt printed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AttemptOutput {
    /// The attempt's fence.
    pub fence: Fence,
    /// All of its text that was kept, in order.
    pub text: String,
    /// Whether the hub does not have all of it: the end was cut off (the text says where), or this is only the end of
    /// more than is answered at once.
    #[serde(default)]
    pub cut: bool,
    /// The number after its last chunk: with it a watcher knows which `output` events the text holds already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_chunk: Option<u64>,
}

/// What a person decided about a task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// `approved`, `answered`, `rejected` or `cancelled`.
    pub verdict: String,
    /// Who decided, where said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Why, or what was said with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Unix seconds.
    pub at: f64,
    /// The newest lease's fence at that time; 0 before the first.
    pub fence: Fence,
}

/// The task and its history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GetAnswer {
    /// The task.
    pub task: Task,
    /// Ended attempts, oldest first.
    pub attempts: Vec<Attempt>,
    /// The tasks it waits for, or waited for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<TaskId>,
    /// What people decided about it, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub decisions: Vec<Decision>,
    /// What the running attempt said last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Value>,
    /// Of the attempt asked for; where asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Vec<AttemptOutput>>,
}

impl GetAnswer {
    /// The number of the attempt with this fence among all that the task has had, from 1; of one that has not ended, the
    /// number after the last ended one.
    pub fn number_of(&self, fence: Fence) -> usize {
        let ended = self.attempts.iter().filter(|it| it.fence < fence);
        ended.count() + 1
    }

    /// The fence of the attempt with this number; `None` where the task has had no such attempt.
    pub fn fence_of(&self, number: usize) -> Option<Fence> {
        let newest = self.task.fence;
        let ended = self.attempts.iter().map(|it| it.fence);
        let mut all = ended.chain((self.number_of(newest) > self.attempts.len()).then_some(newest));
        all.nth(number.checked_sub(1)?).filter(|fence| *fence > 0)
    }
}

impl Verb for GetParams {
    const METHOD: Method = Method::Get;
    type Answer = GetAnswer;

    fn read(params: &Params<'_>, _limits: &Limits) -> Result<GetParams, Error> {
        Ok(GetParams {
            task_id: params.task_id()?,
            output: params.flag("output", false)?,
            attempt: params.opt_positive("attempt", 1..=i64::MAX)?,
        })
    }
}
