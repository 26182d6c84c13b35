//! `tree`: the supervision tree, live.
//!
//! ```text
//! {"id":1,"method":"tree"}
//! {"id":1,"result":{"tree":{"name":"root","state":"running","children":[{"name":"writer",...}]}},"error":null}
//! ```

use serde::{Deserialize, Serialize};

/// One supervised actor or supervisor.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TreeNode {
    /// Its name among its siblings.
    pub name: String,
    /// `starting`, `running`, `backing_off`, `stopping`, `exited`, `gave_up`.
    pub state: String,
    /// `supervisor` or `worker`.
    #[serde(default)]
    pub kind: String,
    /// Restarts since it was started first.
    #[serde(default)]
    pub restarts: u64,
    /// How it ended last, in words.
    #[serde(default)]
    pub last_exit: Option<String>,
    /// Seconds until it is started again, while it backs off.
    #[serde(default)]
    pub next_restart_in: Option<f64>,
    /// Messages waiting, where it is known.
    #[serde(default)]
    pub mailbox: Option<u64>,
    /// Messages handled, where it is known.
    #[serde(default)]
    pub handled: Option<u64>,
    /// Seconds since its last start.
    #[serde(default)]
    pub uptime: Option<f64>,
    /// Those it supervises, in start order.
    #[serde(default)]
    pub children: Vec<TreeNode>,
}

/// The tree from its root.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TreeAnswer {
    /// The root.
    pub tree: TreeNode,
}

no_params!(TreeParams, Tree -> TreeAnswer);
