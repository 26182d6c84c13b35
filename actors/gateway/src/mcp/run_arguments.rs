//! Arguments of the tools for runs of plans. As in [`arguments`](super::arguments), the types are descriptions only.

use rmcp::model::JsonObject;
use rmcp::schemars::{self, JsonSchema};

/// Default number of runs, and of items, per page.
pub(super) const PAGE_DEFAULT: u32 = 20;
/// Default number of items per page.
pub(super) const ITEMS_DEFAULT: u32 = 50;

/// Arguments of `run_plan`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "a description only: see above")]
pub(super) struct RunPlan {
    /// The plan in YAML or JSON: `pipeline`, a list of steps. A step has an `id` and a `prompt`, and may have `depends_on` (ids
    /// of steps whose results its prompt uses as {{ steps.ID.result }}), `pool`, and `map` with `over` (an expression whose value
    /// is a list, such as inputs.files or steps.find.json) for one task per {{ item }}. A step with `reduce: {of: ID}` merges the
    /// results of a map as {{ results }}.
    plan: String,
    /// The values of the plan's `inputs`, by name.
    inputs: Option<JsonObject>,
    /// "toml" if the plan is TOML.
    format: Option<String>,
    /// The texts of the plans that steps of this one name, by those names.
    plans: Option<JsonObject>,
    /// A name for the run; that of the plan by default.
    name: Option<String>,
    /// The queue of the run and, unless a step names a pool, of its tasks; "default" by default.
    queue: Option<String>,
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
}

/// Arguments of `list_runs`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "a description only: see above")]
pub(super) struct ListRuns {
    /// Only runs in this state: pending, open, waiting (for a person), paused, done, partial, failed or cancelled.
    state: Option<String>,
    /// Maximum number of runs; 20 by default.
    #[schemars(range(min = 1, max = 200))]
    limit: Option<i64>,
    /// Only runs with a lower number: `next` of the previous page.
    before: Option<i64>,
}

/// Arguments of `get_run`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "a description only: see above")]
pub(super) struct GetRun {
    /// The number of the run, which is that of its task.
    task_id: i64,
    /// Maximum characters of the result and of the error; 20000 by default.
    #[schemars(range(min = 0, max = 100_000_000))]
    max_chars: Option<i64>,
}

/// Arguments of `list_run_items`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "a description only: see above")]
pub(super) struct ListRunItems {
    /// The number of the run.
    task_id: i64,
    /// Only of the step with this path, as get_run names it.
    step: Option<String>,
    /// Only those with this key: at most one per step.
    key: Option<String>,
    /// Only items in this state: waiting, open, done, failed or cancelled.
    state: Option<String>,
    /// True: with the results of items that are done.
    results: Option<bool>,
    /// Maximum number of items; 50 by default.
    #[schemars(range(min = 1, max = 500))]
    limit: Option<i64>,
    /// `next` of the previous page.
    cursor: Option<String>,
    /// Maximum characters of each result and error; 2000 by default, 0 for whole ones.
    #[schemars(range(min = 0, max = 100_000_000))]
    max_chars: Option<i64>,
}

/// Arguments of `retry_run`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "a description only: see above")]
pub(super) struct RetryRun {
    /// The number of the run.
    task_id: i64,
    /// The path of a step: its items that failed or, if none did, all of it. By default all steps that failed.
    step: Option<String>,
    /// The key of an item of that step, also of one that is done.
    item: Option<String>,
}
