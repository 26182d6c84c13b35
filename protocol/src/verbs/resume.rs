//! `resume`: leases from a paused queue, or from all, again.
//!
//! ```text
//! {"id":1,"method":"resume","params":{"queue":"docs"}}
//! {"id":1,"result":{"ok":true,"paused":[]},"error":null}
//! ```

use crate::{ALL_QUEUES, Error, Limits, Method, Params, PauseAnswer, Verb};
use serde::Serialize;

/// The queue to resume.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ResumeParams {
    /// The queue. `None`, or `*` on the wire, means every queue.
    pub queue: Option<String>,
}

impl Verb for ResumeParams {
    const METHOD: Method = Method::Resume;
    type Answer = PauseAnswer;

    fn read(params: &Params<'_>, limits: &Limits) -> Result<ResumeParams, Error> {
        Ok(ResumeParams {
            queue: params
                .opt_name("queue", limits)?
                .filter(|queue| queue != ALL_QUEUES),
        })
    }
}
