//! What the tools take: types that become their schemas, and how arguments are read.
//!
//! The types only describe. Arguments are read by the protocol's own parser, which is lenient where models are sloppy
//! ("42" is a number) and says which argument breaks which rule; a second reader would drift from it. One thing is
//! stricter than in the protocol: an argument that no tool knows is refused, as a model that misspells a name would
//! otherwise never learn why nothing came of it.

use super::refusal::Refusal;
use kirosu_protocol::Error;
use rmcp::handler::server::tool::schema_for_input;
use rmcp::model::JsonObject;
use rmcp::schemars::{self, JsonSchema};
use std::any::Any;
use std::sync::Arc;

/// Tasks of a page when nobody says how many.
pub(super) const LIST_DEFAULT: i64 = 50;
/// Most tasks of a page: a model's memory is short.
pub(super) const LIST_MOST: i64 = 500;
/// Characters of each long text of a task when nobody says how many.
pub(super) const CHARS_DEFAULT: i64 = 20_000;
/// Beyond it, ask for all.
pub(super) const CHARS_MOST: i64 = 100_000_000;
/// How long a wait lasts when nobody says how long: many clients give a tool a minute.
pub(super) const WAIT_DEFAULT_MS: u64 = 50_000;
/// The longest wait.
pub(super) const WAIT_MOST_MS: u64 = 3_600_000;

/// Arguments of `enqueue_task`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "it only describes: see above")]
pub(super) struct EnqueueTask {
    /// What the agent is to do, complete in itself: it does not see this conversation.
    prompt: String,
    /// Instructions that frame the prompt, such as a role or an output format.
    system_prompt: Option<String>,
    /// "chat" (default): a prompt for an agent; "human": a question for a person, answered with answer_task; "python":
    /// code, where the hub allows it; or any word that workers agree on.
    task_type: Option<String>,
    /// The queue; "default" unless said otherwise. Only pools that serve the queue take the task.
    queue: Option<String>,
    /// Higher goes first; 0 unless said otherwise.
    #[schemars(range(min = -1000, max = 1000))]
    priority: Option<i64>,
    /// True: a person has to approve the task before it runs.
    requires_approval: Option<bool>,
    /// Any text that names this piece of work: the same key gives the same task, so that calling again is safe.
    idempotency_key: Option<String>,
    /// Numbers of tasks that must be done before this one starts.
    depends_on: Option<Vec<i64>>,
    /// The number of the task on whose behalf this one is made.
    parent_id: Option<i64>,
    /// Seconds from now before which it does not start.
    delay_seconds: Option<f64>,
    /// The longest run, in seconds.
    timeout_seconds: Option<f64>,
    /// Tries at most; failed ones are repeated with growing pauses.
    #[schemars(range(min = 1, max = 1000))]
    max_attempts: Option<i64>,
    /// The model asked for.
    model: Option<String>,
    /// The provider asked for.
    provider: Option<String>,
    /// The directory to run in, on the agent's machine.
    workdir: Option<String>,
    /// What happens when its agent is lost in the middle: "retry" (default), "fail" or "ask".
    on_lost: Option<String>,
    /// What must hold before the task is done, whatever its agent says; all that is given, of: {"file": path in the
    /// workspace}, {"diff": true} (something changed), {"regex": ...} and {"schema": JSON schema} (on the answer),
    /// {"command": [program, argument, ...]} (exits with 0, where the pool allows it).
    accept: Option<JsonObject>,
    /// Names of groups that it belongs to, to find it by later; at most 16.
    labels: Option<Vec<String>>,
    /// Anything to keep beside the task.
    metadata: Option<JsonObject>,
}

/// Arguments of `list_tasks`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "it only describes: see above")]
pub(super) struct ListTasks {
    /// Only tasks of this status: queued, blocked, scheduled, awaiting_approval, leased (running), done, failed or
    /// cancelled.
    status: Option<String>,
    /// At most so many; 50 unless said otherwise.
    #[schemars(range(min = 1, max = 500))]
    limit: Option<i64>,
    /// Only tasks of this queue.
    queue: Option<String>,
    /// Only tasks with this label.
    label: Option<String>,
    /// Only tasks with a lower number: the last answer's `next`, for the next page.
    before: Option<i64>,
}

