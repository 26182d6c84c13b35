//! `enqueue_batch`: adds several tasks, all or none.
//!
//! ```text
//! {"id":1,"method":"enqueue_batch","params":{"tasks":[{"prompt":"a"},{"prompt":"b","type":"human"}]}}
//! {"id":1,"result":{"task_ids":[42,43]},"error":null}
//! ```

use crate::{Error, Limits, Method, NewTask, Params, Status, TaskId, Verb};
use serde::{Deserialize, Serialize};

/// The tasks, each with the parameters of `enqueue`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct EnqueueBatchParams {
    /// At least one, at most `Limits::batch`.
    pub tasks: Vec<NewTask>,
}

/// The tasks, in the order of the request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct EnqueueBatchAnswer {
    /// One number per task.
    #[cfg_attr(feature = "schema", schema(value_type = Vec<i64>))]
    pub task_ids: Vec<TaskId>,
    /// The tasks that earlier requests with the same idempotency keys added.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub existed: Vec<Existing>,
}

/// A task that an earlier request added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Existing {
    /// The task.
    #[cfg_attr(feature = "schema", schema(value_type = i64))]
    pub task_id: TaskId,
    /// The task's state.
    pub status: Status,
}

impl Verb for EnqueueBatchParams {
    const METHOD: Method = Method::EnqueueBatch;
    type Answer = EnqueueBatchAnswer;

    /// The first invalid task refuses the batch; the error names its parameter as `tasks[3].prompt`.
    fn read(params: &Params<'_>, limits: &Limits) -> Result<EnqueueBatchParams, Error> {
        let entries = params.objects("tasks", limits)?.unwrap_or_default();
        if entries.is_empty() {
            return Err(params.refuse("tasks", "a list of at least one task"));
        }
        let tasks = entries
            .iter()
            .map(|entry| NewTask::read(entry, limits))
            .collect::<Result<_, _>>()?;
        Ok(EnqueueBatchParams { tasks })
    }
}
