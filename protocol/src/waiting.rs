//! The reason why a task waits.

use crate::TaskId;
use serde::{Deserialize, Serialize};

/// The reason why a task waits, in the answers of `get`, `list` and `wait`. The hub determines it for each answer.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Waiting {
    /// The reason.
    pub reason: WaitReason,
    /// The reason as a sentence for a person, with the command that resolves it, if any. It may change between versions.
    pub message: String,
    /// Unix seconds at which the reason ends by itself, if known.
    pub until: Option<f64>,
    /// The task that must end first.
    #[cfg_attr(feature = "schema", schema(value_type = Option<i64>))]
    pub task_id: Option<TaskId>,
    /// The pool that serves the task's queue and cannot run it now.
    pub pool: Option<String>,
}

/// The reasons why a task waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum WaitReason {
    /// A task that it depends on has not ended.
    Dependency,
    /// Its `run_at` is in the future.
    NotBefore,
    /// The pause before its next attempt is not over.
    Retry,
    /// It needs a person's `approve` or `reject`.
    Approval,
    /// It is a `human` task and needs a person's answer.
    Answer,
    /// The hub drains.
    Draining,
    /// Its queue, or every queue, is paused.
    Paused,
    /// No pool serves its queue and type, and no such task is leased.
    NoWorker,
    /// The pool has no agents: its size is 0.
    NoAgents,
    /// The provider's program, or the directory of its runs, is missing.
    Missing,
    /// A person has to log in to the provider.
    AuthRequired,
    /// The provider's account is over its limit.
    RateLimited,
    /// The provider is not reachable.
    Network,
    /// A budget is used up.
    BudgetExhausted,
    /// The machine lacks memory, disk space or other resources that a run needs to start.
    Short,
    /// Runs fail immediately after their start.
    Failing,
    /// The pool, or the hub of a `python` task, has not opted in to the execution of code.
    NotTrusted,
    /// The pool's sessions crashed repeatedly; they are started again after a pause.
    GaveUp,
    /// Every agent that could run it is busy.
    Busy,
    /// The next free agent takes it.
    Next,
    /// A reason that this version does not know.
    #[serde(other)]
    Other,
}

impl WaitReason {
    /// The reason for a pool's state. `None` for `running`, in which the pool takes tasks.
    pub fn of_pool(state: &str) -> Option<WaitReason> {
        Some(match state {
            "running" => return None,
            "draining" => WaitReason::Draining,
            "missing" => WaitReason::Missing,
            "auth_required" => WaitReason::AuthRequired,
            "rate_limited" => WaitReason::RateLimited,
            "network" => WaitReason::Network,
            "budget_exhausted" => WaitReason::BudgetExhausted,
            "short" => WaitReason::Short,
            "failing" => WaitReason::Failing,
            "not_trusted" => WaitReason::NotTrusted,
            "gave_up" => WaitReason::GaveUp,
            _ => WaitReason::Other,
        })
    }
}
