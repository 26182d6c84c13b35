//! Explanations of runs, steps and items, as pure functions of what is known about them.

use super::evidence::{RunEvidence, StepEvidence};
use super::parts::{
    Cause, Remedy, TEXT_COLUMNS, decisions, not_cached, of_budget, of_failures, of_tasks, quoted,
    remedy, waiting,
};
use crate::cli::show::run::is_question;
use crate::cli::text::{count, fit, one_line};
use crate::cli::time::span;
use kirosu_plan::advance::waits;
use kirosu_plan::{Step, Work};
use kirosu_protocol::{
    Attempt, BUDGET_REASON, ItemInfo, ItemState, RunState, Status, StepInfo, StepState, Task,
    TaskId,
};
use serde::Serialize;

/// Why a run, a step or an item is in its state.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// The run, the path of the step, or the step and the key of the item.
    pub subject: String,
    /// The state.
    pub state: String,
    /// The reasons.
    pub causes: Vec<Cause>,
    /// The consequence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// The commands that move it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<Remedy>,
}

/// Explains the state of a run.
pub fn of_run(evidence: &RunEvidence) -> Explanation {
    let RunEvidence { run, task, .. } = evidence;
    let id = run.task_id;
    let reason = run
        .reason
        .as_deref()
        .filter(|why| *why != run.state.as_str());
    let error = run.error.as_deref().and_then(|why| why.lines().next());
    let failed: u64 = run.steps.iter().map(|step| step.failed).sum();
    let cancel = || remedy(format!("kirosu run cancel {id}"), "ends it and its tasks");
    let (mut causes, next, mut commands): (Vec<Cause>, Option<String>, Vec<Remedy>);
    match run.state {
        RunState::Pending => {
            causes = waiting(task).into_iter().collect();
            next = Some("it begins when its task is taken".to_owned());
            commands = vec![cancel()];
        }
        RunState::Open => {
            causes = Vec::new();
            next = Some("it goes on by itself".to_owned());
            commands = Vec::new();
            if run.steps.iter().any(asks) {
                causes.push(Cause::new("a step waits for a person, others go on"));
            }
        }
        RunState::Waiting => {
            causes = reason.map(Cause::new).into_iter().collect();
            next = Some("nothing starts before a person has decided".to_owned());
            commands = Vec::new();
            if reason.is_some_and(|why| why.starts_with(BUDGET_REASON)) {
                commands.push(remedy(
                    format!("kirosu run approve {id} --tokens N --usd X"),
                    "raises its budget; without an amount by its first limit",
                ));
            } else if run.steps.iter().any(is_held) {
                commands.push(remedy(
                    format!("kirosu run resume {id}"),
                    "lets the waiting steps go on with all their items",
                ));
            }
            commands.push(cancel());
        }
        RunState::Paused => {
            let open: u64 = run.steps.iter().map(|step| step.open).sum();
            causes = vec![Cause::new("it is paused, itself or with the run above it")];
            next = Some(match open {
                0 => "no task starts".to_owned(),
                open => format!(
                    "{} that run go on, no further one starts",
                    count(open, "task")
                ),
            });
            commands = vec![remedy(format!("kirosu run resume {id}"), "lets it go on")];
        }
        RunState::Done => {
            causes = Vec::new();
            next = None;
            commands = vec![remedy(
                format!("kirosu run result {id}"),
                "prints its result",
            )];
        }
        RunState::Partial | RunState::Failed | RunState::Cancelled => {
            causes = error.or(reason).map(Cause::new).into_iter().collect();
            next = None;
            commands = Vec::new();
            if run.state == RunState::Partial {
                causes.push(Cause::new(format!(
                    "{} failed, which the plan tolerates",
                    count(failed, "item")
                )));
            }
            if failed > 0 {
                commands.push(remedy(
                    format!("kirosu run items {id} --failed"),
                    "lists the failed items with their errors",
                ));
            }
            let is_limit = error
                .or(reason)
                .is_some_and(|why| why.starts_with("limit: "));
            let effect = match is_limit {
                true => {
                    "repeats what failed; the limit is one of the plan, and is reached again unless less is left to do"
                }
                false => "repeats what failed and what depends on it",
            };
            commands.push(remedy(format!("kirosu run retry {id}"), effect));
        }
    }
    causes.extend(evidence.budgets.iter().flat_map(of_budget));
    Explanation {
        subject: format!("run {id}"),
        state: run.state.to_string(),
        causes,
        next,
        commands,
    }
}

