//! `run_pause`: pauses a run of a plan.

use super::{Begun, Command, RequestScope, Started, finish_ok};
use kirosu_protocol::RunPauseParams;
use kirosu_store::{PlanOrder, RunControl};

pub fn begin(params: RunPauseParams, _: &mut RequestScope<'_>) -> Begun {
    let control = PlanOrder::Control {
        run: params.task_id,
        control: RunControl::Pause,
    };
    Ok(Started::Submit(Command::Plan(Box::new(control)), finish_ok))
}
