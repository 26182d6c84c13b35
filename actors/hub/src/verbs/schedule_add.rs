//! `schedule_add`: adds a schedule.

use super::enqueue::check_trust;
use super::{Begun, Command, Outcome, RequestScope, Started, refuse_unexpected};
use kirosu_protocol::{ScheduleAddAnswer, ScheduleAddParams};
use kirosu_store::{NewSchedule, ScheduleCommand};

pub fn begin(params: ScheduleAddParams, scope: &mut RequestScope<'_>) -> Begun {
    check_trust(&params.task, scope)?;
    let ScheduleAddParams {
        name,
        spec,
        task,
        missed,
        overlap,
        jitter_ms,
        replace,
    } = params;
    let add = ScheduleCommand::Add(NewSchedule {
        name,
        spec,
        task,
        missed,
        overlap,
        jitter_ms,
        replace,
    });
    Ok(Started::Submit(Command::Schedule(Box::new(add)), finish))
}

fn finish(outcome: Outcome, scope: &mut RequestScope<'_>) {
    match outcome {
        Outcome::Scheduled { name, next_ms } => scope.answer(&ScheduleAddAnswer {
            name,
            next_at: next_ms.map(|ms| ms as f64 / 1000.0),
        }),
        outcome => refuse_unexpected(&outcome, scope),
    }
}
