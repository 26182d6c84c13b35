//! `run_retry`: repeats what failed in a run of a plan.

use super::{Begun, Command, RequestScope, Started, finish_ok};
use kirosu_protocol::RunRetryParams;
use kirosu_store::{PlanOrder, RunControl};

pub fn begin(params: RunRetryParams, _: &mut RequestScope<'_>) -> Begun {
    let control = PlanOrder::Control {
        run: params.task_id,
        control: RunControl::Retry(params),
    };
    Ok(Started::Submit(Command::Plan(Box::new(control)), finish_ok))
}
