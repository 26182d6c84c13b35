//! `usage`: what runs have used, and how the budgets stand.
//!
//! ```text
//! {"id":1,"method":"usage","params":{"by":"provider"}}
//! {"id":1,"result":{"by":"provider","rows":[{"key":"claude","attempts":3,"input_tokens":3000,...}],"total":{...},"budgets":[]},"error":null}
//! ```

use super::{LAST_MS, Verb, seconds_or_null};
use crate::budget::Scope;
use crate::error::Error;
use crate::limits::Limits;
use crate::method::Method;
use crate::params::Params;
use crate::task::TaskId;
use serde::{Deserialize, Serialize};

/// Rows told of when nobody says how many.
pub const DEFAULT_ROWS: u32 = 1000;

/// What a row stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UsageBy {
    /// A provider.
    #[default]
    Provider,
    /// A pool.
    Pool,
    /// A model.
    Model,
    /// A day in UTC.
    Day,
    /// A task that the hub still knows.
    Task,
}

impl UsageBy {
    /// Every one.
    pub const ALL: [UsageBy; 5] = [
        UsageBy::Provider,
        UsageBy::Pool,
        UsageBy::Model,
        UsageBy::Day,
        UsageBy::Task,
    ];

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            UsageBy::Provider => "provider",
            UsageBy::Pool => "pool",
            UsageBy::Model => "model",
            UsageBy::Day => "day",
            UsageBy::Task => "task",
        }
    }
}

/// What is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct UsageParams {
    /// What a row stands for.
    pub by: UsageBy,
    /// Unix milliseconds: only attempts that ended on that day (UTC) or later.
    #[serde(
        rename = "since",
        serialize_with = "seconds_or_null",
        skip_serializing_if = "Option::is_none"
    )]
    pub since_ms: Option<i64>,
    /// Only this task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_id: Option<TaskId>,
    /// Only this task and all that descend from it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tree_id: Option<TaskId>,
    /// At most so many rows, 1000 when none; the total is of all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// What attempts used, added up.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct UsageSum {
    /// Attempts that told their usage.
    pub attempts: u64,
    /// Input tokens that were not served from a cache.
    pub input_tokens: u64,
    /// Input tokens read from a cache.
    pub cache_read_tokens: u64,
    /// Input tokens written to a cache.
    pub cache_write_tokens: u64,
    /// Output tokens, reasoning included.
    pub output_tokens: u64,
    /// Cost in US dollars, as far as it is known.
    pub cost_usd: f64,
    /// The part of it that was computed from prices.
    pub estimated_usd: f64,
    /// Attempts whose cost nobody knows.
    pub unpriced: u64,
}

/// One row.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct UsageRow {
    /// The provider, pool, model, day (`2026-11-22`) or task; empty: not told.
    pub key: String,
    /// What was used.
    #[serde(flatten)]
    pub sum: UsageSum,
}

/// How a budget stands in one kind of thing: tokens, or dollars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// The limit.
    pub limit: f64,
    /// Used in the present window.
    pub used: f64,
    /// Held for runs under way.
    pub reserved: f64,
    /// What is left for other runs; never below 0.
    pub left: f64,
}

/// How a budget stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BudgetInfo {
    /// Whose.
    pub scope: Scope,
    /// In tokens, where it limits these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Standing>,
    /// In dollars, where it limits these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usd: Option<Standing>,
    /// Length of its window in seconds; none: for the task's life.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_seconds: Option<u64>,
    /// Unix seconds of the end of the present window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resets_at: Option<f64>,
}

/// The answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct UsageAnswer {
    /// What a row stands for.
    pub by: UsageBy,
    /// The most expensive first; days in their order.
    pub rows: Vec<UsageRow>,
    /// Rows that are left out, but in the total.
    #[serde(default)]
    pub more: u64,
    /// All rows added up.
    pub total: UsageSum,
    /// The budgets: those of hub, pools and providers; of the task or tree that was asked for.
    #[serde(default)]
    pub budgets: Vec<BudgetInfo>,
}

impl Verb for UsageParams {
    const METHOD: Method = Method::Usage;
    type Answer = UsageAnswer;

    fn read(params: &Params<'_>, _limits: &Limits) -> Result<UsageParams, Error> {
        let word = params.opt_text("by")?.filter(|word| !word.is_empty());
        let by = match word {
            None => UsageBy::default(),
            Some(word) => UsageBy::ALL
                .into_iter()
                .find(|by| by.as_str() == word)
                .ok_or_else(|| {
                    let words = UsageBy::ALL.map(UsageBy::as_str).join(", ");
                    params.refuse("by", &format!("one of {words}"))
                })?,
        };
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
            by,
            since_ms: params
                .opt_seconds("since", 0..=LAST_MS)?
                .map(|ms| ms as i64),
            task_id,
            tree_id,
            limit: params.opt_positive("limit", 1..=100_000)?.map(|n| n as u32),
        })
    }
}
