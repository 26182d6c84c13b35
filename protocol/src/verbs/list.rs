//! `list`: lists tasks, newest first, in pages, with the counters.
//!
//! ```text
//! {"id":1,"method":"list","params":{"status":"failed","limit":2,"before":100}}
//! {"id":1,"result":{"tasks":[{"task_id":97,...},{"task_id":91,...}],"stats":{...},"next":91},"error":null}
//! ```

use crate::{Error, Group, IdRange, Limits, Method, Params, Stats, Status, Task, TaskId, Verb};
use serde::{Deserialize, Serialize, Serializer};

/// The default of `limit`: tasks per page.
pub const LIST_LIMIT: u32 = 50;

/// The status of the tasks to list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ListStatus {
    /// Every status.
    #[default]
    Any,
    /// This status.
    Is(Status),
    /// A text that is not a status: no task is listed.
    Unknown,
}

impl Serialize for ListStatus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            ListStatus::Any => serializer.serialize_none(),
            ListStatus::Is(status) => status.serialize(serializer),
            ListStatus::Unknown => serializer.serialize_str("unknown"),
        }
    }
}

/// The tasks to list.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ListParams {
    /// Only tasks in this state.
    #[cfg_attr(feature = "schema", schema(value_type = String, required = false))]
    pub status: ListStatus,
    /// The most tasks. `None` means no limit.
    #[serde(serialize_with = "zero_for_all")]
    #[serialize_always]
    pub limit: Option<u32>,
    /// Only tasks of this queue.
    pub queue: Option<String>,
    /// Only tasks of this type.
    #[serde(rename = "type")]
    pub task_type: Option<String>,
    /// Only children of this task.
    #[cfg_attr(feature = "schema", schema(value_type = Option<i64>))]
    pub parent_id: Option<TaskId>,
    /// Only tasks with a smaller id: `next` of the previous answer.
    #[cfg_attr(feature = "schema", schema(value_type = Option<i64>))]
    pub before: Option<TaskId>,
    /// Only tasks with all of these labels.
    #[serde(rename = "label", skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schema(required = false))]
    pub labels: Vec<String>,
    /// Only ids in one of these ranges. Empty means any id.
    #[serde(rename = "ids", skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schema(value_type = Vec<String>, required = false))]
    pub ranges: Vec<IdRange>,
    /// The most bytes of each text; 0 means whole texts. `None` means `Limits::preview_bytes`.
    pub preview_bytes: Option<u32>,
}

impl Default for ListParams {
    fn default() -> ListParams {
        ListParams {
            status: ListStatus::Any,
            limit: Some(LIST_LIMIT),
            queue: None,
            task_type: None,
            parent_id: None,
            before: None,
            labels: Vec::new(),
            ranges: Vec::new(),
            preview_bytes: None,
        }
    }
}

/// Accepts any case and blanks around the name, as in `ack`.
fn read_status(params: &Params<'_>) -> Result<ListStatus, Error> {
    let word = params.opt_text("status")?.unwrap_or_default();
    Ok(match word.trim().to_ascii_lowercase().as_str() {
        "" => ListStatus::Any,
        word => Status::from_name(word).map_or(ListStatus::Unknown, ListStatus::Is),
    })
}

fn zero_for_all<S: Serializer>(limit: &Option<u32>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u32(limit.unwrap_or(0))
}

/// A page of tasks.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = TaskList))]
pub struct ListAnswer {
    /// Newest id first.
    pub tasks: Vec<Task>,
    /// The counters.
    pub stats: Stats,
    /// `before` of the next page. `None` means that this is the last page.
    #[cfg_attr(feature = "schema", schema(value_type = Option<i64>))]
    pub next: Option<TaskId>,
}

impl Verb for ListParams {
    const METHOD: Method = Method::List;
    type Answer = ListAnswer;

    /// A `limit` of null means 50, of 0 or less no limit. `cursor` is another name of `before`.
    fn read(params: &Params<'_>, limits: &Limits) -> Result<ListParams, Error> {
        let limit = match params.raw("limit") {
            None | Some("\"\"") => Some(LIST_LIMIT),
            Some(_) => params
                .opt_int("limit", i64::MIN..=i64::MAX)?
                .filter(|n| *n > 0)
                .and_then(|n| u32::try_from(n).ok()),
        };
        let before = match params.opt_int("before", 1..=i64::MAX)? {
            None => params.opt_int("cursor", 1..=i64::MAX)?,
            given => given,
        };
        let group = Group::read(params, limits)?;
        Ok(ListParams {
            status: read_status(params)?,
            limit,
            queue: group.queue,
            task_type: params.opt_name("type", limits)?,
            parent_id: group.parent_id,
            before,
            labels: group.labels,
            ranges: group.ranges,
            preview_bytes: params
                .opt_int("preview_bytes", 0..=i64::from(u32::MAX))?
                .and_then(|bytes| u32::try_from(bytes).ok()),
        })
    }
}
