//! `approve`: completes a `human` task, lets a task that needs approval run, lets the tasks of a run of a plan go on that wait for its
//! budget, or, with `approval_id`, approves a permission request.
//!
//! ```text
//! {"id":1,"method":"approve","params":{"task_id":42,"by":"ada","comment":"go ahead"}}
//! {"id":1,"result":{"ok":true},"error":null}
//! ```

use crate::approval::{read_question, read_subject};
use crate::limits::REASON_BYTES;
use crate::{
    Budget, DecisionAnswer, Error, Fence, Limits, Method, OPTION_BYTES, Params, Subject, Verb,
};
use serde::Serialize;

/// The subject of the approval.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ApproveParams {
    /// The task, or the permission request.
    #[serde(flatten)]
    #[cfg_attr(feature = "schema", schema(value_type = crate::schema::SubjectSchema))]
    pub subject: Subject,
    /// Of a task: its `fence` at the time of the question. `None` means the current question; it is refused as `stale_approval` if
    /// the same person has approved an earlier question of the task with the same comment.
    #[cfg_attr(feature = "schema", schema(value_type = Option<i64>))]
    pub fence: Option<Fence>,
    /// The person, for the record.
    pub by: Option<String>,
    /// The person's comment, for the record; at most 64 KiB.
    pub comment: Option<String>,
    /// Of a task with a budget, or of a run of a plan: the amount by which its budget is raised. `None` means its first limit, if it is
    /// used up.
    pub raise: Option<Budget>,
    /// The id or the name of the chosen option. Required for a permission request that has options.
    pub option: Option<String>,
}

impl Verb for ApproveParams {
    const METHOD: Method = Method::Approve;
    type Answer = DecisionAnswer;

    fn read(params: &Params<'_>, limits: &Limits) -> Result<ApproveParams, Error> {
        let subject = read_subject(params)?;
        let option = params
            .opt_text_within("option", OPTION_BYTES)?
            .filter(|it| !it.is_empty());
        if option.is_some() && matches!(subject, Subject::Task(_)) {
            return Err(params.refuse(
                "option",
                "given with approval_id only: tasks have no options",
            ));
        }
        Ok(ApproveParams {
            subject,
            fence: read_question(params, subject)?,
            by: params.opt_name("by", limits)?,
            comment: params.opt_text_within("comment", REASON_BYTES)?,
            raise: Budget::read(params, "raise")?.filter(|raise| !raise.is_empty()),
            option,
        })
    }
}
