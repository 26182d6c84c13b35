//! `kirosu run-pipeline`: starts a run of a plan.

use super::connect::HubClient;
use super::follow::{follow, report};
use super::launch::inputs::{GivenInput, read_given};
use super::launch::{LaunchArgs, PreparedRun, dry, saved};
use super::wait::WaitDeadline;
use super::{Context, Failure, text, time};
use kirosu_protocol::{EnqueueAnswer, RunAnswer, Status};
use std::path::PathBuf;
use std::time::Duration;

const EXAMPLES: &str = "\
Examples:
  kirosu run-pipeline --file review.yaml --dry-run      checks it, counts items, estimates tokens
  kirosu run-pipeline --id 3f2a9c01d4e5 --wait          the run that a dry run has shown
  kirosu run-pipeline --file review.yaml --wait         prints the result
  kirosu run-pipeline --file review --input dir=docs    .kirosu/plans/review.yaml
  agent-that-plans | kirosu run-pipeline --file - --wait
  kirosu run show 42 --watch                            the steps of a run

Files that a map of the plan names are read here, relative to the current folder, and sent with
the run. In a pipe, only the number of the run is printed. The format of plans: docs/plans.md

Exit codes: 0 started or, with --wait, done; 1 refused, 2 wrong usage, 3 items or steps failed, or
the run was cancelled, 4 the time of --wait-timeout ran out, 130 Ctrl-C: the run goes on.";

/// Starts a run of a plan
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// A file, the name of a plan in .kirosu/plans, or - for standard input
    #[arg(long, value_name = "FILE", required_unless_present = "id")]
    file: Option<PathBuf>,
    /// The run that a dry run has shown: its plan, inputs and items; other flags count anew
    #[arg(long, value_name = "ID", conflicts_with_all = ["file", "input", "dry_run"])]
    id: Option<String>,
    /// The value of an input of the plan: text, or JSON for inputs of another type; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = read_given)]
    input: Vec<GivenInput>,
    /// Shows the progress until the run has ended, and prints its result
    #[arg(long)]
    wait: bool,
    /// Prints the run's number and does not wait: the default
    #[arg(long, conflicts_with = "wait")]
    detach: bool,
    /// With --wait: gives up after this time; the run goes on
    #[arg(long, value_name = "TIME", requires = "wait", value_parser = time::read_span)]
    wait_timeout: Option<Duration>,
    #[command(flatten)]
    launch: LaunchArgs,
}

/// Starts the run, and waits if asked to.
///
/// # Errors
/// The plan, its inputs or its sources have faults, the hub refuses or cannot be reached, or standard output fails.
pub async fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    let prepared = match (&args.id, &args.file) {
        (Some(id), _) => saved::load(id)?,
        (None, Some(file)) => PreparedRun::read(file, &args.input).await?,
        (None, None) => return Err(Failure::Usage("give --file or --id".into())),
    };
    let name = prepared.plan.name.as_deref();
    let waits = args.wait.then_some(args.wait_timeout);
    match launched(&prepared, &args.launch, name, waits, context).await? {
        Launched::Over(code) => Ok(code),
        Launched::Ended(run, hub) => report::print(*run, &hub, context).await,
    }
}

/// A run that was started.
pub(super) enum Launched {
    /// Nothing is left to do: the exit code.
    Over(u8),
    /// The run has ended.
    Ended(Box<RunAnswer>, HubClient),
}

/// Starts a run, or only estimates it, and waits until it has ended. `waits`: the longest wait; `None`: it does not wait and prints
/// the run's number.
///
/// # Errors
/// The hub refuses or cannot be reached, the time ran out, or standard output fails.
pub(super) async fn launched(
    prepared: &PreparedRun,
    launch: &LaunchArgs,
    name: Option<&str>,
    waits: Option<Option<Duration>>,
    context: &Context,
) -> Result<Launched, Failure> {
    if launch.dry_run {
        return Ok(Launched::Over(dry::run(prepared, context).await?));
    }
    let hub = context.connect().await?;
    let answer = prepared.start(launch, &hub, context).await?;
    note_existing(&answer, context)?;
    let Some(timeout) = waits else {
        return Ok(Launched::Over(print_started(&answer, name, context)?));
    };
    let deadline = WaitDeadline::after(timeout);
    let run = follow(answer.task_id, deadline, &hub, &context.screen).await?;
    Ok(Launched::Ended(Box::new(run), hub))
}

/// Notes that a run with this key existed.
fn note_existing(answer: &EnqueueAnswer, context: &Context) -> Result<(), Failure> {
    let (id, Some(status)) = (answer.task_id, answer.status) else {
        return Ok(());
    };
    let again = match status {
        Status::Failed | Status::Cancelled => {
            format!("; `kirosu run retry {id}` repeats what failed")
        }
        _ => String::new(),
    };
    context.screen.note(&format!(
        "run {id} has this key already, so none was started; its status is {status}{again}"
    ))
}

/// Prints the number of a run that nothing waits for, and the commands for it.
fn print_started(
    answer: &EnqueueAnswer,
    name: Option<&str>,
    context: &Context,
) -> Result<u8, Failure> {
    let (screen, id) = (&context.screen, answer.task_id);
    let name = name.map(text::one_line);
    let name = name.map(|name| format!(" of {name}")).unwrap_or_default();
    match (screen.json, screen.width) {
        (true, _) => screen.json(answer)?,
        (_, Some(_)) if answer.existed => screen.print(&format!("run {id}{name}"))?,
        (_, Some(_)) => screen.print(&format!("started run {id}{name}"))?,
        _ => screen.print(&id.to_string())?,
    }
    screen.note(&format!(
        "its steps: kirosu run show {id} --watch; its result: kirosu run wait {id}"
    ))?;
    Ok(0)
}
