//! The arguments of the tools: types from which the schemas are made, and the reading of arguments.
//!
//! The types are descriptions only. The protocol's parser reads the arguments: it accepts the common mistakes of models
//! ("42" is a number) and its errors name the argument and the rule. One rule is stricter than in the protocol: an unknown
//! argument is refused, because a model would otherwise not notice a misspelt name.

use super::error::ToolError;
use kirosu_protocol::Error;
use rmcp::handler::server::tool::schema_for_input;
use rmcp::model::JsonObject;
use rmcp::schemars::{self, JsonSchema};
use std::any::Any;
use std::sync::Arc;

/// Default number of tasks per page.
pub(super) const LIST_DEFAULT: i64 = 50;
/// Maximum number of tasks per page, because a model's context is small.
pub(super) const LIST_MOST: i64 = 500;
/// Default maximum of characters per text of a task.
pub(super) const CHARS_DEFAULT: i64 = 20_000;
/// Maximum of `max_chars`.
pub(super) const CHARS_MOST: i64 = 100_000_000;
/// Maximum number of results, items and questions per page, because a model's context is small.
pub(super) const ITEMS_MOST: i64 = 500;
/// Default maximum of characters of each text where there are several.
pub(super) const ITEM_CHARS_DEFAULT: i64 = 2000;
/// Default time of a wait: many clients end a tool call after a minute.
pub(super) const WAIT_DEFAULT_MS: u64 = 50_000;
/// Maximum time of a wait.
pub(super) const WAIT_MOST_MS: u64 = 3_600_000;

/// Arguments of `enqueue_task`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "a description only: see above")]
pub(super) struct EnqueueTask {
    /// The task for the agent. It must be complete, because the agent does not see this conversation.
    prompt: String,
    /// Instructions that frame the prompt, such as a role or an output format.
    system_prompt: Option<String>,
    /// "chat" (default): a prompt for an agent; "human": a question for a person, whose answer is the result; "python":
    /// code, if the hub allows it; or a type that the workers define.
    task_type: Option<String>,
    /// The queue, "default" by default. Only pools that serve the queue run the task.
    queue: Option<String>,
    /// A task with a higher priority runs first; 0 by default.
    #[schemars(range(min = -1000, max = 1000))]
    priority: Option<i64>,
    /// True: a person must approve the task before it runs.
    requires_approval: Option<bool>,
    /// A text that identifies this piece of work: a second call with the same key returns the same task.
    idempotency_key: Option<String>,
    /// Numbers of the tasks that must be done before this one starts.
    depends_on: Option<Vec<i64>>,
    /// The number of a finished task: its agent goes on with the prompt in the same conversation and folder.
    continues: Option<i64>,
    /// The number of the parent task.
    parent_id: Option<i64>,
    /// True: the task is cancelled when its parent ends.
    ends_with_parent: Option<bool>,
    /// True: you hand your work over to this task. It begins when your own task is done; end your turn then. In a plan its
    /// result is that of your step.
    handoff: Option<bool>,
    /// Earliest start, in seconds from now.
    delay_seconds: Option<f64>,
    /// Maximum time of a run in seconds.
    timeout_seconds: Option<f64>,
    /// Maximum number of attempts; failed ones are repeated with growing delays.
    #[schemars(range(min = 1, max = 1000))]
    max_attempts: Option<i64>,
    /// The requested model.
    model: Option<String>,
    /// The requested provider.
    provider: Option<String>,
    /// The directory to run in, on the agent's machine.
    workdir: Option<String>,
    /// Effect of the loss of its agent during a run: "retry" (default), "fail" or "ask".
    on_lost: Option<String>,
    /// Conditions that must hold before the task is done, any of: {"file": path in the workspace}, {"diff": true}
    /// (something changed), {"regex": ...} and {"schema": JSON schema} (for the answer), {"command": [program, argument,
    /// ...]} (exits with 0, if the pool allows it).
    accept: Option<JsonObject>,
    /// At most 16 labels, to find it later.
    labels: Option<Vec<String>>,
    /// Data of the client.
    metadata: Option<JsonObject>,
}

/// Arguments of `list_tasks`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "a description only: see above")]
pub(super) struct ListTasks {
    /// Only tasks with this status: queued, blocked, scheduled, awaiting_approval, leased (running), done, failed or
    /// cancelled.
    status: Option<String>,
    /// Maximum number of tasks; 50 by default.
    #[schemars(range(min = 1, max = 500))]
    limit: Option<i64>,
    /// Only tasks of this queue.
    queue: Option<String>,
    /// Only tasks with this label.
    label: Option<String>,
    /// Only tasks of this type, such as "chat", "human" or "plan".
    task_type: Option<String>,
    /// Only the children of this task.
    parent_id: Option<i64>,
    /// Only tasks with a lower number: `next` of the previous page.
    before: Option<i64>,
}

/// Arguments of `get_task_status`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "a description only: see above")]
pub(super) struct GetTaskStatus {
    /// The task's number.
    task_id: i64,
    /// Maximum characters of each text (prompt, result, error, output); 20000 by default, 0 for whole texts.
    #[schemars(range(min = 0, max = 100_000_000))]
    max_chars: Option<i64>,
    /// True: with the output of the newest attempt.
    output: Option<bool>,
}

/// Arguments of `wait_for_task`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "a description only: see above")]
pub(super) struct WaitForTask {
    /// The task's number.
    task_id: i64,
    /// Maximum time of the wait in seconds; 50 by default.
    #[schemars(range(min = 0, max = 3600))]
    timeout_seconds: Option<f64>,
    /// Maximum characters of each text; 20000 by default, 0 for whole texts.
    #[schemars(range(min = 0, max = 100_000_000))]
    max_chars: Option<i64>,
}

