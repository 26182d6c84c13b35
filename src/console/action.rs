//! Actions of a person, and what the dashboard asks before it sends one: a confirmation, a text, or one of several options.

use super::cursor::ListCursor;
use kirosu_protocol::approval::PermissionOption;
use kirosu_protocol::{PermissionId, Subject, TaskId};

/// An action of a person, as it is sent to the hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HubAction {
    /// Lets a task or tool call run, or answers a `human` task with yes. A permission request with options needs one of them,
    /// by its id.
    Approve(Subject, Option<String>),
    /// Lets a task fail, or refuses a tool call, with a reason.
    Reject(Subject, Option<String>),
    /// Answers a `human` task with a text.
    Answer(TaskId, String),
    /// Stops a task.
    Cancel(TaskId),
    /// Enqueues a task again.
    Retry(TaskId),
    /// Steers a run of a plan.
    Run(RunAction, TaskId),
    /// Changes or fires the schedule with this name.
    Schedule(ScheduleAction, String),
    /// Changes the pool with this name, or its queues.
    Pool(PoolAction, String),
    /// Lets the next task of a parked account, or of the accounts of a pool, test whether it works again.
    Probe(String),
}

/// An action of a person on a run of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunAction {
    /// Starts no further task.
    Pause,
    /// Lets it go on, also after it has waited for a decision.
    Resume,
    /// Raises its budget, for which it waits, by its first limit.
    Raise,
    /// Repeats what failed.
    Retry,
    /// Ends it and its tasks.
    Cancel,
}

/// An action of a person on a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScheduleAction {
    /// Adds no further task.
    Pause,
    /// Lets it go on; times of the pause are left out.
    Resume,
    /// Adds its task now.
    Fire,
    /// Removes it; its tasks stay.
    Remove,
}

/// An action of a person on a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PoolAction {
    /// Sets the number of agents.
    Resize(u32),
    /// Stops leasing from these queues.
    Pause(Vec<String>),
    /// Leases from these queues again.
    Resume(Vec<String>),
}

impl HubAction {
    /// The subject of a decision; `None` for other actions.
    pub fn decides(&self) -> Option<Subject> {
        match self {
            HubAction::Approve(subject, _) | HubAction::Reject(subject, _) => Some(*subject),
            _ => None,
        }
    }
}

/// An action that waits for `y` or `n`.
#[derive(Clone, Debug, PartialEq)]
pub struct PendingConfirm {
    /// The action.
    pub action: HubAction,
    /// Description of the subject.
    pub about: String,
}

/// The use of a text that is being typed.
#[derive(Clone, Debug, PartialEq)]
pub enum DraftKind {
    /// The answer to a `human` task.
    Answer(TaskId),
    /// The reason of a rejection; may be empty.
    Reject(Subject),
    /// The new size of a pool.
    Resize(String),
}

/// A text that is being typed.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// Its use.
    pub kind: DraftKind,
    /// Description of the subject.
    pub about: String,
    /// The text so far; its lines are separated by line ends.
    pub text: String,
}

/// A permission request of which one option is to be chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct PendingChoice {
    /// The permission request.
    pub approval_id: PermissionId,
    /// Description of the subject.
    pub about: String,
    /// The options.
    pub options: Vec<PermissionOption>,
    /// The chosen option.
    pub cursor: ListCursor,
}
