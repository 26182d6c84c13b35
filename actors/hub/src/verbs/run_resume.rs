//! `run_resume`: lets a run of a plan go on, with its own plan or with another one.

use super::{Begun, Command, RequestScope, Started, StoreQuery, finish_ok};
use crate::connection::{CommandPart, Responding};
use kirosu_plan::{PlanFormat, compile};
use kirosu_protocol::{Error, PlanText, RunResumeParams};
use kirosu_store::{PlanOrder, RunControl};

pub fn begin(params: RunResumeParams, scope: &mut RequestScope<'_>) -> Begun {
    let run = params.task_id;
    let order = move |control| Command::Plan(Box::new(PlanOrder::Control { run, control }));
    let Some(plan) = params.plan else {
        return Ok(Started::Submit(order(RunControl::Resume), finish_ok));
    };
    check(&plan)?;
    // The run compares the plans again when it goes over: until then another one may be taken.
    let query = StoreQuery::CheckPlan(run, Box::new(plan.clone()));
    let control = RunControl::Replan {
        plan,
        unless_running: params.unless_running,
    };
    scope.query(query, move |scope, _| {
        scope.set_responding(Responding::Once(finish_ok));
        scope.submit(CommandPart::First, order(control));
    });
    Ok(Started::Pending)
}

/// Refuses a plan with faults.
fn check(plan: &PlanText) -> Result<(), Error> {
    let format = match plan.format.as_deref() {
        Some("toml") => PlanFormat::Toml,
        None | Some("yaml") => PlanFormat::Yaml,
        Some(other) => {
            let message = format!("the format of a plan is yaml or toml, not {other:?}");
            return Err(Error::invalid_params(message));
        }
    };
    match compile(&plan.text, format) {
        Ok(_) => Ok(()),
        Err(faults) => Err(Error::invalid_params(format!(
            "the plan has faults:\n{faults}"
        ))),
    }
}
