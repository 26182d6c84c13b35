//! `tree`: returns the current supervision tree.
//!
//! ```text
//! {"id":1,"method":"tree"}
//! {"id":1,"result":{"tree":{"name":"root","state":"running","children":[{"name":"writer",...}]}},"error":null}
//! ```

use serde::{Deserialize, Serialize};

/// A supervisor or a supervised actor.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TreeNode {
    /// The name, unique among its siblings.
    pub name: String,
    /// `starting`, `running`, `backing_off`, `stopping`, `stopped` or `gave_up`.
    pub state: String,
    /// `supervisor`, or the kind of actor.
    #[serde(default)]
    pub kind: String,
    /// The number of restarts since the first start.
    #[serde(default)]
    pub restarts: u64,
    /// The reason of the last exit, as a sentence.
    pub last_exit: Option<String>,
    /// Seconds until the next start, in the state `backing_off`.
    pub next_restart_in: Option<f64>,
    /// The number of messages in the mailbox, if known.
    pub mailbox: Option<u64>,
    /// The number of handled messages, if known.
    pub handled: Option<u64>,
    /// Seconds since the last start.
    pub uptime: Option<f64>,
    /// The children, in the order of their start.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schema(no_recursion))]
    pub children: Vec<TreeNode>,
}

/// The tree from its root.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TreeAnswer {
    /// The root.
    pub tree: TreeNode,
}

no_params!(TreeParams, Tree -> TreeAnswer);
