//! The same request for several tasks: each is told, and one refusal does not keep the others back.

use super::connect::{Context, Hub};
use super::failure::Failure;
use kirosu_protocol::client::CallError;
use kirosu_protocol::{TaskId, Verb};
use serde_json::{Value, json};

/// Asks for each task; `done` says how it went, such as `cancelled`. The exit code is 1 when any was refused.
pub async fn each<V: Verb>(
    task_ids: &[TaskId],
    done: &str,
    hub: &Hub,
    context: &Context,
    ask: impl Fn(TaskId) -> V,
) -> Result<u8, Failure> {
    let (mut went, mut refused): (Vec<TaskId>, Vec<Value>) = (Vec::new(), Vec::new());
    for task_id in task_ids {
        match hub.client.request(&ask(*task_id)).await {
            Ok(_) => {
                went.push(*task_id);
                if !context.screen.json {
                    context.screen.print(&format!("task {task_id} {done}"))?;
                }
            }
            Err(error @ CallError::Refused(_)) => {
                let failure = Failure::Call(error);
                failure.report(context.screen.json);
                let mut entry = failure.to_json();
                entry["task_id"] = json!(task_id);
                refused.push(entry);
            }
            Err(error) => return Err(error.into()),
        }
    }
    if context.screen.json {
        context
            .screen
            .json(&json!({ "ok": went, "refused": refused }))?;
    }
    Ok(u8::from(!refused.is_empty()))
}

/// Who acts, for the record: the user's name as the system knows it.
pub fn actor(given: &Option<String>) -> Option<String> {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    given
        .clone()
        .or_else(|| variable("USER"))
        .or_else(|| variable("LOGNAME"))
}
