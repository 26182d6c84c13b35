//! `schedule_remove`: removes a schedule.

use super::{Begun, Command, RequestScope, Started, finish_ok};
use kirosu_protocol::ScheduleRemoveParams;
use kirosu_store::ScheduleCommand;

pub fn begin(params: ScheduleRemoveParams, _: &mut RequestScope<'_>) -> Begun {
    let remove = ScheduleCommand::Remove { name: params.name };
    Ok(Started::Submit(
        Command::Schedule(Box::new(remove)),
        finish_ok,
    ))
}
