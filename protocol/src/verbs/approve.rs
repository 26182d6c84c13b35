//! `approve`: answers a `human` task, lets a task that waits for approval run, or (with `approval_id`) lets an agent use
//! a tool, once.
//!
//! ```text
//! {"id":1,"method":"approve","params":{"task_id":42,"by":"ada","comment":"go ahead"}}
//! {"id":1,"result":{"ok":true},"error":null}
//! ```

use super::Verb;
use super::ask::OPTION_BYTES;
use crate::approval::{Decision, Subject, read_question, read_subject};
use crate::error::Error;
use crate::limits::Limits;
use crate::method::Method;
use crate::params::Params;
use crate::task::Fence;
use serde::Serialize;

/// What to approve.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ApproveParams {
    /// The task, or the tool question.
    #[serde(flatten)]
    pub subject: Subject,
    /// Of a task: the `fence` of the question that is meant. `None`: the present question, unless the same was said about
    /// an earlier one before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fence: Option<Fence>,
    /// Who decided, for the record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// What was said with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// The option that is chosen, by its id or name: for tool questions that offer several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub option: Option<String>,
}

impl Verb for ApproveParams {
    const METHOD: Method = Method::Approve;
    type Answer = Decision;

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
            comment: params.opt_text_within("comment", super::REASON_BYTES)?,
            option,
        })
    }
}
