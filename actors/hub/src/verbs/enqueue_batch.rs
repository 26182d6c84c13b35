//! `enqueue_batch`: stores several tasks, all or none.

use super::enqueue::{check_trust, set_time};
use super::{Begun, Command, Outcome, RequestScope, Started, refuse_unexpected};
use kirosu_protocol::{EnqueueBatchAnswer, EnqueueBatchParams, Existing};
use kirosu_store::EnqueuedTask;

pub fn begin(mut params: EnqueueBatchParams, scope: &mut RequestScope<'_>) -> Begun {
    for task in &mut params.tasks {
        check_trust(task, scope)?;
        set_time(task, scope);
    }
    let command = Command::EnqueueBatch(params.tasks);
    Ok(Started::Submit(command, finish))
}

fn finish(outcome: Outcome, scope: &mut RequestScope<'_>) {
    let existing = |task: &EnqueuedTask| {
        task.existed.then_some(Existing {
            task_id: task.task_id,
            status: task.status,
        })
    };
    match outcome {
        Outcome::Batch(tasks) => scope.answer(&EnqueueBatchAnswer {
            task_ids: tasks.iter().map(|task| task.task_id).collect(),
            existed: tasks.iter().filter_map(existing).collect(),
        }),
        outcome => refuse_unexpected(&outcome, scope),
    }
}
