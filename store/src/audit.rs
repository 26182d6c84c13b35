//! The audit trail: the entry that a command of a client leaves.
//!
//! Work on leases leaves none (`lease`, `ack`, `heartbeat`, `progress`, `output`): there is too much of it, and attempts
//! record it. Tasks that one caller adds in a row share an entry.

use crate::command::Command;
use crate::outcome::{EnqueuedTask, Outcome};
use crate::plans::{PlanOrder, RunControl};
use crate::schedules::ScheduleCommand;
use kirosu_protocol::{AccessRole, TaskId, Verdict};
use std::sync::Arc;

/// The most tasks of one entry, so that the entries of a task are found by an index on the first one.
pub(crate) const MAX_TASKS: i64 = 4096;

/// The party for which a command is carried out, for the audit trail.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Principal {
    /// The name of its credential, or of the party that needs none.
    pub who: String,
    /// The role of its credential. `None` means that it has none.
    pub role: Option<String>,
    /// The address of its connection.
    pub peer: String,
}

impl Principal {
    /// Whether it is an agent host with a key of its own, which may work on its own leases only.
    pub(crate) fn is_agent_host(&self) -> bool {
        self.role.as_deref() == Some(AccessRole::Work.as_str())
    }
}

/// An entry that the caller adds to the trail: a refusal, or an action that is not a change of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRecord {
    /// Unix milliseconds; of refusals the start of a minute. Refusals of one kind in a minute are added up.
    pub at_ms: i64,
    /// The party.
    pub by: Arc<Principal>,
    /// The method's name.
    pub method: String,
    /// The task that the request named.
    pub task: Option<TaskId>,
    /// The name of the error code. `None` means that it succeeded.
    pub code: Option<String>,
    /// The number of refusals.
    pub count: i64,
}

/// An entry of the audit trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its number; later ones have higher numbers.
    pub id: i64,
    /// Unix milliseconds; of refusals the start of their minute.
    pub at_ms: i64,
    /// The name of the credential, or of the party that needs none.
    pub who: String,
    /// The role of the credential.
    pub role: Option<String>,
    /// The address of the connection; of several refusals the newest one.
    pub peer: String,
    /// The method's name.
    pub method: String,
    /// The task, or the first of several.
    pub first_task: Option<TaskId>,
    /// The last task; those between belong to it too.
    pub last_task: Option<TaskId>,
    /// A queue, a permission request, or the name of a credential or a schedule.
    pub target: Option<String>,
    /// The name of the error code of a refusal. `None` means that it succeeded.
    pub code: Option<String>,
    /// The number of refusals of this kind in the minute.
    pub count: i64,
}

/// An entry before it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NewEntry {
    pub method: &'static str,
    /// The first and the last task.
    pub tasks: Option<(TaskId, TaskId)>,
    pub target: Option<String>,
}

impl NewEntry {
    fn of_task(method: &'static str, task: TaskId) -> NewEntry {
        NewEntry {
            method,
            tasks: Some((task, task)),
            target: None,
        }
    }

    fn of_target(method: &'static str, target: impl Into<String>) -> NewEntry {
        NewEntry {
            method,
            tasks: None,
            target: Some(target.into()),
        }
    }

    /// Adds the tasks of another entry if they follow without a gap. Returns whether it did.
    pub fn extend(&mut self, next: &NewEntry) -> bool {
        let (Some((first, last)), Some((next_first, next_last))) = (self.tasks, next.tasks) else {
            return false;
        };
        let is_same = (self.method, &self.target) == (next.method, &next.target);
        let follows = is_same && next_first == last + 1;
        let extends = follows && next_last - first < MAX_TASKS;
        if extends {
            self.tasks = Some((first, next_last));
        }
        extends
    }
}

