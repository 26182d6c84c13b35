//! `approvals`: lists what waits for a person. Permission requests come first because they block an agent, then tasks that need
//! approval to run, then `human` tasks; of each kind the oldest first. With a `state` other than `open` it lists past permission
//! requests, newest first.
//!
//! ```text
//! {"id":1,"method":"approvals","params":{"limit":2}}
//! {"id":1,"result":{"approvals":[{"what":"tool","approval_id":17,"task_id":42,"fence":1,"state":"open","title":"git push","tool":"shell",...},{"what":"run",...}],"next":"r43"},"error":null}
//! ```

use crate::{Approval, Error, Limits, Method, Params, PermissionId, PermissionState, TaskId, Verb};
use serde::{Deserialize, Serialize, Serializer};

/// The default of `limit`: entries per page.
pub const APPROVALS_LIMIT: u32 = 100;
/// The greatest `limit`.
pub const APPROVALS_LIMIT_MAX: u32 = 1000;

/// The states to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhichState {
    /// Every state, of permission requests only.
    Any,
    /// This state.
    Is(PermissionState),
}

impl Default for WhichState {
    fn default() -> WhichState {
        WhichState::Is(PermissionState::Open)
    }
}

impl WhichState {
    /// Reads `any` or a state's name on the wire.
    pub fn from_name(word: &str) -> Option<WhichState> {
        match word {
            "any" => Some(WhichState::Any),
            word => PermissionState::from_name(word).map(WhichState::Is),
        }
    }
}

impl Serialize for WhichState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            WhichState::Any => serializer.serialize_str("any"),
            WhichState::Is(state) => state.serialize(serializer),
        }
    }
}

/// The position of a page: after this entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cursor {
    /// After this permission request.
    Tool(i64),
    /// After this task, which needs approval to run.
    Run(TaskId),
    /// After this `human` task.
    Human(TaskId),
}

impl Cursor {
    /// Reads the text that [`Display`](std::fmt::Display) writes. `None` for any other text.
    pub fn from_text(text: &str) -> Option<Cursor> {
        let number = |rest: &str| rest.parse().ok().filter(|id| *id >= 0);
        match text.split_at_checked(1)? {
            ("a", rest) => number(rest).map(Cursor::Tool),
            ("r", rest) => number(rest).map(Cursor::Run),
            ("h", rest) => number(rest).map(Cursor::Human),
            _ => None,
        }
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Cursor::Tool(id) => write!(f, "a{id}"),
            Cursor::Run(id) => write!(f, "r{id}"),
            Cursor::Human(id) => write!(f, "h{id}"),
        }
    }
}

impl Serialize for Cursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The page to list.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ApprovalsParams {
    /// The states.
    #[cfg_attr(feature = "schema", schema(value_type = String, required = false))]
    pub state: WhichState,
    /// Only of this task.
    #[cfg_attr(feature = "schema", schema(value_type = Option<i64>))]
    pub task_id: Option<TaskId>,
    /// The most entries, 1 to [`APPROVALS_LIMIT_MAX`]. `None` means [`APPROVALS_LIMIT`].
    #[cfg_attr(feature = "schema", schema(minimum = 1, maximum = 1000))]
    pub limit: Option<u32>,
    /// `next` of the previous answer. `None` means the first page.
    #[cfg_attr(feature = "schema", schema(value_type = Option<String>))]
    pub cursor: Option<Cursor>,
}

/// A page of the inbox.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = Approvals))]
pub struct ApprovalsAnswer {
    /// The entries. A page with long arguments has fewer than `limit`.
    pub approvals: Vec<Approval>,
    /// `cursor` of the next page. `None` means that this is the last page.
    pub next: Option<String>,
}

impl ApprovalsParams {
    /// The page of which [`ApprovalsAnswer::only`] takes this permission request, in any state.
    pub fn only(id: PermissionId) -> ApprovalsParams {
        ApprovalsParams {
            state: WhichState::Any,
            limit: Some(1),
            // The list of all states goes back from its cursor.
            cursor: id.checked_add(1).map(Cursor::Tool),
            ..ApprovalsParams::default()
        }
    }
}

impl ApprovalsAnswer {
    /// The entry of this permission request. `None` if the page does not have it.
    pub fn only(self, id: PermissionId) -> Option<Approval> {
        let mut entries = self.approvals.into_iter();
        entries.find(|entry| entry.approval_id == Some(id))
    }
}

impl Verb for ApprovalsParams {
    const METHOD: Method = Method::Approvals;
    type Answer = ApprovalsAnswer;

    fn read(params: &Params<'_>, _limits: &Limits) -> Result<ApprovalsParams, Error> {
        let state = match params.opt_text("state")?.as_deref() {
            None | Some("") => WhichState::default(),
            Some(word) => WhichState::from_name(word).ok_or_else(|| {
                params.refuse("state", "open, approved, rejected, void, expired or any")
            })?,
        };
        let cursor = match params.opt_text("cursor")?.as_deref() {
            None | Some("") => None,
            Some(text) => Some(
                Cursor::from_text(text)
                    .ok_or_else(|| params.refuse("cursor", "the `next` of an earlier answer"))?,
            ),
        };
        let limit = params.opt_positive("limit", 1..=i64::from(APPROVALS_LIMIT_MAX))?;
        Ok(ApprovalsParams {
            state,
            task_id: params.opt_int("task_id", i64::MIN..=i64::MAX)?,
            limit: limit.map(|n| n as u32),
            cursor,
        })
    }
}
