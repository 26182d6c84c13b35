//! `schedule_run`: adds the task of a schedule now.

use super::{Begun, Command, Outcome, RequestScope, Started, refuse_unexpected};
use kirosu_protocol::{ScheduleRunAnswer, ScheduleRunParams};
use kirosu_store::ScheduleCommand;

pub fn begin(params: ScheduleRunParams, _: &mut RequestScope<'_>) -> Begun {
    let run = ScheduleCommand::Run { name: params.name };
    Ok(Started::Submit(Command::Schedule(Box::new(run)), finish))
}

fn finish(outcome: Outcome, scope: &mut RequestScope<'_>) {
    match outcome {
        Outcome::Enqueued(task) => scope.answer(&ScheduleRunAnswer {
            task_id: task.task_id,
        }),
        outcome => refuse_unexpected(&outcome, scope),
    }
}
