//! The opened run on screen 7.

use super::cursor::ListCursor;
use kirosu_protocol::{RunAnswer, TaskId};

/// The opened run on screen 7.
#[derive(Clone, Debug, Default)]
pub struct RunPane {
    /// Its number.
    pub id: TaskId,
    /// The hub's answer; `None` until it is known.
    pub answer: Option<Box<RunAnswer>>,
    /// The reason why the hub does not return the run.
    pub failure: Option<String>,
    /// The chosen step.
    pub cursor: ListCursor,
}

impl RunPane {
    /// A run of which only the number is known.
    pub fn new(id: TaskId) -> RunPane {
        RunPane {
            id,
            ..RunPane::default()
        }
    }
}
