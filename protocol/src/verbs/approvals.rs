//! `approvals`: everything that waits for a person, as one list: tool questions of running agents first (they hold an agent
//! up), then tasks that ask whether they may run, then `human` tasks; the oldest of each first. With another `state`
//! than `open`: tool questions of the past, newest first.
//!
//! ```text
//! {"id":1,"method":"approvals","params":{"limit":2}}
//! {"id":1,"result":{"approvals":[{"what":"tool","approval_id":17,"task_id":42,"fence":1,"state":"open","title":"git push","tool":"shell",...},{"what":"run",...}],"next":"r43"},"error":null}
//! ```

use super::Verb;
use crate::approval::{Approval, PermissionState};
use crate::error::Error;
use crate::limits::Limits;
use crate::method::Method;
use crate::params::Params;
use crate::task::TaskId;
use serde::{Deserialize, Serialize, Serializer};

/// Entries of a page when the client does not say how many.
pub const DEFAULT_LIMIT: u32 = 100;
/// Most entries of a page.
pub const MAX_LIMIT: u32 = 1000;

/// Which state is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhichState {
    /// Every one, `open` included: tool questions only.
    Any,
    /// This one.
    Is(PermissionState),
}

impl Default for WhichState {
    fn default() -> WhichState {
        WhichState::Is(PermissionState::Open)
    }
}

impl WhichState {
    /// Reads `any` or a state.
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

/// Where a page begins: after this entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cursor {
    /// After this tool question.
    Tool(i64),
    /// After this task that asks whether it may run.
    Run(TaskId),
    /// After this `human` task.
    Human(TaskId),
}

impl Cursor {
    /// Reads what [`Display`](std::fmt::Display) wrote.
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

/// What is wanted.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ApprovalsParams {
    /// Of which state.
    pub state: WhichState,
    /// Only of this task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_id: Option<TaskId>,
    /// At most so many; 100 when none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Where to go on: the last answer's `next`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<Cursor>,
}

/// A page of the inbox.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ApprovalsAnswer {
    /// The entries. Where arguments are long, a page holds fewer than asked for.
    pub approvals: Vec<Approval>,
    /// `cursor` of the next page; none: this was the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
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
        let limit = params.opt_positive("limit", 1..=i64::from(MAX_LIMIT))?;
        Ok(ApprovalsParams {
            state,
            task_id: params.opt_int("task_id", i64::MIN..=i64::MAX)?,
            limit: limit.map(|n| n as u32),
            cursor,
        })
    }
}
