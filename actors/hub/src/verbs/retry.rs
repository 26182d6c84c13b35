//! `retry`: queues a failed or cancelled task again, or a group of such tasks.

use super::group::{self, GroupChange};
use super::{Begun, Command, Outcome, RequestScope, Started, refuse_unexpected};
use kirosu_protocol::{Group, IdRange, RetryAnswer, RetryParams, Status, Target};

pub fn begin(params: RetryParams, scope: &mut RequestScope<'_>) -> Begun {
    let with_dependencies = params.with_dependencies;
    let (change, group) = match params.target {
        Target::Task(task) if !with_dependencies => {
            return Ok(Started::Submit(Command::Retry { task }, finish));
        }
        Target::Task(task) => {
            let range = IdRange {
                first: task,
                last: task,
            };
            let group = Group {
                ranges: vec![range],
                ..Group::default()
            };
            (GroupChange::RetryOne(task), group)
        }
        Target::Group(group) => (GroupChange::Retry { with_dependencies }, group),
    };
    let mut statuses = vec![Status::Failed];
    statuses.extend((!params.failed).then_some(Status::Cancelled));
    group::begin(change, group, statuses, scope);
    Ok(Started::Pending)
}

/// Answers with the result for the task itself.
pub(super) fn finish(outcome: Outcome, scope: &mut RequestScope<'_>) {
    match outcome {
        Outcome::Retried { status, error } => scope.answer(&RetryAnswer {
            ok: true,
            status: (status == Status::Failed).then_some(status),
            error,
            ..RetryAnswer::default()
        }),
        outcome => refuse_unexpected(&outcome, scope),
    }
}
