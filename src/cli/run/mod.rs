//! `kirosu run`: looks at a run of a plan, and steers it.

mod approve;
mod explain;
mod items;
mod resume;
mod retry;

use super::each::actor;
use super::follow::{each_change, follow, report};
use super::show::run as drawing;
use super::wait::WaitDeadline;
use super::{Context, Failure, HubClient, Sheet, TIMED_OUT, task_id, text, time};
use approve::ApproveArgs;
use clap::Subcommand;
use explain::ExplainArgs;
use items::ItemsArgs;
use kirosu_protocol::{
    CancelParams, RunAnswer, RunParams, RunPauseParams, RunState, StepState, Target, TaskId,
};
use resume::ResumeArgs;
use retry::RetryArgs;
use serde_json::json;
use std::time::Duration;

const EXAMPLES: &str = "\
Examples:
  kirosu run show 42                        the steps as a tree, failed ones first
  kirosu run show 42 --watch
  kirosu run explain 42                     why it is in its state, and what moves it
  kirosu run explain 42 read                of a step, or of an item: docs/a.md
  kirosu run wait 42 --timeout 10m          shows the progress, prints the result
  kirosu run result 42 > report.md
  kirosu run items 42 --failed              the items that failed, with their errors
  kirosu run items 42 --step read --results --jsonl > read.jsonl
  kirosu run retry 42 --failed              repeats what failed, and what depends on it
  kirosu run retry 42 --step read --item docs/a.md
  kirosu run pause 42                       running tasks go on, no further one starts
  kirosu run resume 42                      also after a run has waited for a decision
  kirosu run resume 42 --plan better.yaml   repeats only the steps that differ, and what depends on them
  kirosu run approve 42 --tokens 500000     raises its budget, which is used up
  kirosu run cancel 42 --reason \"wrong folder\"

A run is a task: its number is that of `kirosu run-pipeline`, `kirosu map` and `kirosu runs`.
Exit codes of wait and result: 0 done, 3 items or steps failed, or it was cancelled, 4 it has not
ended.";

/// Looks at a run of a plan, and steers it
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    command: RunCommand,
}

#[derive(Debug, Subcommand)]
enum RunCommand {
    /// Shows the steps as a tree
    Show {
        /// The run
        #[arg(value_name = "ID", value_parser = task_id)]
        id: TaskId,
        /// Shows the steps until the run has ended
        #[arg(long, short = 'f', visible_alias = "follow")]
        watch: bool,
    },
    /// Explains why it, a step or an item is in its state, what follows, and which commands move it
    Explain(ExplainArgs),
    /// Waits for the end, and prints the result
    Wait {
        /// The run
        #[arg(value_name = "ID", value_parser = task_id)]
        id: TaskId,
        /// Gives up after this time: 90, 5m, 1h30m [default: never]
        #[arg(long, value_name = "TIME", value_parser = time::read_span)]
        timeout: Option<Duration>,
    },
    /// Prints the result
    Result {
        /// The run
        #[arg(value_name = "ID", value_parser = task_id)]
        id: TaskId,
    },
    /// Lists the items of its steps
    Items(ItemsArgs),
    /// Cancels it and its tasks
    Cancel {
        /// The run
        #[arg(value_name = "ID", value_parser = task_id)]
        id: TaskId,
        /// The reason, for the record
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        /// Name of the person who cancels, for the record [default: $USER]
        #[arg(long, value_name = "NAME")]
        by: Option<String>,
    },
    /// Pauses it: running tasks go on, no further one starts
    Pause {
        /// The run
        #[arg(value_name = "ID", value_parser = task_id)]
        id: TaskId,
    },
    /// Raises its budget: tasks that wait for it run
    Approve(ApproveArgs),
    /// Lets it go on after a pause, or after it has waited for a decision
    Resume(ResumeArgs),
    /// Repeats what failed, and the steps that depend on it
    Retry(RetryArgs),
}

/// Runs the subcommand.
///
/// # Errors
/// There is no such run, the hub refuses or cannot be reached, or standard output fails.
pub async fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    let hub = context.connect().await?;
    let screen = &context.screen;
    match &args.command {
        RunCommand::Show { id, watch: true } => watch(*id, &hub, context).await,
        RunCommand::Show { id, watch: false } => {
            let run = hub.request_idempotent(&RunParams::of(*id)).await?;
            screen.answer(&run, || show(&run, context))
        }
        RunCommand::Wait { id, timeout } => {
            let deadline = WaitDeadline::after(*timeout);
            let run = follow(*id, deadline, &hub, screen).await?;
            report::print(run, &hub, context).await
        }
        RunCommand::Result { id } => result(*id, &hub, context).await,
        RunCommand::Explain(args) => explain::run(args, &hub, context).await,
        RunCommand::Items(args) => items::run(args, &hub, context).await,
        RunCommand::Retry(args) => retry::run(args, &hub, context).await,
        RunCommand::Cancel { id, reason, by } => {
            // A task that is not a run is not cancelled.
            hub.request_idempotent(&RunParams::of(*id)).await?;
            let params = CancelParams {
                target: Target::Task(*id),
                by: actor(by),
                reason: reason.clone(),
            };
            let answer = hub.request(&params).await?;
            screen.answer(&answer, || screen.print(&format!("run {id} cancelled")))
        }
        RunCommand::Pause { id } => {
            let answer = hub.request(&RunPauseParams { task_id: *id }).await?;
            screen.answer(&answer, || {
                screen.print(&format!("run {id} paused"))?;
                screen.note(&format!(
                    "its running tasks go on; `kirosu run resume {id}` starts further ones again"
                ))
            })
        }
        RunCommand::Approve(args) => approve::run(args, &hub, context).await,
        RunCommand::Resume(args) => resume::run(args, &hub, context).await,
    }
}