/// The entries of a command that succeeded.
pub(crate) fn entries(command: &Command, outcome: &Outcome) -> Vec<NewEntry> {
    let all_or = |queue: &Option<String>| queue.clone().unwrap_or_else(|| "all queues".to_owned());
    vec![match command {
        Command::Enqueue(_) => match outcome {
            Outcome::Enqueued(made) => NewEntry::of_task("enqueue", made.task_id),
            _ => return Vec::new(),
        },
        Command::EnqueueBatch(_) => return of_batch("enqueue_batch", outcome),
        Command::MakePart(part) => {
            let method = match part.all.len() {
                1 => "enqueue",
                _ => "enqueue_batch",
            };
            return of_batch(method, outcome);
        }
        Command::AsHolder { command, .. } | Command::InScope { command, .. } => {
            return entries(command, outcome);
        }
        Command::Reserve(ask) => NewEntry::of_task("reserve", ask.task_id),
        Command::Release { task, .. } => NewEntry::of_task("release", *task),
        Command::Cancel { task, .. } => NewEntry::of_task("cancel", *task),
        Command::Retry { task } => NewEntry::of_task("retry", *task),
        Command::RetryFailed { queue } => NewEntry::of_target("retry_failed", all_or(queue)),
        Command::Approve { task, .. } => NewEntry::of_task("approve", *task),
        Command::Answer { task, .. } | Command::LongAnswer { task, .. } => {
            NewEntry::of_task("answer", *task)
        }
        Command::Reject { task, .. } => NewEntry::of_task("reject", *task),
        Command::RequestPermission(ask) => NewEntry::of_task("ask", ask.task_id),
        Command::DecidePermission {
            approval, verdict, ..
        } => {
            let method = match verdict {
                Verdict::Approved => "approve",
                Verdict::Rejected => "reject",
            };
            NewEntry::of_target(method, format!("a{approval}"))
        }
        Command::Plan(command) => match &**command {
            PlanOrder::Control { run, control } => {
                let method = match control {
                    RunControl::Pause => "run_pause",
                    RunControl::Resume | RunControl::Replan { .. } => "run_resume",
                    RunControl::Retry(_) => "run_retry",
                    // The conductor sends it to the runs below.
                    RunControl::Raised => return Vec::new(),
                };
                NewEntry::of_task(method, *run)
            }
            _ => return Vec::new(),
        },
        Command::Schedule(command) => of_schedule(command, outcome),
        Command::Pause(queue) => NewEntry::of_target("pause", all_or(queue)),
        Command::Resume(queue) => NewEntry::of_target("resume", all_or(queue)),
        Command::AddCredential(new) => NewEntry::of_target("key_add", &*new.name),
        Command::RevokeCredential(name) => NewEntry::of_target("key_revoke", name),
        Command::AddWebSession(new) => NewEntry::of_target("web_login", &*new.who),
        Command::EndWebSession(_) => NewEntry {
            method: "web_logout",
            tasks: None,
            target: None,
        },
        Command::TestTarget(name) => NewEntry::of_target("notify_test", name),
        Command::StagePart(_)
        | Command::InsertDependencies(_)
        | Command::DropBatch(_)
        | Command::PrepareDependencies(_)
        | Command::OpenText(_)
        | Command::StagePiece(_)
        | Command::DropText(_)
        | Command::LongAck { .. }
        | Command::Lease { .. }
        | Command::Unpark(_)
        | Command::Ack(_)
        | Command::Acks(_)
        | Command::Heartbeat { .. }
        | Command::Progress { .. }
        | Command::WaitChildren { .. }
        | Command::Output { .. }
        | Command::ReleaseSession { .. }
        | Command::ExpireDue { .. }
        | Command::ShiftLeases { .. }
        | Command::PromoteDue { .. }
        | Command::ExpirePermissions { .. }
        | Command::Prune { .. }
        | Command::Record(_)
        | Command::PruneAudit { .. }
        | Command::FireSchedules { .. }
        | Command::AddNotice { .. }
        | Command::TakeNotices(_)
        | Command::PruneNotices { .. }
        | Command::Stats => return Vec::new(),
    }]
}

/// The entry of a change of a schedule.
fn of_schedule(command: &ScheduleCommand, outcome: &Outcome) -> NewEntry {
    let method = match command {
        ScheduleCommand::Add(_) => "schedule_add",
        ScheduleCommand::Set { .. } => "schedule_set",
        ScheduleCommand::Run { .. } => "schedule_run",
        ScheduleCommand::Remove { .. } => "schedule_remove",
    };
    let tasks = match outcome {
        Outcome::Enqueued(made) => Some((made.task_id, made.task_id)),
        _ => None,
    };
    NewEntry {
        tasks,
        ..NewEntry::of_target(method, command.name())
    }
}

/// Entries for the tasks of a batch, those with consecutive ids in one.
fn of_batch(method: &'static str, outcome: &Outcome) -> Vec<NewEntry> {
    let made: &[EnqueuedTask] = match outcome {
        Outcome::Batch(made) => made,
        _ => &[],
    };
    let mut all: Vec<NewEntry> = Vec::new();
    for task in made {
        let entry = NewEntry::of_task(method, task.task_id);
        if !all.last_mut().is_some_and(|last| last.extend(&entry)) {
            all.push(entry);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use kirosu_protocol::{NewTask, Status};

    fn made(ids: &[TaskId]) -> Outcome {
        let made = |id: &TaskId| EnqueuedTask {
            task_id: *id,
            existed: false,
            status: Status::Queued,
        };
        Outcome::Batch(ids.iter().map(made).collect())
    }

    #[test]
    fn consecutive_tasks_of_a_batch_share_an_entry_up_to_a_bound() {
        let command = Command::EnqueueBatch(vec![NewTask::chat("p")]);
        let tasks = |ids: &[TaskId]| -> Vec<_> {
            let entries = entries(&command, &made(ids));
            entries.iter().map(|entry| entry.tasks.unwrap()).collect()
        };
        assert_eq!(tasks(&[3, 4, 5, 9, 7]), [(3, 5), (9, 9), (7, 7)]);
        let many: Vec<TaskId> = (1..=MAX_TASKS + 1).collect();
        assert_eq!(
            tasks(&many),
            [(1, MAX_TASKS), (MAX_TASKS + 1, MAX_TASKS + 1)]
        );
    }

    #[test]
    fn only_entries_of_one_method_are_joined() {
        let mut first = NewEntry::of_task("cancel", 1);
        assert!(!first.extend(&NewEntry::of_task("retry", 2)));
        assert!(first.extend(&NewEntry::of_task("cancel", 2)));
        assert!(!first.extend(&NewEntry::of_target("cancel", "q")));
        assert_eq!(first.tasks, Some((1, 2)));
    }

    #[test]
    fn work_on_leases_leaves_no_entry() {
        let heartbeat = Command::Heartbeat {
            task: 1,
            fence: 1,
            lease_ms: None,
        };
        assert_eq!(entries(&heartbeat, &Outcome::Ok), []);
        let release = Command::AsHolder {
            worker: None,
            command: Box::new(Command::Release {
                task: 5,
                fence: 1,
                delay_ms: 0,
                reason: None,
            }),
        };
        assert_eq!(
            entries(&release, &Outcome::Ok),
            [NewEntry::of_task("release", 5)]
        );
    }
}
