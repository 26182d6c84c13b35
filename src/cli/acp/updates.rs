//! The updates of a session, as the protocol writes them.

use kirosu_protocol::run::StepTask;
use kirosu_protocol::task::TYPE_PYTHON;
use kirosu_protocol::text::{head, one_line, shorten};
use kirosu_protocol::{Status, Task};
use serde_json::{Value, json};

/// Characters of the title of a tool call.
const TITLE: usize = 100;
/// Bytes of a result in a tool call.
const CONTENT: usize = 16 << 10;

/// A piece of the answer.
pub fn answer(message: &str, text: &str) -> Value {
    chunk("agent_message_chunk", message, text)
}

/// A piece of what is about the answer.
pub fn thought(message: &str, text: &str) -> Value {
    chunk("agent_thought_chunk", message, text)
}

/// A note of this program. It belongs to no message.
pub fn note(text: &str) -> Value {
    json!({"sessionUpdate": "agent_thought_chunk", "content": {"type": "text", "text": format!("{text}\n")}})
}

/// The words of the person, of an earlier turn.
pub fn words(message: &str, text: &str) -> Value {
    chunk("user_message_chunk", message, text)
}

fn chunk(kind: &str, message: &str, text: &str) -> Value {
    json!({"sessionUpdate": kind, "messageId": message, "content": {"type": "text", "text": text}})
}

/// The content of a tool call, if there is any.
pub fn content(text: &str) -> Value {
    match text.is_empty() {
        true => json!([]),
        false => json!([{"type": "content", "content": {"type": "text", "text": text}}]),
    }
}

/// The id of the tool call of a task.
pub fn call_id(task_id: i64) -> String {
    format!("task-{task_id}")
}

/// The title of a task: the item of its step, and the beginning of its prompt.
pub fn title(task: &Task) -> String {
    let item = StepTask::of(task).map(|it| format!("{} {}: ", it.step, it.key));
    let title = one_line(&format!("{}{}", item.unwrap_or_default(), task.prompt));
    match title.trim().is_empty() {
        true => format!("task {}", task.task_id),
        false => shorten(&title, TITLE),
    }
}

/// The state of a tool call.
pub fn status(status: Status) -> &'static str {
    match status {
        Status::Queued | Status::Blocked | Status::Scheduled | Status::AwaitingApproval => {
            "pending"
        }
        Status::Leased => "in_progress",
        Status::Done => "completed",
        Status::Failed | Status::Cancelled => "failed",
    }
}

/// The tool call of a task below the conversation.
pub fn task_call(task: &Task) -> Value {
    let kind = match task.task_type.as_str() {
        TYPE_PYTHON => "execute",
        _ => "other",
    };
    json!({
        "sessionUpdate": "tool_call",
        "toolCallId": call_id(task.task_id),
        "title": title(task),
        "kind": kind,
        "status": status(task.status),
        "content": content(&outcome(task)),
        "rawInput": {"task_id": task.task_id, "queue": task.queue, "type": task.task_type},
    })
}

/// The change of the tool call of a task.
pub fn task_update(task: &Task) -> Value {
    let mut update = json!({
        "sessionUpdate": "tool_call_update",
        "toolCallId": call_id(task.task_id),
        "status": status(task.status),
    });
    if task.status.is_final() {
        update["content"] = content(&outcome(task));
    }
    update
}

/// The result or the error of a task that has ended, cut with a mark.
fn outcome(task: &Task) -> String {
    let text = match task.status {
        Status::Done => task.result.as_deref(),
        Status::Failed | Status::Cancelled => task.error.as_deref(),
        _ => None,
    };
    let text = text.unwrap_or_default();
    match text.len() > CONTENT {
        true => format!(
            "{}\n[the rest: kirosu get {} --result]",
            head(text, CONTENT),
            task.task_id
        ),
        false => text.to_owned(),
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A task with these values.
    pub fn task(values: Value) -> Task {
        let mut task = json!({
            "task_id": 7, "prompt": "Say\n hello", "system_prompt": null, "type": "chat", "status": "queued",
            "created_at": 1.0, "updated_at": 1.0, "leased_until": null, "worker_id": null, "result": null, "error": null,
            "fence": 0, "queue": "default", "priority": 0, "attempts": 0,
        });
        for (name, value) in values.as_object().unwrap() {
            task[name] = value.clone();
        }
        serde_json::from_value(task).unwrap()
    }

    #[test]
    fn a_task_is_a_tool_call_named_by_its_item() {
        let call = task_call(&task(json!({})));
        assert_eq!(
            (&call["title"], &call["status"]),
            (&json!("Say hello"), &json!("pending"))
        );
        let metadata = json!({"run": {"id": 3, "step": "read", "key": "docs/a.md"}});
        let done = task(json!({"metadata": metadata, "status": "done", "result": "x"}));
        let call = task_call(&done);
        assert_eq!(call["title"], "read docs/a.md: Say hello");
        assert_eq!(call["content"][0]["content"]["text"], "x");
        let failed = task(json!({"status": "failed", "error": "e".repeat(CONTENT + 1)}));
        let update = task_update(&failed);
        let text = update["content"][0]["content"]["text"].as_str().unwrap();
        assert!(text.ends_with("e\n[the rest: kirosu get 7 --result]"));
        assert!(
            task_update(&task(json!({"status": "leased"})))
                .get("content")
                .is_none()
        );
        assert_eq!(task_call(&task(json!({"prompt": " "})))["title"], "task 7");
    }
}