/// Prints a run: its facts, the tree of its steps, and the commands that help.
fn show(run: &RunAnswer, context: &Context) -> Result<(), Failure> {
    let (screen, now) = (&context.screen, time::now());
    let state = screen.paint(drawing::run_paint(run.state), run.state.as_str());
    let mut sheet = Sheet::default();
    sheet.painted("run", format!("{} {state}", run.task_id));
    sheet.maybe("name", run.name.as_ref());
    sheet.maybe("reason", run.reason.as_ref());
    sheet.fact(
        "created",
        format!(
            "{} ({})",
            time::date(run.created_at, screen.zone().as_ref()),
            time::ago(run.created_at, now)
        ),
    );
    let took = run.ended_at.map(|end| time::span(end - run.created_at));
    sheet.maybe("ended", took.map(|took| format!("after {took}")));
    sheet.fact("tasks", text::grouped(run.made));
    // The lines below it are about items, which have a command of their own.
    sheet.maybe(
        "error",
        run.error.as_deref().and_then(|why| why.lines().next()),
    );
    sheet.print(screen)?;
    screen.print(&drawing::drawing(run, screen, now))?;
    for line in hints(run) {
        screen.note(&line)?;
    }
    Ok(())
}

/// The commands that help with the state of a run.
fn hints(run: &RunAnswer) -> Vec<String> {
    let id = run.task_id;
    let mut hints = Vec::new();
    if run.steps.iter().any(|step| step.failed > 0) {
        hints.push(format!(
            "the items that failed: kirosu run items {id} --failed"
        ));
    }
    let has_failed = |state| matches!(state, StepState::Failed | StepState::Partial);
    if run.state.is_final() && run.steps.iter().any(|step| has_failed(step.state)) {
        hints.push(report::again(id));
    }
    match run.state {
        RunState::Done | RunState::Partial => {
            hints.push(format!("the result: kirosu run result {id}"));
        }
        RunState::Paused => hints.push(format!("it goes on with: kirosu run resume {id}")),
        RunState::Waiting => hints.push(format!(
            "what it waits for, and the commands that decide: kirosu run explain {id}"
        )),
        _ => {}
    }
    hints
}

/// Shows a run until it has ended: a live tree on a terminal, a line per change in a pipe, JSON per change with `--json`.
async fn watch(id: TaskId, hub: &HubClient, context: &Context) -> Result<u8, Failure> {
    let screen = &context.screen;
    let forever = WaitDeadline::after(None);
    if screen.json {
        let mut last = None;
        let print = |run: &RunAnswer| match last.as_ref() == Some(run) {
            true => Ok(()),
            false => {
                last = Some(run.clone());
                screen.json(run)
            }
        };
        each_change(id, forever, hub, print).await?;
    } else {
        let run = follow(id, forever, hub, screen).await?;
        show(&run, context)?;
    }
    Ok(0)
}

/// Prints the result of a run that has ended.
async fn result(id: TaskId, hub: &HubClient, context: &Context) -> Result<u8, Failure> {
    let mut run = hub.request_idempotent(&RunParams::of(id)).await?;
    report::whole(&mut run, hub).await?;
    let screen = &context.screen;
    if screen.json {
        screen.json(&json!({
            "task_id": id, "state": run.state, "reason": run.reason, "result": run.result, "error": run.error,
        }))?;
    } else if let Some(result) = &run.result {
        screen.print_untrusted(result)?;
    } else if run.state.is_final() {
        let why = run.error.as_deref().or(run.reason.as_deref());
        let why = why.map(|why| format!(": {}", text::one_line(why)));
        let why = why.unwrap_or_default();
        let state = run.state;
        screen.note(&format!(
            "kirosu: run {id} has no result; it is {state}{why}"
        ))?;
        screen.note(&format!(
            "results of its items: kirosu run items {id} --results --jsonl"
        ))?;
    }
    let code = report::exit_code(run.state);
    if code == TIMED_OUT {
        screen.note(&format!(
            "kirosu: run {id} is still {}; `kirosu run wait {id}` waits for its result",
            run.state
        ))?;
    }
    Ok(code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::show::run::tests;

    #[test]
    fn hints_fit_the_state() {
        let mut run = tests::run(vec![tests::step("a", "map", StepState::Failed)]);
        run.steps[0].failed = 1;
        assert_eq!(
            hints(&run),
            ["the items that failed: kirosu run items 42 --failed"]
        );
        run.state = RunState::Failed;
        assert_eq!(
            hints(&run)[1],
            "repeat what failed: kirosu run retry 42 --failed"
        );
        run.steps.clear();
        run.state = RunState::Paused;
        assert_eq!(hints(&run), ["it goes on with: kirosu run resume 42"]);
    }
}
