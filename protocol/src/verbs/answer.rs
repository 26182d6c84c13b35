//! `answer`: answers a `human` task. The answer becomes its result.
//!
//! ```text
//! {"id":1,"method":"answer","params":{"task_id":42,"text":"the second","by":"ada"}}
//! {"id":1,"result":{"ok":true},"error":null}
//! ```

use crate::{Error, Limits, Method, Params, TaskId, Verb};
use serde::Serialize;

/// The task and the answer.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AnswerParams {
    /// The task, of type `human`.
    #[cfg_attr(feature = "schema", schema(value_type = i64))]
    pub task_id: TaskId,
    /// The answer: not blank, at most `Limits::prompt_bytes` bytes.
    pub text: String,
    /// The person, for the record.
    pub by: Option<String>,
}

impl Verb for AnswerParams {
    const METHOD: Method = Method::Answer;
    type Answer = super::Done;

    ///
    /// # Errors
    /// `invalid_params` for a missing or blank text, `too_large` for one beyond `Limits::prompt_bytes`.
    fn read(params: &Params<'_>, limits: &Limits) -> Result<AnswerParams, Error> {
        let text = params.opt_text_within("text", limits.prompt_bytes)?;
        let text = text.filter(|text| !text.trim().is_empty());
        Ok(AnswerParams {
            task_id: params.task_id()?,
            text: text.ok_or_else(|| params.refuse("text", "a string with the answer in it"))?,
            by: params.opt_name("by", limits)?,
        })
    }
}
