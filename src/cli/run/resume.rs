//! `kirosu run resume`: lets a run go on, with its own plan or with another one.

use crate::cli::confirm::confirmed;
use crate::cli::launch::other_plan;
use crate::cli::show::table::{Cell, Column, TextTable};
use crate::cli::{Context, Failure, HubClient, Paint, task_id, text};
use kirosu_plan::{Plan, PlanFormat, PlanVersion, StepFate, compile, needs_source, replanned};
use kirosu_protocol::{
    GetParams, PlanMetadata, PlanText, RunAnswer, RunParams, RunResumeParams, TaskId,
};
use serde_json::json;
use std::path::PathBuf;

/// The run, and perhaps another plan for it.
#[derive(Debug, clap::Args)]
pub struct ResumeArgs {
    /// The run
    #[arg(value_name = "ID", value_parser = task_id)]
    id: TaskId,
    /// Goes on with the plan of this file: repeats the steps that differ, and those that depend on them
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// With --plan: cancels running tasks of steps that differ; otherwise they must have ended
    #[arg(long, requires = "plan")]
    cancel_changed: bool,
    /// With --plan: does not ask
    #[arg(long, short, requires = "plan")]
    yes: bool,
    /// With --plan: prints the steps that would begin anew, and changes nothing
    #[arg(long, requires = "plan")]
    dry_run: bool,
}

/// A step, and whether it begins anew.
#[derive(serde::Serialize)]
struct StepLine {
    step: String,
    fate: StepFate,
    /// Its open tasks.
    running: u64,
}

/// Lets the run go on.
///
/// # Errors
/// The plan has faults or does not fit the run, tasks of changed steps run, the hub refuses or cannot be reached, or standard
/// output fails.
pub async fn run(args: &ResumeArgs, hub: &HubClient, context: &Context) -> Result<u8, Failure> {
    let (id, screen) = (args.id, &context.screen);
    let mut params = RunResumeParams {
        task_id: id,
        ..RunResumeParams::default()
    };
    let mut lines = Vec::new();
    if let Some(file) = &args.plan {
        let (plan, text) = other_plan(file).await?;
        lines = compared(id, &plan, &text, hub).await?;
        params.plan = Some(text);
        let changed = lines.iter().filter(|line| line.fate != StepFate::Kept);
        if !args.cancel_changed {
            params.unless_running = changed.map(|line| line.step.clone()).collect();
        }
        if !screen.json {
            print(&lines, context)?;
        }
        if args.dry_run {
            if screen.json {
                screen.json(&json!({"dry_run": true, "steps": lines}))?;
            }
            return Ok(0);
        }
        let is_busy = |line: &&StepLine| line.running > 0 && line.fate != StepFate::Kept;
        if !args.cancel_changed
            && let Some(busy) = lines.iter().find(is_busy)
        {
            return Err(Failure::Local(format!(
                "{} of the step {} run: wait for them after `kirosu run pause {id}`, or add --cancel-changed",
                text::count(busy.running, "task"),
                busy.step
            )));
        }
        let question = "Go on with this plan?";
        if !args.yes && !confirmed(question, "add --yes to go on with the plan", context)? {
            screen.print("nothing was changed")?;
            return Ok(1);
        }
    }
    let answer = hub.request(&params).await?;
    if screen.json && args.plan.is_some() {
        screen.json(&json!({"ok": true, "steps": lines}))?;
        return Ok(0);
    }
    screen.answer(&answer, || screen.print(&format!("run {id} goes on")))
}

/// The steps of both plans.
async fn compared(
    id: TaskId,
    new: &Plan,
    text: &PlanText,
    hub: &HubClient,
) -> Result<Vec<StepLine>, Failure> {
    let params = RunParams {
        task_id: id,
        with_plan: true,
    };
    let run = hub.request_idempotent(&params).await?;
    let params = GetParams {
        task_id: id,
        ..GetParams::default()
    };
    let task = hub.request_idempotent(&params).await?.task;
    let metadata: PlanMetadata = serde_json::from_value(task.metadata.unwrap_or_default())
        .map_err(|why| Failure::local("cannot read the metadata of the run", why))?;
    let old_text = run.plan_text.clone().unwrap_or_default();
    let format = match old_text.format.as_deref() {
        Some("toml") => PlanFormat::Toml,
        _ => PlanFormat::Yaml,
    };
    let old = compile(&old_text.text, format)
        .map_err(|why| Failure::local("the plan of the run has faults", why))?;
    if let Some(name) = metadata
        .inputs
        .keys()
        .find(|name| !new.inputs.contains_key(*name))
    {
        return Err(Failure::Local(format!(
            "the run was given the input {name}, which the plan does not have"
        )));
    }
    let inputs = [&old, new].map(|plan| plan.filled(&metadata.inputs));
    let missing = new
        .inputs
        .iter()
        .find(|(name, input)| input.required && !metadata.inputs.contains_key(*name));
    if let Some((name, _)) = missing {
        return Err(Failure::Local(format!(
            "the plan needs the input {name}, which the run was not given: give it a default"
        )));
    }
    let before = PlanVersion {
        plan: &old,
        inputs: &inputs[0],
        plans: &old_text.plans,
    };
    let after = PlanVersion {
        plan: new,
        inputs: &inputs[1],
        plans: &text.plans,
    };
    if let Some(why) = needs_source(&before, &after) {
        return Err(Failure::Local(why));
    }
    let fates = replanned(&before, &after);
    let line = |(step, fate): (String, StepFate)| StepLine {
        running: running(&run, &step),
        step,
        fate,
    };
    Ok(fates.into_iter().map(line).collect())
}

/// The open tasks of a step, those of the steps inside of it included.
fn running(run: &RunAnswer, step: &str) -> u64 {
    let of_step = |path: &str| path.split(['[', '.']).next() == Some(step);
    let steps = run.steps.iter().filter(|row| of_step(&row.path));
    steps.map(|row| row.open).sum()
}

fn print(lines: &[StepLine], context: &Context) -> Result<(), Failure> {
    let screen = &context.screen;
    let mut table = TextTable::new([
        Column::text("STEP"),
        Column::text("THEN"),
        Column::number("RUNNING"),
    ]);
    for line in lines {
        let then = match line.fate {
            StepFate::Kept => "stays as it is",
            StepFate::Changed => "begins anew: it differs",
            StepFate::Follows => "begins anew: it depends on one that does",
            StepFate::New => "is new",
            StepFate::Gone => "is left out",
        };
        let running = match line.running {
            0 => String::new(),
            running => running.to_string(),
        };
        let then = match line.fate {
            StepFate::Kept => Cell::new(then),
            _ => Cell::new(screen.paint(Paint::Attention, then)),
        };
        table.row([Cell::new(line.step.as_str()), then, Cell::new(running)]);
    }
    table.print(screen)
}
