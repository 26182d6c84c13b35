//! `enqueue`: stores a task.

use super::{Begun, Command, Outcome, RequestScope, Started, refuse_unexpected};
use kirosu_protocol::task::TYPE_PYTHON;
use kirosu_protocol::{EnqueueAnswer, Error, ErrorCode, NewTask};

pub fn begin(mut task: Box<NewTask>, scope: &mut RequestScope<'_>) -> Begun {
    check_trust(&task, scope)?;
    set_time(&mut task, scope);
    Ok(Started::Submit(Command::Enqueue(task), finish))
}

fn finish(outcome: Outcome, scope: &mut RequestScope<'_>) {
    match outcome {
        Outcome::Enqueued(task) => scope.answer(&EnqueueAnswer {
            task_id: task.task_id,
            existed: task.existed,
            status: task.existed.then_some(task.status),
        }),
        outcome => refuse_unexpected(&outcome, scope),
    }
}

/// Turns a delay into a time.
pub(super) fn set_time(task: &mut NewTask, scope: &RequestScope<'_>) {
    if task.delay_ms > 0 {
        let delay_ms = i64::try_from(task.delay_ms).unwrap_or(i64::MAX);
        task.run_at_ms = Some(scope.now_ms().saturating_add(delay_ms));
    }
}

/// Refuses `python` tasks with `not_trusted` unless the hub allows them: they run any code on the worker's machine.
pub(super) fn check_trust(task: &NewTask, scope: &RequestScope<'_>) -> Result<(), Error> {
    if task.task_type != TYPE_PYTHON || scope.hub().options().trust_all_tools {
        return Ok(());
    }
    let message = "python tasks run any code on the agents' machines and are switched off on this hub; start it with `kirosu hub --trust-all-tools` \
                   (and agents with `kirosu agent --trust-all-tools`), or set `trust_all_tools = true` in [hub] and in the pool";
    Err(Error::new(ErrorCode::NotTrusted, message))
}
