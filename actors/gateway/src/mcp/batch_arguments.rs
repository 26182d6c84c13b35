//! Arguments of the tools for many tasks. As in [`arguments`](super::arguments), the types are descriptions only.

use super::arguments::{EnqueueTask, schema};
use rmcp::model::JsonObject;
use rmcp::schemars::{self, JsonSchema};
use serde_json::{Value, json};
use std::sync::Arc;

/// Default number of results per page.
pub(super) const RESULTS_DEFAULT: i64 = 50;
/// Maximum number of tasks that one call names: the hub takes at most this number of ids in a list.
pub(super) const TASKS_MOST: usize = 100;
/// Maximum number of items of one call of `map_items`: the default limit of a plan.
pub(super) const ITEMS_PER_MAP: usize = 10_000;
/// Arguments of `enqueue_task` that a task in a list cannot have.
const NOT_IN_LISTS: [&str; 2] = ["continues", "handoff"];

/// Arguments of `enqueue_tasks`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "a description only: see above")]
pub(super) struct EnqueueTasks {
    /// The tasks, each with the arguments of enqueue_task, without `continues` and `handoff`. `depends_on` names tasks that are
    /// there already; for steps that depend on each other use run_plan.
    #[schemars(length(min = 1))]
    tasks: Vec<JsonObject>,
    /// A text that identifies the list: a second call with the same key and list returns the same tasks. It gives the key KEY#N
    /// to the Nth task, from 1, unless the task has its own.
    idempotency_key: Option<String>,
}

/// Arguments of `wait_for_tasks`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "a description only: see above")]
pub(super) struct WaitForTasks {
    /// The numbers of the tasks, or of runs.
    #[schemars(length(min = 1, max = 100))]
    task_ids: Vec<i64>,
    /// Maximum time of the wait in seconds; 50 by default.
    #[schemars(range(min = 0, max = 3600))]
    timeout_seconds: Option<f64>,
    /// Maximum characters of each result and error; 2000 by default, 0 for whole ones.
    #[schemars(range(min = 0, max = 100_000_000))]
    max_chars: Option<i64>,
}

/// Arguments of `get_results`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "a description only: see above")]
pub(super) struct GetResults {
    /// The numbers of the tasks; either these, or `run_id`, or `label` and `parent_id`.
    #[schemars(length(min = 1, max = 100))]
    task_ids: Option<Vec<i64>>,
    /// The number of a run: the results of its items.
    run_id: Option<i64>,
    /// With run_id: only of the step with this path.
    step: Option<String>,
    /// The tasks with this label.
    label: Option<String>,
    /// The children of this task.
    parent_id: Option<i64>,
    /// Only tasks with this status, such as done or failed; with run_id only items in this state.
    status: Option<String>,
    /// Maximum number of results; 50 by default. A page with long results has fewer.
    #[schemars(range(min = 1, max = 500))]
    limit: Option<i64>,
    /// `next` of the previous page.
    cursor: Option<String>,
    /// Maximum characters of each result and error; 2000 by default, 0 for whole ones.
    #[schemars(range(min = 0, max = 100_000_000))]
    max_chars: Option<i64>,
}

/// Arguments of `cancel_tasks`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "a description only: see above")]
pub(super) struct CancelTasks {
    /// The numbers of the tasks; either these, or `label` and `parent_id`.
    #[schemars(length(min = 1, max = 100))]
    task_ids: Option<Vec<i64>>,
    /// All tasks with this label.
    label: Option<String>,
    /// All children of this task.
    parent_id: Option<i64>,
    /// The reason.
    reason: Option<String>,
}

