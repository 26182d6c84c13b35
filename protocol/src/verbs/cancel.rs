//! `cancel`: ends an unfinished task, or those of a group, as `cancelled` and notifies the holders of their leases.
//!
//! ```text
//! {"id":1,"method":"cancel","params":{"task_id":42,"reason":"not needed any more"}}
//! {"id":1,"result":{"ok":true},"error":null}
//! ```

use super::GROUP_TIME;
use crate::limits::REASON_BYTES;
use crate::{Error, Limits, Method, Params, Target, Verb};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Which tasks to cancel. Of a group, tasks that have ended are skipped.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct CancelParams {
    /// The task, or the group.
    #[serde(flatten)]
    #[cfg_attr(feature = "schema", schema(value_type = crate::schema::TargetSchema))]
    pub target: Target,
    /// The person or program that cancels, for the record. `None`: the session's id, if the connection has one.
    pub by: Option<String>,
    /// The reason, for people; at most 64 KiB.
    pub reason: Option<String>,
}

/// The tasks are cancelled.
#[serde_with::skip_serializing_none]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct CancelAnswer {
    /// Always true; a refusal is an error.
    pub ok: bool,
    /// The number of tasks of the group that were cancelled. `None` for a single task.
    pub cancelled: Option<u64>,
}

impl Verb for CancelParams {
    const METHOD: Method = Method::Cancel;
    type Answer = CancelAnswer;

    fn read(params: &Params<'_>, limits: &Limits) -> Result<CancelParams, Error> {
        Ok(CancelParams {
            target: Target::read(params, limits)?,
            by: params.opt_name("by", limits)?,
            reason: params.opt_text_within("reason", REASON_BYTES)?,
        })
    }

    fn parked(&self) -> Duration {
        match self.target {
            Target::Task(_) => Duration::ZERO,
            Target::Group(_) => GROUP_TIME,
        }
    }
}
