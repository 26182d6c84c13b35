//! `reject`: fails a `human` task or one that needs approval, or, with `approval_id`, rejects a permission request; the agent
//! gets the reason.
//!
//! ```text
//! {"id":1,"method":"reject","params":{"task_id":42,"by":"ada","reason":"too risky"}}
//! {"id":1,"result":{"ok":true},"error":null}
//! ```

use crate::approval::{read_question, read_subject};
use crate::limits::REASON_BYTES;
use crate::{DecisionAnswer, Error, Fence, Limits, Method, Params, Subject, Verb};
use serde::Serialize;

/// The subject of the rejection.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RejectParams {
    /// The task, or the permission request.
    #[serde(flatten)]
    #[cfg_attr(feature = "schema", schema(value_type = crate::schema::SubjectSchema))]
    pub subject: Subject,
    /// Of a task: its `fence` at the time of the question; see [`ApproveParams`](super::approve::ApproveParams).
    #[cfg_attr(feature = "schema", schema(value_type = Option<i64>))]
    pub fence: Option<Fence>,
    /// The person, for the record.
    pub by: Option<String>,
    /// The reason; at most 64 KiB.
    pub reason: Option<String>,
}

impl Verb for RejectParams {
    const METHOD: Method = Method::Reject;
    type Answer = DecisionAnswer;

    fn read(params: &Params<'_>, limits: &Limits) -> Result<RejectParams, Error> {
        let subject = read_subject(params)?;
        Ok(RejectParams {
            subject,
            fence: read_question(params, subject)?,
            by: params.opt_name("by", limits)?,
            reason: params.opt_text_within("reason", REASON_BYTES)?,
        })
    }
}
