//! `run_resume`: lets a run of a plan go on, with its own plan or with another one.

use super::{Begun, Command, RequestScope, Started, finish_ok};
use kirosu_plan::{PlanFormat, compile};
use kirosu_protocol::{Error, PlanText, RunResumeParams};
use kirosu_store::{PlanOrder, RunControl};

pub fn begin(params: RunResumeParams, _: &mut RequestScope<'_>) -> Begun {
    let control = match params.plan {
        None => RunControl::Resume,
        Some(plan) => {
            check(&plan)?;
            RunControl::Replan {
                plan,
                unless_running: params.unless_running,
            }
        }
    };
    let control = PlanOrder::Control {
        run: params.task_id,
        control,
    };
    Ok(Started::Submit(Command::Plan(Box::new(control)), finish_ok))
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
