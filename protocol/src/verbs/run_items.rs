//! `run_items`: lists the items of a run, by step and position.
//!
//! ```text
//! {"id":1,"method":"run_items","params":{"task_id":42,"state":"failed","limit":2}}
//! {"id":1,"result":{"items":[{"step":"read","index":3,"key":"docs/a.md","state":"failed","task_id":46,"class":"timeout","error":"..."}]},"error":null}
//! ```

use crate::run::{ItemInfo, ItemState};
use crate::{Error, Limits, Method, Params, TaskId, Verb};
use serde::{Deserialize, Serialize};

/// The default of `limit`: items per page.
pub const RUN_ITEMS_LIMIT: u32 = 100;
/// The greatest `limit`.
pub const RUN_ITEMS_LIMIT_MAX: u32 = 1000;

/// The items to list.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RunItemsParams {
    /// The task of the run.
    #[cfg_attr(feature = "schema", schema(value_type = i64))]
    pub task_id: TaskId,
    /// Only of the step with this path.
    pub step: Option<String>,
    /// Only those with this key: at most one per step.
    pub key: Option<String>,
    /// Only in this state.
    pub state: Option<ItemState>,
    /// Whether to return results.
    #[cfg_attr(feature = "schema", schema(required = false))]
    pub results: bool,
    /// The most items, 1 to [`RUN_ITEMS_LIMIT_MAX`]. A page with results may have fewer: their size is bounded. `None` means
    /// [`RUN_ITEMS_LIMIT`].
    #[cfg_attr(feature = "schema", schema(minimum = 1, maximum = 1000))]
    pub limit: Option<u32>,
    /// `next` of the previous answer. `None` means from the first item on.
    pub cursor: Option<String>,
}

/// A page of items.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = RunItems))]
pub struct RunItemsAnswer {
    /// By step, in the order in which the steps began, then by position.
    pub items: Vec<ItemInfo>,
    /// `cursor` of the next page. `None` means that this is the last page.
    pub next: Option<String>,
}

impl Verb for RunItemsParams {
    const METHOD: Method = Method::RunItems;
    type Answer = RunItemsAnswer;

    fn read(params: &Params<'_>, _: &Limits) -> Result<RunItemsParams, Error> {
        let limit = params.opt_positive("limit", 1..=i64::from(RUN_ITEMS_LIMIT_MAX))?;
        Ok(RunItemsParams {
            task_id: params.task_id()?,
            step: params.opt_text("step")?,
            key: params.opt_text("key")?,
            state: params.opt_word("state")?,
            results: params.flag("results", false)?,
            limit: limit.map(|n| n as u32),
            cursor: params.opt_text("cursor")?,
        })
    }
}
