//! `run_resume`: lets a paused or waiting run of a plan go on.

use super::{Begun, Command, RequestScope, Started, finish_ok};
use kirosu_protocol::RunResumeParams;
use kirosu_store::{PlanOrder, RunControl};

pub fn begin(params: RunResumeParams, _: &mut RequestScope<'_>) -> Begun {
    let control = PlanOrder::Control {
        run: params.task_id,
        control: RunControl::Resume,
    };
    Ok(Started::Submit(Command::Plan(Box::new(control)), finish_ok))
}
