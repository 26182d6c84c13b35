//! Types of settings that several crates share: `kirosu-config` reads them, other crates follow them. None of them is
//! part of the wire format.

use crate::Budget;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;
use strum::VariantNames;

/// Kinds of failure at which a router may move on to its next provider. The first four are the default.
pub const ROUTER_CLASSES: &[&str] = &[
    "rate_limited",
    "auth_required",
    "network",
    "missing",
    "provider_error",
    "timeout",
    "crashed",
];

/// The failure that an answered request survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, VariantNames)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum SyncMode {
    /// Power loss: each commit is synced to the disk before its requests are answered.
    #[default]
    Full,
    /// A crash of the process. A power loss may undo the last commits; the file stays consistent.
    Normal,
}

/// Clients on this machine that are served without a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, VariantNames)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Keyless {
    /// None.
    Off,
    /// Those of the hub's own user, with the methods of the Python version.
    #[default]
    Owner,
    /// Those of every user of this machine, with the methods of the Python version.
    AnyLocalUser,
    /// Those of the hub's own user, with every method.
    All,
}

/// The tasks that a run may add to its own task, with its token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChildRules {
    /// The most levels of children below a task that no other task has added. 0: runs add none.
    pub depth: u32,
    /// The most children of one task.
    pub per_task: u32,
    /// The most tasks below the topmost one.
    pub per_tree: u32,
    /// The budget of a tree that has none, from the first child that a run adds.
    pub budget: Budget,
    /// Their queues. Empty: any.
    pub queues: Vec<String>,
    /// Their types. Empty: any but `python`.
    pub types: Vec<String>,
}

impl Default for ChildRules {
    fn default() -> ChildRules {
        ChildRules {
            depth: 3,
            per_task: 100,
            per_tree: 1000,
            budget: Budget {
                tokens: Some(50_000_000),
                micros: None,
            },
            queues: Vec::new(),
            types: Vec::new(),
        }
    }
}

/// The folder in which a task runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, VariantNames)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum WorkspaceMode {
    /// All sessions of the pool share one folder: the pool's `workdir`, by default the working directory of the
    /// process. A task may name a folder inside it.
    #[default]
    Shared,
    /// One private folder per session, kept from task to task: `PARENT/POOL/session-N`.
    Isolated,
    /// One private folder per task: `PARENT/POOL/task-ID-NUMBER`. It is removed once the hub has confirmed the result,
    /// and kept when the run failed.
    Ephemeral,
    /// One git worktree per task, on the branch `kirosu/task-ID` of the repository that contains the pool's `workdir`:
    /// `WORKSPACES_DIR/POOL/task-ID`. It is kept until a person applies or discards it.
    Worktree,
}

/// Actions that an agent program may take without asking a person.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, VariantNames)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum TrustLevel {
    /// Read, and nothing that needs a person's permission.
    #[default]
    Safe,
    /// Also change files in its folder.
    Edit,
    /// Everything that its user account may do.
    All,
}

/// Programs that the operator runs around each run of a pool, in the folder of the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookOptions {
    /// Program and arguments before the run. If the program fails, the run does not start. Empty means no program.
    pub before: Vec<String>,
    /// Program and arguments after the run, however it ended. Empty means no program.
    pub after: Vec<String>,
    /// Time limit of each program. Default: 60 s.
    pub timeout: Duration,
    /// Whether a run fails when its `after` program fails.
    pub after_must_succeed: bool,
}

impl Default for HookOptions {
    fn default() -> HookOptions {
        HookOptions {
            before: Vec::new(),
            after: Vec::new(),
            timeout: Duration::from_secs(60),
            after_must_succeed: false,
        }
    }
}

/// Limits of a provider account. `None` means no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccountLimits {
    /// Concurrent runs, at least 1.
    pub concurrency: Option<u32>,
    /// Runs started within any 60 seconds, at least 1.
    pub requests_per_minute: Option<u32>,
    /// Tokens per minute, at least 1. Tokens are counted when a run has ended, so an excess delays later runs.
    pub tokens_per_minute: Option<u64>,
}

/// Effect of a permission rule on the tool calls that it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, VariantNames)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum RuleAction {
    /// The call runs.
    Allow,
    /// The call does not run.
    Deny,
    /// A person decides; later rules are not tried.
    Ask,
}

/// Regular expressions for the arguments of a tool call, as written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ArgsText {
    /// One expression for all arguments, as JSON with sorted keys and without blanks.
    All(String),
    /// One expression per JSON pointer. A value that is not a string is matched as JSON.
    Each(BTreeMap<String, String>),
}

/// A permission rule as written (`[[approval.rule]]`). A field that is `None` matches every call.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleText {
    /// Unique name, recorded with each decision of the rule.
    pub name: String,
    /// Effect on the calls that it matches.
    pub action: RuleAction,
    /// Glob for the name of the tool.
    pub tool: Option<String>,
    /// Glob for the kind of the tool call.
    pub kind: Option<String>,
    /// Glob for the name of the pool.
    pub pool: Option<String>,
    /// Patterns for the arguments.
    pub args: Option<ArgsText>,
}