/// Whether a step waits for a person.
fn asks(step: &StepInfo) -> bool {
    is_answered(step) || is_held(step)
}

/// Whether a step waits for the answer to a task of the type `human`.
fn is_answered(step: &StepInfo) -> bool {
    is_question(step)
        || (step.state == StepState::Open && step.reason.as_deref() == Some(waits::PERSON))
}

/// Whether a step waits for a person's agreement, after failures or after its sample.
fn is_held(step: &StepInfo) -> bool {
    step.state == StepState::Open
        && matches!(step.reason.as_deref(), Some(waits::BREAKER | waits::SAMPLE))
}

/// Explains the state of a step that has begun.
pub fn of_step(evidence: &StepEvidence, run: TaskId, run_state: RunState, now: f64) -> Explanation {
    let step = &evidence.step;
    let mut causes = Vec::new();
    let mut commands = Vec::new();
    let reason = step.reason.as_deref();
    match reason {
        Some(waits::BREAKER) => causes.push(Cause::new(
            "many items failed in a row with one class of failure (`breaker`): it waits for a person",
        )),
        Some(waits::SAMPLE) => causes.push(Cause::new(
            "its sample is done, and the others wait for a person (`ask`)",
        )),
        Some(waits::AGREED | waits::PERSON) | None => {}
        Some(why) => causes.push(Cause::new(one_line(why))),
    }
    causes.extend(of_tasks(&evidence.tasks, step, now));
    causes.extend(of_failures(&evidence.failures, step));
    let path = &step.path;
    let mut next = None;
    if is_held(step) {
        commands.push(remedy(
            format!("kirosu run resume {run}"),
            "lets it go on with all its items",
        ));
    } else if step.state == StepState::Open {
        next = next_of_open(step, run_state);
    }
    commands.extend(evidence.tasks.iter().flat_map(decisions));
    match step.state {
        StepState::Failed | StepState::Partial | StepState::Cancelled => commands.push(remedy(
            format!("kirosu run retry {run} --step {path}"),
            "repeats what failed in it, and what depends on it",
        )),
        StepState::Omitted => next = Some("it runs if that step is repeated with success".into()),
        StepState::Skipped if causes.is_empty() => {
            causes.push(Cause::new("its `if` did not hold"));
        }
        _ => {}
    }
    Explanation {
        subject: path.clone(),
        state: step.state.to_string(),
        causes,
        next,
        commands,
    }
}

/// The consequence of the state of an open step.
fn next_of_open(step: &StepInfo, run: RunState) -> Option<String> {
    let left = step.total.map(|total| total.saturating_sub(step.made));
    Some(match (run, left) {
        (RunState::Paused, _) => "it makes no further task while the run is paused".to_owned(),
        (_, Some(left @ 1..)) if step.open > 0 => format!(
            "{} get their tasks as these end",
            count(left, "further item")
        ),
        (_, Some(left @ 1..)) if step.kind == "reduce" => format!(
            "{} get their tasks when what they merge has ended",
            count(left, "further item")
        ),
        (_, Some(left @ 1..)) => format!("{} get their tasks now", count(left, "further item")),
        (_, Some(_)) if step.open > 0 => "it ends with its last task".to_owned(),
        _ => return None,
    })
}

