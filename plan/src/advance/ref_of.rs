//! Where the result of a step is.

use serde::{Deserialize, Serialize};

/// Where the result of a step is: results of tasks stay in their rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResultRef {
    /// The result of the task of the item at this position of the step itself.
    Item(u64),
    /// The results of all items of the step that are done.
    Items,
    /// The result of another step, by its path.
    Step(String),
    /// The results of all items of another step, joined in a form: `jsonl`, `json` or `concat`.
    Joined {
        /// The path of that step.
        of: String,
        /// The form.
        into: String,
    },
}
