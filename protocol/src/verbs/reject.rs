//! `reject`: a `human` task, or one that waits for approval, fails.
//!
//! ```text
//! {"id":1,"method":"reject","params":{"task_id":42,"by":"ada","reason":"too risky"}}
//! {"id":1,"result":{"ok":true},"error":null}
//! ```

use super::Verb;
use crate::error::Error;
use crate::limits::Limits;
use crate::method::Method;
use crate::params::Params;
use crate::task::TaskId;
use serde::Serialize;

/// The task to reject.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct RejectAsk {
    /// The task.
    pub task_id: TaskId,
    /// Who decided, for the record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl RejectAsk {
    /// Reads the parameters.
    pub fn read(params: &Params<'_>, limits: &Limits) -> Result<RejectAsk, Error> {
        Ok(RejectAsk {
            task_id: params.task_id()?,
            by: params.opt_name("by", limits)?,
            reason: params.opt_text_within("reason", super::REASON_BYTES)?,
        })
    }
}

impl Verb for RejectAsk {
    const METHOD: Method = Method::Reject;
    type Answer = super::Ok;
}
