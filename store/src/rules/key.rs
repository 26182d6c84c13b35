//! Idempotency keys: whether a request has the parameters of the one that is bound to its key.

use crate::row::TaskRow;
use kirosu_protocol::approval::canonical;
use kirosu_protocol::{Error, ErrorCode, NewTask, Status, TaskId};
use sha2::{Digest, Sha256};

/// A hash of all parameters but the key. It is stored, so it must stay the same from version to version: a new
/// parameter is left out where it has its default.
pub(crate) fn body(new: &NewTask) -> i64 {
    let mut parameters = serde_json::to_value(new).unwrap_or_default();
    if let Some(fields) = parameters.as_object_mut() {
        fields.remove("idempotency_key");
        if new.delay_ms > 0 {
            // The hub computed it from the delay and the time of the request.
            fields.remove("run_at");
        }
    }
    let hash = Sha256::digest(canonical(&parameters));
    let mut first = [0; 8];
    first.copy_from_slice(&hash[..8]);
    i64::from_be_bytes(first)
}

/// The refusal of a key that is bound to a request with other parameters.
pub(crate) fn other_body(key: &str, row: &TaskRow) -> Error {
    let message = format!(
        "invalid params: `idempotency_key` '{key}' is bound to task {} ({}), which was enqueued with other parameters; use another key",
        row.id, row.state
    );
    Error::invalid_params(message)
        .with_data(serde_json::json!({ "task_id": row.id, "status": row.state }))
}

/// The refusal of one key for two different tasks of a batch.
pub(crate) fn two_bodies(key: &str, first: usize, second: usize) -> Error {
    Error::invalid_params(format!(
        "invalid params: `tasks[{second}].idempotency_key` '{key}' is that of `tasks[{first}]`, which has other parameters"
    ))
}

/// The refusal of a dependency that does not exist, of a task at this position of its request.
pub(crate) fn unknown_dependency(id: TaskId, position: Option<usize>) -> Error {
    let task = at(position);
    Error::invalid_params(format!(
        "invalid params: `{task}depends_on` names unknown task {id}"
    ))
}

/// The refusal of a task that continues another where several tasks are added, or later ones.
pub(crate) fn continues_in_batch(position: Option<usize>) -> Error {
    let task = at(position);
    Error::invalid_params(format!(
        "invalid params: `{task}continues` is for `enqueue` only: whether a task can be continued is decided when the new one is added"
    ))
}

/// The refusal of a task that would end with its parent and has none.
pub(crate) fn no_parent(position: Option<usize>) -> Error {
    let task = at(position);
    Error::invalid_params(format!(
        "invalid params: `{task}ends_with_parent` needs `{task}parent_id`"
    ))
}

/// The refusal of a task that would end with a parent in this state; `None`: there is no such task.
pub(crate) fn parent_ended(
    parent: TaskId,
    state: Option<Status>,
    position: Option<usize>,
) -> Error {
    let task = at(position);
    match state {
        Some(state) => Error::new(
            ErrorCode::WrongState,
            format!("cannot add a task that ends with task {parent} (`{task}ends_with_parent`): that is {state}, it has ended already"),
        )
        .with_data(serde_json::json!({ "task_id": parent, "status": state })),
        None => Error::invalid_params(format!(
            "invalid params: `{task}parent_id` names unknown task {parent}, with which the task would end"
        )),
    }
}

/// The position of a task in its request, as the beginning of a parameter's name.
fn at(position: Option<usize>) -> String {
    position
        .map(|at| format!("tasks[{at}]."))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_request_sent_later_is_the_same_body() {
        let new = |key: &str, at| NewTask {
            idempotency_key: Some(key.into()),
            delay_ms: 5_000,
            run_at_ms: Some(at),
            ..NewTask::chat("p")
        };
        assert_eq!(body(&new("a", 1)), body(&new("b", 2)));
        assert_ne!(body(&new("a", 1)), body(&NewTask::chat("p")));
        // The number is stored in databases.
        assert_eq!(body(&NewTask::chat("p")), BODY_OF_P);
    }

    const BODY_OF_P: i64 = 1_253_151_936_047_093_149;
}
