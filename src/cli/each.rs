//! The same request for several tasks (or tool questions): each is told, and one refusal does not keep the others back.

use super::connect::{Context, Hub};
use super::failure::Failure;
use super::numbers::task_id;
use kirosu_protocol::client::{CallError, Client};
use kirosu_protocol::verbs::get::GetParams;
use kirosu_protocol::{Fence, Status, Subject, TaskId, Verb};
use serde_json::{Value, json};
use std::collections::HashMap;

/// Asks for each task, or tool question; `done` says how it went, such as `cancelled`. The exit code is 1 when any was
/// refused.
pub async fn each<V: Verb, K: Copy + Into<Subject>>(
    ids: &[K],
    done: &str,
    hub: &Hub,
    context: &Context,
    ask: impl Fn(K) -> V,
) -> Result<u8, Failure> {
    let (mut went, mut refused): (Vec<Value>, Vec<Value>) = (Vec::new(), Vec::new());
    for id in ids {
        let subject: Subject = (*id).into();
        let named = match subject {
            Subject::Task(id) => json!(id),
            Subject::Approval(_) => json!(subject.to_string()),
        };
        match hub.client.request(&ask(*id)).await {
            Ok(_) => {
                went.push(named);
                if !context.screen.json {
                    context.screen.print(&format!("{subject} {done}"))?;
                }
            }
            Err(error @ CallError::Refused(_)) => {
                let failure = Failure::Call(error);
                failure.report(context.screen.json);
                let mut entry = failure.to_json();
                let key = match subject {
                    Subject::Task(_) => "task_id",
                    Subject::Approval(_) => "approval_id",
                };
                entry[key] = named;
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

/// The fences of the questions that these tasks ask now, so that a decision answers no later question. A task that asks
/// nothing is left out: the hub says why it cannot be decided.
pub async fn questions(subjects: &[Subject], client: &Client) -> HashMap<TaskId, Fence> {
    let mut fences = HashMap::new();
    for subject in subjects {
        let Subject::Task(task_id) = *subject else {
            continue;
        };
        let ask = GetParams {
            task_id,
            ..GetParams::default()
        };
        if let Ok(found) = client.request(&ask).await
            && matches!(found.task.status, Status::AwaitingApproval | Status::Queued)
        {
            fences.insert(task_id, found.task.fence);
        }
    }
    fences
}

/// The fence that goes with a decision.
pub fn fence_of(fences: &HashMap<TaskId, Fence>, subject: Subject) -> Option<Fence> {
    match subject {
        Subject::Task(id) => fences.get(&id).copied(),
        Subject::Approval(_) => None,
    }
}

/// Reads what is decided about: a task's number, or a tool question's with an `a` before it.
pub fn read_subject(text: &str) -> Result<Subject, String> {
    let wrong = || "write a task's number (42) or a tool question's (a17)".to_owned();
    if text.starts_with(['a', 'A']) {
        let id = kirosu_protocol::approval::read_approval_id(text);
        return id.map(Subject::Approval).ok_or_else(wrong);
    }
    task_id(text).map(Subject::Task).map_err(|_| wrong())
}

/// Who acts, for the record: the user's name as the system knows it.
pub fn actor(given: &Option<String>) -> Option<String> {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    given
        .clone()
        .or_else(|| variable("USER"))
        .or_else(|| variable("LOGNAME"))
}
