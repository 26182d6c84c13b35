//! `schedule_set`: pauses a schedule, or lets it go on.

use super::{Begun, Command, RequestScope, Started, finish_ok};
use kirosu_protocol::ScheduleSetParams;
use kirosu_store::ScheduleCommand;

pub fn begin(params: ScheduleSetParams, _: &mut RequestScope<'_>) -> Begun {
    let ScheduleSetParams { name, paused } = params;
    let set = ScheduleCommand::Set { name, paused };
    Ok(Started::Submit(Command::Schedule(Box::new(set)), finish_ok))
}