/// Arguments of `map_items`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "a description only: see above")]
pub(super) struct MapItems {
    /// The prompt for each item, a template with {{ item }}, or {{ item.name }} of an item that is an object. With `batch` above 1
    /// it has the list {{ items }} instead.
    prompt: String,
    /// The items: texts, numbers or objects; at most 10000.
    #[schemars(length(min = 1, max = 10000))]
    items: Vec<Value>,
    /// A template of a prompt that merges {{ results }}, in groups until one result is left.
    reduce: Option<String>,
    /// Instructions that frame each prompt.
    system_prompt: Option<String>,
    /// Template of an item's name in the results, which is unique; #1, #2, ... by default.
    key: Option<String>,
    /// Items per task; 1 by default.
    #[schemars(range(min = 1, max = 1000))]
    batch: Option<i64>,
    /// Maximum number of items in progress at the same time.
    #[schemars(range(min = 1, max = 1000))]
    concurrency: Option<i64>,
    /// How many items may fail before the rest is given up: a number as "5", or a share as "10%"; "100%" by default.
    tolerate: Option<String>,
    /// A JSON schema that each result must meet.
    schema: Option<JsonObject>,
    /// The queue, "default" by default. Only pools that serve the queue run the tasks.
    queue: Option<String>,
    /// The requested provider.
    provider: Option<String>,
    /// The requested model.
    model: Option<String>,
    /// Maximum number of attempts of a task.
    #[schemars(range(min = 1, max = 1000))]
    max_attempts: Option<i64>,
    /// A name for the run; "map" by default.
    name: Option<String>,
    /// A run with a higher priority goes first; 0 by default.
    #[schemars(range(min = -1000, max = 1000))]
    priority: Option<i64>,
    /// At most 16 labels, which its tasks have, too.
    labels: Option<Vec<String>>,
    /// The most tokens of all its tasks together.
    #[schemars(range(min = 1))]
    tokens: Option<u64>,
    /// The most cost of all its tasks together, in US dollars.
    usd: Option<f64>,
    /// True: a person must approve the run before it begins.
    requires_approval: Option<bool>,
    /// A text that identifies this run: a second call with the same key returns the same run.
    idempotency_key: Option<String>,
    /// The number of the parent task.
    parent_id: Option<i64>,
    /// Maximum time of the wait for the end, in seconds; 50 by default, 0 to start only.
    #[schemars(range(min = 0, max = 3600))]
    timeout_seconds: Option<f64>,
    /// Maximum characters of the result; 20000 by default, 0 for the whole one.
    #[schemars(range(min = 0, max = 100_000_000))]
    max_chars: Option<i64>,
}

/// The schema of a task in a list.
pub(super) fn schema_of_task() -> JsonObject {
    let mut schema = (*schema::<EnqueueTask>()).clone();
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        properties.retain(|name, _| !NOT_IN_LISTS.contains(&name.as_str()));
    }
    for about_the_whole in ["$schema", "title", "description"] {
        schema.remove(about_the_whole);
    }
    schema
}

/// The schema of the arguments of `enqueue_tasks`.
pub(super) fn schema_of_tasks() -> Arc<JsonObject> {
    let mut schema = (*schema::<EnqueueTasks>()).clone();
    if let Some(tasks) = schema
        .get_mut("properties")
        .and_then(|it| it.get_mut("tasks"))
    {
        tasks["items"] = schema_of_task().into();
    }
    Arc::new(schema)
}

/// The schema of the arguments of `map_items`.
pub(super) fn schema_of_map() -> Arc<JsonObject> {
    let mut schema = (*schema::<MapItems>()).clone();
    if let Some(items) = schema
        .get_mut("properties")
        .and_then(|it| it.get_mut("items"))
    {
        // Some model APIs refuse a list whose elements have no type.
        items["items"] = json!({"type": ["string", "number", "boolean", "object"]});
    }
    Arc::new(schema)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_in_a_list_has_the_arguments_of_a_single_one_but_two() {
        let single = schema::<EnqueueTask>();
        let single = single["properties"].as_object().unwrap();
        let listed = schema_of_tasks();
        let listed = &listed["properties"]["tasks"]["items"];
        let named = listed["properties"].as_object().unwrap();
        assert_eq!(named.len(), single.len() - NOT_IN_LISTS.len());
        assert!(named.keys().all(|name| single.contains_key(name)));
        assert_eq!(listed["required"], json!(["prompt"]));
        assert_eq!(listed["additionalProperties"], false);
    }

    #[test]
    fn the_schemas_have_the_enforced_bounds() {
        let most = |schema: &JsonObject, name: &str| schema["properties"][name]["maxItems"].clone();
        assert_eq!(most(&schema::<WaitForTasks>(), "task_ids"), TASKS_MOST);
        assert_eq!(most(&schema::<CancelTasks>(), "task_ids"), TASKS_MOST);
        assert_eq!(most(&schema::<GetResults>(), "task_ids"), TASKS_MOST);
        assert_eq!(most(&schema::<MapItems>(), "items"), ITEMS_PER_MAP);
    }
}
