//! `cancel`: an unfinished task ends as `cancelled`; its holder is told at once.
//!
//! ```text
//! {"id":1,"method":"cancel","params":{"task_id":42,"reason":"not needed any more"}}
//! {"id":1,"result":{"ok":true},"error":null}
//! ```

use super::Verb;
use crate::error::Error;
use crate::group::Group;
use crate::limits::Limits;
use crate::method::Method;
use crate::params::Params;
use crate::task::TaskId;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The task to cancel.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct CancelParams {
    /// The task.
    pub task_id: TaskId,
    /// Who asks for it, for the record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Why, for people; at most 64 KiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl CancelParams {
    /// Reads the parameters.
    pub fn read(params: &Params<'_>, limits: &Limits) -> Result<CancelParams, Error> {
        Ok(CancelParams {
            task_id: params.task_id()?,
            by: params.opt_name("by", limits)?,
            reason: params.opt_text_within("reason", super::REASON_BYTES)?,
        })
    }
}

impl Verb for CancelParams {
    const METHOD: Method = Method::Cancel;
    type Answer = super::Ok;
}

/// The group to cancel: its tasks that have not ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct CancelGroupParams {
    /// Which tasks; not empty.
    #[serde(flatten)]
    pub group: Group,
    /// Who asks for it, for the record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Why, for people; at most 64 KiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl CancelGroupParams {
    /// Reads the parameters; none where they name a single task or no group.
    pub fn read(params: &Params<'_>, limits: &Limits) -> Result<Option<CancelGroupParams>, Error> {
        let Some(group) = Group::instead_of("task_id", params, limits)? else {
            return Ok(None);
        };
        Ok(Some(CancelGroupParams {
            group,
            by: params.opt_name("by", limits)?,
            reason: params.opt_text_within("reason", super::REASON_BYTES)?,
        }))
    }
}

/// How many tasks of the group were cancelled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelGroupAnswer {
    /// Always true.
    pub ok: bool,
    /// Tasks that had not ended.
    pub cancelled: u64,
}

impl Verb for CancelGroupParams {
    const METHOD: Method = Method::Cancel;
    type Answer = CancelGroupAnswer;

    fn parked(&self) -> Duration {
        super::GROUP_TIME
    }
}
