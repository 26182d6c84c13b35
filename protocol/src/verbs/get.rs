//! `get`: returns a task with its attempts, and the output of one attempt on request.
//!
//! ```text
//! {"id":1,"method":"get","params":{"task_id":42,"output":true}}
//! {"id":1,"result":{"task":{...},"attempts":[{"fence":1,"outcome":"done",...}],"output":[{"fence":1,"text":"..."}]},"error":null}
//! ```

use crate::{Attempt, Error, Fence, Limits, Method, Params, Task, TaskId, Verb};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The task, and whether to return output.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct GetParams {
    /// The task.
    #[cfg_attr(feature = "schema", schema(value_type = i64))]
    pub task_id: TaskId,
    /// Whether to return the output of an attempt.
    #[cfg_attr(feature = "schema", schema(required = false))]
    pub output: bool,
    /// The fence of the attempt whose output to return. `None` means the newest attempt.
    #[cfg_attr(feature = "schema", schema(value_type = Option<i64>))]
    pub attempt: Option<Fence>,
}

/// The output of an attempt.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = Output))]
pub struct AttemptOutput {
    /// The attempt's fence.
    #[cfg_attr(feature = "schema", schema(value_type = i64))]
    pub fence: Fence,
    /// The stored text, in order.
    pub text: String,
    /// Whether the text is not complete: the hub dropped its end, which a mark in the text shows, or the answer has only the end
    /// of a longer output.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schema(required = true))]
    pub cut: bool,
    /// The number of the next chunk. A watcher skips `output` events with smaller numbers: the text contains them.
    pub next_chunk: Option<u64>,
}

/// A person's decision about a task.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RecordedDecision {
    /// `approved`, `answered`, `rejected` or `cancelled`.
    pub verdict: String,
    /// The person, if given.
    pub by: Option<String>,
    /// The reason or comment, if given.
    pub comment: Option<String>,
    /// Unix seconds of the decision.
    pub at: f64,
    /// The task's newest lease at that time; 0 before the first.
    #[cfg_attr(feature = "schema", schema(value_type = i64))]
    pub fence: Fence,
}

/// A task and its history.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = TaskAndAttempts))]
pub struct GetAnswer {
    /// The task.
    pub task: Task,
    /// Ended attempts, oldest first.
    pub attempts: Vec<Attempt>,
    /// The tasks that it depends on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schema(value_type = Vec<i64>))]
    pub depends_on: Vec<TaskId>,
    /// The decisions of people, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub decisions: Vec<RecordedDecision>,
    /// The newest progress of the current attempt.
    pub progress: Option<Value>,
    /// The output of the attempt, if requested.
    pub output: Option<Vec<AttemptOutput>>,
}

impl GetAnswer {
    /// The number of the attempt with this fence, from 1. An attempt that has not ended has the number after the last ended one.
    pub fn number_of(&self, fence: Fence) -> usize {
        let ended = self.attempts.iter().filter(|it| it.fence < fence);
        ended.count() + 1
    }

    /// The fence of the attempt with this number, from 1. `None` if there is no such attempt.
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
