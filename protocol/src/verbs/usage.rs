//! `usage`: sums up the tokens and the cost of attempts, and returns the budgets.
//!
//! ```text
//! {"id":1,"method":"usage","params":{"by":"provider"}}
//! {"id":1,"result":{"by":"provider","rows":[{"key":"claude","attempts":3,"input_tokens":3000,...}],"total":{...},"budgets":[]},"error":null}
//! ```

use super::seconds_or_null;
use crate::limits::LAST_MS;
use crate::{Error, Limits, Method, Params, Scope, TaskId, Verb};
use serde::{Deserialize, Serialize};

/// The default of `limit`.
pub const USAGE_ROWS: u32 = 1000;

wire_enum! {
    /// The key by which attempts are summed up.
    #[derive(Default)]
    pub enum UsageBy {
        /// One row per provider.
        #[default]
        Provider,
        /// One row per pool.
        Pool,
        /// One row per model.
        Model,
        /// One row per day in UTC.
        Day,
        /// One row per task; pruned tasks have none.
        Task,
    }
}

/// The attempts to sum up.
#[serde_with::skip_serializing_none]
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct UsageParams {
    /// The key by which attempts are summed up.
    #[cfg_attr(feature = "schema", schema(required = false))]
    pub by: UsageBy,
    /// Unix milliseconds; only attempts that ended on that day (UTC) or later.
    #[serde(rename = "since", serialize_with = "seconds_or_null")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<f64>))]
    pub since_ms: Option<i64>,
    /// Only this task.
    #[cfg_attr(feature = "schema", schema(value_type = Option<i64>))]
    pub task_id: Option<TaskId>,
    /// Only this task and its descendants. Not together with `task_id`.
    #[cfg_attr(feature = "schema", schema(value_type = Option<i64>))]
    pub tree_id: Option<TaskId>,
    /// The most rows, 1 to 100,000. `None` means [`USAGE_ROWS`].
    #[cfg_attr(feature = "schema", schema(minimum = 1, maximum = 100000))]
    pub limit: Option<u32>,
}

/// The sums over attempts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct UsageSum {
    /// The number of attempts that reported their usage.
    pub attempts: u64,
    /// Input tokens that were not served from a cache.
    pub input_tokens: u64,
    /// Input tokens read from a cache.
    pub cache_read_tokens: u64,
    /// Input tokens written to a cache.
    pub cache_write_tokens: u64,
    /// Output tokens, reasoning included.
    pub output_tokens: u64,
    /// The known cost, in US dollars.
    pub cost_usd: f64,
    /// The part of the cost that was computed from configured prices, in US dollars.
    pub estimated_usd: f64,
    /// The number of attempts with an unknown cost.
    pub unpriced: u64,
}

/// A row.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct UsageRow {
    /// The provider, pool, model, day (`2026-11-22`) or task. Empty if the worker did not report it.
    pub key: String,
    /// The sums.
    #[serde(flatten)]
    pub sum: UsageSum,
}

/// The state of a budget, in tokens or in US dollars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct BudgetState {
    /// The limit.
    pub limit: f64,
    /// The amount used in the current window.
    pub used: f64,
    /// The amount reserved by current runs.
    pub reserved: f64,
    /// The amount left for other runs; at least 0.
    pub left: f64,
}

/// A budget and its state.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct BudgetInfo {
    /// The scope of the budget.
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub scope: Scope,
    /// The state in tokens, if the budget limits tokens.
    pub tokens: Option<BudgetState>,
    /// The state in US dollars, if the budget limits money.
    pub usd: Option<BudgetState>,
    /// The length of its window in seconds. `None` means the lifetime of the task.
    pub per_seconds: Option<u64>,
    /// Unix seconds of the end of the current window.
    pub resets_at: Option<f64>,
}

/// The rows, their total and the budgets.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = Usage))]
pub struct UsageAnswer {
    /// The key by which attempts are summed up.
    pub by: UsageBy,
    /// The rows, most expensive first; days in their order.
    pub rows: Vec<UsageRow>,
    /// The number of rows beyond `limit`; the total includes them.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schema(required = true))]
    pub more: u64,
    /// The sums over all rows.
    pub total: UsageSum,
    /// The budgets of the given task or tree; without one those of hub, pools and providers.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schema(required = true))]
    pub budgets: Vec<BudgetInfo>,
}

impl Verb for UsageParams {
    const METHOD: Method = Method::Usage;
    type Answer = UsageAnswer;

    fn read(params: &Params<'_>, _limits: &Limits) -> Result<UsageParams, Error> {
        let (task_id, tree_id) = (
            params.opt_positive("task_id", 1..=i64::MAX)?,
            params.opt_positive("tree_id", 1..=i64::MAX)?,
        );
        if task_id.is_some() && tree_id.is_some() {
            return Err(Error::invalid_params(
                "invalid params: give `task_id` or `tree_id`, not both",
            ));
        }
        Ok(UsageParams {
            by: params.opt_word("by")?.unwrap_or_default(),
            since_ms: params
                .opt_seconds("since", 0..=LAST_MS)?
                .map(|ms| ms as i64),
            task_id,
            tree_id,
            limit: params.opt_positive("limit", 1..=100_000)?.map(|n| n as u32),
        })
    }
}