/// Explains a step that has not begun.
pub fn of_planned(step: &Step, evidence: &RunEvidence) -> Explanation {
    let run = &evidence.run;
    let mut causes: Vec<Cause> = step
        .depends_on
        .iter()
        .filter_map(|id| {
            let state = evidence.step(id).map(|row| row.state);
            let state = state.filter(|state| *state != StepState::Pending);
            match state {
                Some(state) if state.is_final() => open_source(id, evidence),
                Some(state) if step.merges_early(id) => Some(format!(
                    "it waits for the first results of the step {id}, which is {state}"
                )),
                Some(state) => Some(format!("it waits for the step {id}, which is {state}")),
                None => Some(format!("it waits for the step {id}, which has not begun")),
            }
        })
        .map(Cause::new)
        .collect();
    if step.always {
        causes.push(Cause::new("it runs at the end of the run (`always`)"));
    }
    let next = match (run.state.is_final(), run.state) {
        (true, _) => "the run has ended without it".to_owned(),
        (_, RunState::Paused) => "it does not begin while the run is paused".to_owned(),
        _ if causes.is_empty() => "it begins next".to_owned(),
        _ if step.depends_on.iter().any(|id| step.merges_early(id)) => {
            "it begins when these are there".to_owned()
        }
        _ => "it begins when they have ended".to_owned(),
    };
    Explanation {
        subject: step.id.clone(),
        state: "not begun".to_owned(),
        causes,
        next: Some(next),
        commands: Vec::new(),
    }
}

/// The wait for the step that a reduce merges, if the reduce has ended before it.
fn open_source(id: &str, evidence: &RunEvidence) -> Option<String> {
    let reduce = evidence.planned(id)?;
    let Work::Reduce(work) = &reduce.work else {
        return None;
    };
    let of = &work.of;
    let state = evidence.step(of)?.state;
    (reduce.merges_early(of) && !state.is_final()).then(|| {
        format!("it waits for the step {of}, which the step {id} merges and which is {state}")
    })
}

/// Explains the state of an item. `task`: its newest task, with its attempts.
pub fn of_item(
    item: &ItemInfo,
    task: Option<&(Task, Vec<Attempt>)>,
    run: TaskId,
    now: f64,
) -> Explanation {
    let (mut causes, mut commands, mut next) = (Vec::new(), Vec::new(), None);
    if let Some(error) = &item.error {
        let class = item.class.as_deref().map(|class| format!("{class}: "));
        let error = fit(&one_line(error), 2 * TEXT_COLUMNS);
        causes.push(Cause::new(class.unwrap_or_default() + &error));
    }
    if let Some((task, attempts)) = task {
        let id = task.task_id;
        match item.cached {
            true => causes.push(Cause::new(format!(
                "its result was taken from the cache: it is that of task {id}"
            ))),
            false => causes.extend(not_cached(task, now)),
        }
        if let (Status::Leased, Some(worker)) = (task.status, &task.worker_id) {
            let since = span((now - task.updated_at).max(0.0));
            causes.push(Cause::new(format!(
                "task {id} runs for {since} on {}",
                one_line(worker)
            )));
        } else if let Some(cause) = waiting(task) {
            causes.push(Cause {
                text: format!("task {id} waits: {}", cause.text),
                ..cause
            });
        }
        let lost = attempts.iter().filter(|attempt| attempt.outcome != "done");
        causes.extend(lost.enumerate().map(|(at, attempt)| {
            let error = one_line(attempt.error.as_deref().unwrap_or_default());
            let error = fit(&error, TEXT_COLUMNS);
            Cause::new(format!("attempt {}: {} {error}", at + 1, attempt.outcome).trim_end())
        }));
        commands.extend(decisions(task));
        commands.push(remedy(format!("kirosu get {id}"), "shows all of its task"));
        commands.push(remedy(
            format!("kirosu logs {id}"),
            "shows the output of its runs",
        ));
    }
    match item.state {
        ItemState::Waiting => next = Some("its task is made again soon".to_owned()),
        ItemState::Failed | ItemState::Cancelled => commands.push(remedy(
            format!(
                "kirosu run retry {run} --step {} --item {}",
                item.step,
                quoted(&item.key)
            ),
            "repeats it, and what depends on it",
        )),
        ItemState::Open | ItemState::Done => {}
    }
    Explanation {
        subject: format!("{} {}", item.step, one_line(&item.key)),
        state: item.state.to_string(),
        causes,
        next,
        commands,
    }
}
