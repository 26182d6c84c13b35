//! Changes of a group of tasks, for `cancel` and `retry`.
//!
//! A group is changed page by page, newest first: a reader looks up the tasks of a page, and the writer changes them in one
//! commit. So neither the memory nor the duration of a commit grows with the group. If the dependencies of the tasks are
//! retried too, they come before the tasks of their page, the oldest first, in commits of the same size.

mod retry_order;

use super::{Command, Outcome, RequestScope, StoreQuery, retry};
use crate::connection::{CommandPart, Responding};
use crate::readers::QueryReply;
use kirosu_protocol::{CancelAnswer, Effect, Error, ErrorCode, Group, RetryAnswer, Status, TaskId};
use kirosu_store::GroupQuery;
use retry_order::RetryOrder;

/// The largest number of tasks that one commit changes. Such a commit takes some milliseconds.
const TASKS_PER_COMMIT: u32 = 100;

/// The statuses of tasks that have not ended.
pub(super) const UNFINISHED_STATUSES: [Status; 5] = [
    Status::Queued,
    Status::Blocked,
    Status::Scheduled,
    Status::AwaitingApproval,
    Status::Leased,
];

/// The change of each task of a group.
#[derive(Clone, Debug)]
pub(super) enum GroupChange {
    Cancel {
        by: Option<String>,
        reason: Option<String>,
    },
    Retry {
        /// Whether the failed and cancelled dependencies of the tasks are retried, too.
        with_dependencies: bool,
    },
    /// Retries this one task with its dependencies. The outcome for the task itself is the answer.
    RetryOne(TaskId),
}

impl GroupChange {
    fn command(&self, task: TaskId) -> Command {
        match self {
            GroupChange::Cancel { by, reason } => Command::Cancel {
                task,
                by: by.clone(),
                reason: reason.clone(),
            },
            GroupChange::Retry { .. } | GroupChange::RetryOne(_) => Command::Retry { task },
        }
    }
}

/// The state of a group's change.
#[derive(Debug)]
pub struct GroupProgress {
    change: GroupChange,
    query: GroupQuery,
    /// Whether there may be more tasks after this page.
    more: bool,
    /// The number of commands that the writer has not answered.
    unanswered: usize,
    /// The number of changed tasks of the group.
    changed: u64,
    /// The number of changed dependencies that do not belong to the group.
    dependencies: u64,
    /// The tasks of this page, if dependencies come before them.
    order: Option<RetryOrder>,
    /// The outcome for the task of [`GroupChange::RetryOne`].
    own: Option<Result<Outcome, Error>>,
    /// The error that ends the change.
    failed: Option<Error>,
}

impl GroupProgress {
    fn new(change: GroupChange, query: GroupQuery) -> GroupProgress {
        GroupProgress {
            change,
            query,
            more: true,
            unanswered: 0,
            changed: 0,
            dependencies: 0,
            order: None,
            own: None,
            failed: None,
        }
    }

    /// Takes the outcome for a task of the group (the first part) or for a dependency (the second). Returns whether it was the
    /// last of its commit.
    fn take(&mut self, part: CommandPart, outcome: Result<Outcome, Error>) -> bool {
        self.unanswered = self.unanswered.saturating_sub(1);
        let is_first = part == CommandPart::First;
        match outcome {
            outcome if is_first && matches!(self.change, GroupChange::RetryOne(_)) => {
                self.own = Some(outcome);
            }
            // It failed again at once, because one of its dependencies was pruned.
            Ok(Outcome::Retried {
                status: Status::Failed,
                ..
            }) if self.order.is_some() => {}
            Ok(_) if is_first => self.changed += 1,
            Ok(_) => self.dependencies += 1,
            // Another request changed or pruned it after the page was read, or it is beyond the limits of the key.
            Err(error)
                if matches!(
                    error.code,
                    ErrorCode::WrongState | ErrorCode::UnknownTask | ErrorCode::Forbidden
                ) => {}
            Err(error) => self.failed = Some(error),
        }
        self.unanswered == 0
    }
}

/// Begins the change of the group's tasks that have one of these statuses.
pub(super) fn begin(
    change: GroupChange,
    group: Group,
    statuses: Vec<Status>,
    scope: &mut RequestScope<'_>,
) {
    let query = GroupQuery {
        group,
        statuses,
        before: None,
        limit: TASKS_PER_COMMIT,
    };
    let progress = GroupProgress::new(change, query);
    scope.set_responding(Responding::Group(Box::new(progress)));
    advance(scope);
}

/// Takes the outcome for one task.
pub fn take(part: CommandPart, outcome: Result<Outcome, Error>, scope: &mut RequestScope<'_>) {
    if let Some(progress) = progress(scope)
        && progress.take(part, outcome)
    {
        advance(scope);
    }
}

fn progress<'a>(scope: &'a mut RequestScope<'_>) -> Option<&'a mut GroupProgress> {
    match &mut scope.pending()?.responding {
        Responding::Group(progress) => Some(progress),
        _ => None,
    }
}

