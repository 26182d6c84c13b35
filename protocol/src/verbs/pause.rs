//! `pause`: stops leasing from a queue, or from all. Runs go on.
//!
//! ```text
//! {"id":1,"method":"pause","params":{"queue":"docs"}}
//! {"id":1,"result":{"ok":true,"paused":["docs"]},"error":null}
//! ```

use crate::{Error, Limits, Method, Params, Verb};
use serde::{Deserialize, Serialize};

/// The name that means all queues.
pub const ALL_QUEUES: &str = "*";

/// The queue to pause.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PauseParams {
    /// The queue. `None`, or `*` on the wire, means all queues, also new ones.
    pub queue: Option<String>,
}

/// The paused queues.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PauseAnswer {
    /// Always true.
    pub ok: bool,
    /// The names of the paused queues; `*` means all.
    pub paused: Vec<String>,
}

impl Verb for PauseParams {
    const METHOD: Method = Method::Pause;
    type Answer = PauseAnswer;

    fn read(params: &Params<'_>, limits: &Limits) -> Result<PauseParams, Error> {
        Ok(PauseParams {
            queue: params
                .opt_name("queue", limits)?
                .filter(|queue| queue != ALL_QUEUES),
        })
    }
}
