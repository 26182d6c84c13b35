//! `reject`: a `human` task, or one that waits for approval, fails; with `approval_id`: an agent may not use a tool, and hears
//! the reason.
//!
//! ```text
//! {"id":1,"method":"reject","params":{"task_id":42,"by":"ada","reason":"too risky"}}
//! {"id":1,"result":{"ok":true},"error":null}
//! ```

use super::Verb;
use crate::approval::{Decision, Subject, read_question, read_subject};
use crate::error::Error;
use crate::limits::Limits;
use crate::method::Method;
use crate::params::Params;
use crate::task::Fence;
use serde::Serialize;

/// What to reject.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct RejectParams {
    /// The task, or the tool question.
    #[serde(flatten)]
    pub subject: Subject,
    /// Of a task: the `fence` of the question that is meant; see [`ApproveParams`](super::approve::ApproveParams).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fence: Option<Fence>,
    /// Who decided, for the record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Verb for RejectParams {
    const METHOD: Method = Method::Reject;
    type Answer = Decision;

    fn read(params: &Params<'_>, limits: &Limits) -> Result<RejectParams, Error> {
        let subject = read_subject(params)?;
        Ok(RejectParams {
            subject,
            fence: read_question(params, subject)?,
            by: params.opt_name("by", limits)?,
            reason: params.opt_text_within("reason", super::REASON_BYTES)?,
        })
    }
}