/// Arguments of `wait_for_children`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct WaitForChildren {}

/// Arguments of `cancel_task`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "a description only: see above")]
pub(super) struct CancelTask {
    /// The task's number.
    task_id: i64,
    /// The reason.
    reason: Option<String>,
}

/// The schema of a tool's arguments.
pub(super) fn schema<T: JsonSchema + Any>() -> Arc<JsonObject> {
    // Fails only for a type that is not an object.
    let schema = schema_for_input::<T>().unwrap_or_default();
    match schema.contains_key("properties") {
        true => schema,
        // Some model APIs refuse a tool whose schema names no properties.
        false => {
            let mut schema = (*schema).clone();
            schema.insert("properties".to_owned(), JsonObject::new().into());
            Arc::new(schema)
        }
    }
}

/// The arguments as text for the protocol's parser. `renamed` are pairs of an argument's name and its name in the
/// protocol.
///
/// # Errors
/// An argument is not one of the tool `T`.
pub(super) fn checked<T: JsonSchema + Any>(
    mut given: JsonObject,
    renamed: &[(&str, &str)],
) -> Result<String, ToolError> {
    check_names(&given, &schema::<T>(), OF_THIS_TOOL)?;
    rename(&mut given, renamed);
    serde_json::to_string(&given)
        .map_err(|why| Error::invalid_params(format!("the arguments are not JSON: {why}")).into())
}

/// The words between an unknown argument and the known ones.
pub(super) const OF_THIS_TOOL: &str = "of this tool; it takes";

/// Refuses an argument that the schema does not name. `owner` are the words between its name and the known ones.
///
/// # Errors
/// There is such an argument.
pub(super) fn check_names(
    given: &JsonObject,
    schema: &JsonObject,
    owner: &str,
) -> Result<(), ToolError> {
    let known = schema
        .get("properties")
        .and_then(|properties| properties.as_object());
    let Some(known) = known else {
        return Ok(());
    };
    let Some(strange) = given.keys().find(|name| !known.contains_key(*name)) else {
        return Ok(());
    };
    let names: Vec<&str> = known.keys().map(String::as_str).collect();
    let takes = match names.is_empty() {
        true => "none".to_owned(),
        false => names.join(", "),
    };
    Err(ToolError(format!(
        "`{strange}` is not an argument {owner} {takes} (invalid_params)"
    )))
}

/// Gives arguments the names of the protocol.
pub(super) fn rename(given: &mut JsonObject, renamed: &[(&str, &str)]) {
    for (ours, protocols) in renamed {
        if let Some(value) = given.remove(*ours) {
            given.insert((*protocols).to_owned(), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kirosu_protocol::{Limits, NewTask, Params, Verb};
    use serde_json::json;

    fn object(value: serde_json::Value) -> JsonObject {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn every_argument_of_enqueue_task_reaches_the_task() {
        let all = object(json!({
            "prompt": "p", "system_prompt": "s", "task_type": "review", "queue": "q", "priority": "7",
            "requires_approval": true, "idempotency_key": "k", "depends_on": [1], "continues": 9, "parent_id": 2, "ends_with_parent": true, "handoff": true, "delay_seconds": 3,
            "timeout_seconds": 4, "max_attempts": 5, "model": "m", "provider": "v", "workdir": "w", "on_lost": "ask",
            "accept": {"diff": true}, "labels": ["l"], "metadata": {"a": 1},
        }));
        let schema = schema::<EnqueueTask>();
        let described = schema["properties"].as_object().unwrap();
        assert!(described.keys().eq(all.keys()), "{described:?}");
        let usual = serde_json::to_value(NewTask::chat("")).unwrap();
        // These two exclude each other.
        for (left_out, other) in [("continues", "workdir"), ("workdir", "continues")] {
            let mut given = all.clone();
            given.remove(left_out);
            let text = checked::<EnqueueTask>(given, &[("task_type", "type")]).unwrap();
            let task = NewTask::read(&Params::parse(&text).unwrap(), &Limits::default()).unwrap();
            let task = serde_json::to_value(task).unwrap();
            let same = task
                .as_object()
                .unwrap()
                .iter()
                .filter(|(name, value)| usual.get(name.as_str()) == Some(value));
            assert_eq!(same.count(), 0, "left at its default: {task}");
            assert_eq!(task["priority"], 7);
            assert!(task.get(other).is_some(), "{task}");
        }
    }

    #[test]
    fn a_misspelt_argument_is_refused_with_the_right_ones() {
        let given = object(json!({"task_id": 1, "raeson": "x"}));
        let refused = checked::<CancelTask>(given, &[]).unwrap_err().0;
        assert_eq!(
            refused,
            "`raeson` is not an argument of this tool; it takes reason, task_id (invalid_params)"
        );
    }

    #[test]
    fn the_schemas_have_the_enforced_bounds() {
        let bound = |schema: &JsonObject, name: &str, end: &str| {
            schema["properties"][name][end].as_f64().unwrap() as i64
        };
        let (list, status, wait) = (
            schema::<ListTasks>(),
            schema::<GetTaskStatus>(),
            schema::<WaitForTask>(),
        );
        assert_eq!(bound(&list, "limit", "maximum"), LIST_MOST);
        assert_eq!(bound(&status, "max_chars", "maximum"), CHARS_MOST);
        assert_eq!(
            bound(&wait, "timeout_seconds", "maximum") as u64 * 1000,
            WAIT_MOST_MS
        );
        assert_eq!(list["additionalProperties"], false);
        assert_eq!(wait["required"], json!(["task_id"]));
    }
}