/// Goes on with the next commit or look-up, or answers.
fn advance(scope: &mut RequestScope<'_>) {
    let Some(progress) = progress(scope) else {
        return;
    };
    if let Some(error) = progress.failed.take() {
        let message = format!(
            "{} tasks were changed, then: {error}; send it again for the others",
            progress.changed + progress.dependencies
        );
        return scope.refuse(Error::internal(Effect::Unknown, message));
    }
    if let Some(order) = &mut progress.order {
        let next = order.next();
        if !next.is_empty() {
            return change_all(&next, scope);
        }
        if let Some((tasks, above, limit)) = order.look_up() {
            let query = StoreQuery::FailedDependencies(tasks, above, limit);
            return scope.query(query, take_dependencies);
        }
        progress.order = None;
    }
    if !progress.more {
        return finish(scope);
    }
    let query = StoreQuery::Group(progress.query.clone());
    scope.query(query, take_page);
}

fn take_dependencies(scope: &mut RequestScope<'_>, reply: QueryReply) {
    let (QueryReply::Dependencies(ids), Some(progress)) = (reply, progress(scope)) else {
        return;
    };
    if let Some(order) = &mut progress.order {
        order.found(&ids);
    }
    advance(scope);
}

fn take_page(scope: &mut RequestScope<'_>, reply: QueryReply) {
    let (QueryReply::Ids(page), Some(progress)) = (reply, progress(scope)) else {
        return;
    };
    progress.more = page.next.is_some();
    progress.query.before = page.next;
    match progress.change {
        GroupChange::RetryOne(task) if page.ids.is_empty() => {
            // The task has not ended. Its command is refused with the reason, and nothing else changes.
            progress.order = Some(RetryOrder::alone(task));
        }
        GroupChange::RetryOne(_)
        | GroupChange::Retry {
            with_dependencies: true,
        } => progress.order = Some(RetryOrder::of(page.ids)),
        _ if page.ids.is_empty() => {}
        _ => {
            let next = page.ids.iter().map(|id| (CommandPart::First, *id));
            return change_all(&next.collect::<Vec<_>>(), scope);
        }
    }
    advance(scope);
}

/// Changes these tasks in one commit.
fn change_all(tasks: &[(CommandPart, TaskId)], scope: &mut RequestScope<'_>) {
    let Some(progress) = progress(scope) else {
        return;
    };
    progress.unanswered = tasks.len();
    let change = progress.change.clone();
    for (part, task) in tasks {
        scope.submit(*part, change.command(*task));
    }
}

/// Answers: all tasks of the group are changed.
fn finish(scope: &mut RequestScope<'_>) {
    let Some(progress) = progress(scope) else {
        return;
    };
    let (changed, dependencies) = (progress.changed, progress.dependencies);
    match progress.change {
        GroupChange::Cancel { .. } => scope.answer(&CancelAnswer {
            ok: true,
            cancelled: Some(changed),
        }),
        GroupChange::Retry { with_dependencies } => scope.answer(&RetryAnswer {
            ok: true,
            retried: Some(changed),
            dependencies: with_dependencies.then_some(dependencies),
            ..RetryAnswer::default()
        }),
        GroupChange::RetryOne(_) => match progress.own.take() {
            Some(Ok(outcome)) => retry::finish(outcome, scope),
            Some(Err(error)) => scope.refuse(error),
            None => {
                let message = "the writer gave no answer about the task; send it again";
                scope.refuse(Error::internal(Effect::Unknown, message));
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(change: GroupChange, unanswered: usize) -> GroupProgress {
        let query = GroupQuery {
            group: Group::default(),
            statuses: Vec::new(),
            before: None,
            limit: TASKS_PER_COMMIT,
        };
        GroupProgress {
            unanswered,
            ..GroupProgress::new(change, query)
        }
    }

    #[test]
    fn a_task_that_changed_since_its_page_was_read_is_left_out() {
        let change = GroupChange::Retry {
            with_dependencies: true,
        };
        let mut progress = progress(change, 3);
        assert!(!progress.take(CommandPart::First, Ok(Outcome::Ok)));
        assert!(!progress.take(CommandPart::Second, Ok(Outcome::Ok)));
        let error = Error::new(ErrorCode::WrongState, "it runs");
        assert!(progress.take(CommandPart::First, Err(error)));
        assert_eq!((progress.changed, progress.dependencies), (1, 1));
        assert!(progress.failed.is_none());
    }

    #[test]
    fn another_error_ends_the_change() {
        let cancel = GroupChange::Cancel {
            by: None,
            reason: None,
        };
        let mut progress = progress(cancel, 1);
        let error = Error::internal(Effect::None, "the disk is full");
        assert!(progress.take(CommandPart::First, Err(error)));
        assert!(progress.failed.is_some());
    }
}