/// Arguments of `get_task_status`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "it only describes: see above")]
pub(super) struct GetTaskStatus {
    /// The task's number.
    task_id: i64,
    /// Longer texts (prompt, result, error, output) are cut to so many characters; 20000 unless said otherwise, 0 for
    /// all.
    #[schemars(range(min = 0, max = 100_000_000))]
    max_chars: Option<i64>,
    /// True: with what the newest attempt printed.
    output: Option<bool>,
}

/// Arguments of `wait_for_task`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "it only describes: see above")]
pub(super) struct WaitForTask {
    /// The task's number.
    task_id: i64,
    /// How long to wait, in seconds; 50 unless said otherwise.
    #[schemars(range(min = 0, max = 3600))]
    timeout_seconds: Option<f64>,
    /// Longer texts are cut to so many characters; 20000 unless said otherwise, 0 for all.
    #[schemars(range(min = 0, max = 100_000_000))]
    max_chars: Option<i64>,
}

/// Arguments of `cancel_task`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "it only describes: see above")]
pub(super) struct CancelTask {
    /// The task's number.
    task_id: i64,
    /// Why, for the record.
    reason: Option<String>,
}

/// Arguments of `approve_task`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "it only describes: see above")]
pub(super) struct ApproveTask {
    /// The task's number; either this or `approval_id`.
    task_id: Option<i64>,
    /// The number of an agent's tool question, as 17 for a17.
    approval_id: Option<i64>,
    /// What the person said with it, for the record.
    comment: Option<String>,
    /// The option that the person chose, by its id or name: for a tool question that offers several.
    option: Option<String>,
}

/// Arguments of `answer_task`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "it only describes: see above")]
pub(super) struct AnswerTask {
    /// The task's number.
    task_id: i64,
    /// The person's answer, in the person's words.
    text: String,
}

/// The schema of a tool's arguments.
pub(super) fn schema<T: JsonSchema + Any>() -> Arc<JsonObject> {
    // Fails only for a type that is no object.
    schema_for_input::<T>().unwrap_or_default()
}

/// Arguments by the names that the tool `T` knows, as text for the protocol's parser; `renamed` are the ones that the
/// protocol calls otherwise.
pub(super) fn checked<T: JsonSchema + Any>(
    mut given: JsonObject,
    renamed: &[(&str, &str)],
) -> Result<String, Refusal> {
    let schema = schema::<T>();
    let known = schema
        .get("properties")
        .and_then(|properties| properties.as_object());
    if let Some(known) = known
        && let Some(strange) = given.keys().find(|name| !known.contains_key(*name))
    {
        let names: Vec<&str> = known.keys().map(String::as_str).collect();
        return Err(Refusal(format!(
            "`{strange}` is not an argument of this tool; it takes {} (invalid_params)",
            names.join(", ")
        )));
    }
    for (ours, protocols) in renamed {
        if let Some(value) = given.remove(*ours) {
            given.insert((*protocols).to_owned(), value);
        }
    }
    serde_json::to_string(&given)
        .map_err(|why| Error::invalid_params(format!("the arguments are not JSON: {why}")).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use kirosu_protocol::verbs::enqueue::NewTask;
    use kirosu_protocol::{Limits, Params, Verb};
    use serde_json::json;

    fn object(value: serde_json::Value) -> JsonObject {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn every_argument_of_enqueue_task_reaches_the_task() {
        let all = object(json!({
            "prompt": "p", "system_prompt": "s", "task_type": "review", "queue": "q", "priority": "7",
            "requires_approval": true, "idempotency_key": "k", "depends_on": [1], "parent_id": 2, "delay_seconds": 3,
            "timeout_seconds": 4, "max_attempts": 5, "model": "m", "provider": "v", "workdir": "w", "on_lost": "ask",
            "accept": {"diff": true}, "labels": ["l"], "metadata": {"a": 1},
        }));
        let schema = schema::<EnqueueTask>();
        let described = schema["properties"].as_object().unwrap();
        assert!(described.keys().eq(all.keys()), "{described:?}");
        let text = checked::<EnqueueTask>(all, &[("task_type", "type")]).unwrap();
        let task = NewTask::read(&Params::parse(&text).unwrap(), &Limits::default()).unwrap();
        let usual = serde_json::to_value(NewTask::chat("")).unwrap();
        let task = serde_json::to_value(task).unwrap();
        let same = task
            .as_object()
            .unwrap()
            .iter()
            .filter(|(name, value)| usual.get(name.as_str()) == Some(value));
        assert_eq!(same.count(), 0, "left at its default: {task}");
        assert_eq!(task["priority"], 7);
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
    fn the_schemas_say_the_bounds_that_are_kept() {
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
