//! `pause`: nothing more is leased from a queue, or from all; what runs goes on.
//!
//! ```text
//! {"id":1,"method":"pause","params":{"queue":"docs"}}
//! {"id":1,"result":{"ok":true,"paused":["docs"]},"error":null}
//! ```

use super::Verb;
use crate::error::Error;
use crate::limits::Limits;
use crate::method::Method;
use crate::params::Params;
use serde::{Deserialize, Serialize};

/// Stands for all queues.
pub const ALL: &str = "*";

/// Which queue.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PauseParams {
    /// The queue; none or `*`: all of them, those to come included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
}

/// What is paused now.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PauseAnswer {
    /// Always true.
    pub ok: bool,
    /// The paused queues; `*` stands for all.
    pub paused: Vec<String>,
}

impl Verb for PauseParams {
    const METHOD: Method = Method::Pause;
    type Answer = PauseAnswer;

    fn read(params: &Params<'_>, limits: &Limits) -> Result<PauseParams, Error> {
        Ok(PauseParams {
            queue: params
                .opt_name("queue", limits)?
                .filter(|queue| queue != super::pause::ALL),
        })
    }
}
