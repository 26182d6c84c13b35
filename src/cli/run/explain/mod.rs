//! `kirosu run explain`: why a run, a step or an item is in its state, what follows, and which commands move it.

mod evidence;
mod parts;
mod reasons;
#[cfg(test)]
mod tests;

use crate::cli::{Context, Failure, HubClient, Paint, Screen, task_id, text, time};
use evidence::{RunEvidence, StepEvidence, items_by_key};
use kirosu_protocol::{GetParams, RunAnswer, RunParams, StepInfo, StepState, TaskId};
use reasons::{Explanation, of_item, of_planned, of_run, of_step};
use serde_json::json;

/// Steps that are explained for a whole run: those that need attention most.
const STEPS: usize = 20;
/// Items with one key that are explained.
const ITEMS: u32 = 5;

/// The subject of the explanation.
#[derive(Debug, clap::Args)]
pub struct ExplainArgs {
    /// The run
    #[arg(value_name = "ID", value_parser = task_id)]
    id: TaskId,
    /// A step by its path, or an item by its key [default: the run and the steps that are not done]
    #[arg(value_name = "STEP|ITEM")]
    subject: Option<String>,
}

/// Explains a run, a step or an item.
///
/// # Errors
/// There is no such run, step or item, the hub cannot be reached, or standard output fails.
pub async fn run(args: &ExplainArgs, hub: &HubClient, context: &Context) -> Result<u8, Failure> {
    let id = args.id;
    let params = RunParams {
        task_id: id,
        with_plan: true,
    };
    let run = hub.request_idempotent(&params).await?;
    let evidence = RunEvidence::read(run, hub).await?;
    let (explanations, left_out) = match &args.subject {
        None => whole(&evidence, hub).await?,
        Some(subject) => (one(subject, &evidence, hub).await?, 0),
    };
    let screen = &context.screen;
    if screen.json {
        screen.json(&json!({ "task_id": id, "explanations": explanations }))?;
        return Ok(0);
    }
    let texts = explanations.iter().map(|it| lines(it, screen).join("\n"));
    screen.print(&texts.collect::<Vec<String>>().join("\n\n"))?;
    if left_out > 0 {
        let more = text::count(left_out as u64, "further step");
        screen.note(&format!("{more}: kirosu run show {id}"))?;
    }
    Ok(0)
}

/// The run, then the steps that are not done; and the number of those that are left out.
async fn whole(
    evidence: &RunEvidence,
    hub: &HubClient,
) -> Result<(Vec<Explanation>, usize), Failure> {
    let run = &evidence.run;
    let mut explanations = vec![of_run(evidence)];
    let mut steps = unsettled(run);
    let all = steps.len();
    steps.truncate(STEPS);
    let left_out = all - steps.len();
    for step in steps {
        explanations.push(begun(step.clone(), run, hub).await?);
    }
    let is_final = run.state.is_final();
    let planned = evidence.not_begun();
    let planned = planned.into_iter().filter(|_| !is_final);
    let room = STEPS.saturating_sub(explanations.len() - 1);
    explanations.extend(planned.take(room).map(|step| of_planned(step, evidence)));
    Ok((explanations, left_out))
}

/// The steps that are neither done nor skipped, those that need attention first.
fn unsettled(run: &RunAnswer) -> Vec<&StepInfo> {
    let rank = |step: &StepInfo| match step.state {
        StepState::Failed => Some(0),
        StepState::Open => Some(1),
        StepState::Partial => Some(2),
        StepState::Omitted | StepState::Cancelled => Some(3),
        StepState::Done | StepState::Skipped | StepState::Pending => None,
    };
    let steps = run.steps.iter();
    let mut steps: Vec<(u8, &StepInfo)> =
        steps.filter_map(|step| Some((rank(step)?, step))).collect();
    steps.sort_by_key(|(rank, _)| *rank);
    steps.into_iter().map(|(_, step)| step).collect()
}

async fn begun(step: StepInfo, run: &RunAnswer, hub: &HubClient) -> Result<Explanation, Failure> {
    let evidence = StepEvidence::read(run.task_id, step, hub).await?;
    Ok(of_step(&evidence, run.task_id, run.state, time::now()))
}

/// The step with this path or id, or else the items with this key.
async fn one(
    subject: &str,
    evidence: &RunEvidence,
    hub: &HubClient,
) -> Result<Vec<Explanation>, Failure> {
    let run = &evidence.run;
    if let Some(step) = evidence.step(subject)
        && step.state != StepState::Pending
    {
        return Ok(vec![begun(step.clone(), run, hub).await?]);
    }
    if let Some(step) = evidence.planned(subject) {
        return Ok(vec![of_planned(step, evidence)]);
    }
    let items = items_by_key(run.task_id, subject, ITEMS, hub).await?;
    if items.is_empty() {
        let id = run.task_id;
        return Err(Failure::Local(format!(
            "the run {id} has no step and no item {}; `kirosu run show {id}` lists its steps, `kirosu run items {id}` its items",
            text::one_line(subject)
        )));
    }
    let mut explanations = Vec::new();
    for item in &items {
        let task = match item.task_id {
            None => None,
            Some(task_id) => {
                let params = GetParams {
                    task_id,
                    ..GetParams::default()
                };
                let answer = hub.request_idempotent(&params).await?;
                Some((answer.task, answer.attempts))
            }
        };
        explanations.push(of_item(item, task.as_ref(), run.task_id, time::now()));
    }
    Ok(explanations)
}

/// An explanation for people.
fn lines(explanation: &Explanation, screen: &Screen) -> Vec<String> {
    let state = screen.paint(Paint::Bold, &explanation.state);
    let mut lines = vec![format!("{}: {state}", text::one_line(&explanation.subject))];
    lines.extend(explanation.causes.iter().map(|cause| {
        let until = cause.until.map(|at| {
            let left = time::span((at - time::now()).max(0.0));
            format!(
                " (until {}, in {left})",
                time::date(at, screen.zone().as_ref())
            )
        });
        format!("  {}{}", cause.text, until.unwrap_or_default())
    }));
    lines.extend(
        explanation
            .next
            .iter()
            .map(|next| format!("  then: {next}")),
    );
    lines.extend(
        explanation
            .commands
            .iter()
            .map(|remedy| format!("  {}  ({})", remedy.command, remedy.effect)),
    );
    lines
}
