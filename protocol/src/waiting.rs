//! Why a task waits.

use crate::task::TaskId;
use serde::{Deserialize, Serialize};

/// Why a task waits, as `get`, `list` and `wait` answer it. It is worked out when it is asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Waiting {
    /// The reason, as one word.
    pub reason: WaitReason,
    /// The reason as a sentence for a person, with the command that helps, where there is one. It may change.
    pub message: String,
    /// Unix seconds at which this reason ends by itself, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<f64>,
    /// The task that it waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_id: Option<TaskId>,
    /// The pool that serves its queue and cannot run it now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
}

/// The words for why a task waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitReason {
    /// For a task that it depends on.
    Dependency,
    /// For its time, `run_at`.
    NotBefore,
    /// For the pause before its next attempt.
    Retry,
    /// For a person's `approve` or `reject`.
    Approval,
    /// For a person's answer: a `human` task.
    Answer,
    /// The hub drains.
    Draining,
    /// Its queue is paused, or all are.
    Paused,
    /// No pool serves its queue and type, and no worker runs such a task.
    NoWorker,
    /// The pool has no agents: its size is 0.
    NoAgents,
    /// The provider's program, or the folder of its runs, is missing.
    Missing,
    /// A person has to log in to the provider.
    AuthRequired,
    /// The provider's account is over its limit.
    RateLimited,
    /// The provider cannot be reached.
    Network,
    /// A budget is used up.
    BudgetExhausted,
    /// The machine lacks what runs need to start.
    Short,
    /// Runs fail at once.
    Failing,
    /// The pool has not opted in to what its provider does.
    NotTrusted,
    /// The pool's sessions crash, and start again after a pause.
    GaveUp,
    /// All that could run it are busy.
    Busy,
    /// Nothing is in its way: the next free agent takes it.
    Next,
    /// A reason that this version does not know.
    #[serde(other)]
    Other,
}

impl WaitReason {
    /// The reason that a pool's state stands for; none for a state in which it takes tasks.
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
