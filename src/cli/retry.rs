//! `kirosu retry`: enqueues failed and cancelled tasks again.

use super::each::each_checked;
use super::{Context, Failure, HubClient, SelectArgs, Selection, counted, text};
use kirosu_protocol::{RetryAnswer, RetryFailedParams, RetryParams, Subject, Target, TaskId};

const EXAMPLES: &str = "\
Examples:
  kirosu retry 42
  kirosu retry 42 --with-dependencies       and the failed or cancelled tasks that it depends on
  kirosu retry --failed                     every failed task
  kirosu retry --failed --queue docs
  kirosu retry --label night                tasks of the label that failed or were cancelled
  kirosu retry --label night --failed       only those that failed
  kirosu retry --label night --with-dependencies
  kirosu retry 12-40";

/// Enqueues failed or cancelled tasks again
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    select: SelectArgs,
    /// Also retries the failed and cancelled tasks that they depend on
    #[arg(long)]
    with_dependencies: bool,
    /// Only failed tasks (all, or those of the group), except those whose dependencies were cancelled or deleted
    #[arg(long)]
    failed: bool,
}

/// Retries the tasks.
pub async fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    let with_dependencies = args.with_dependencies;
    if args.failed && !with_dependencies && args.select.is_only_a_queue() {
        return every_failed(args.select.queue(), context).await;
    }
    let choice = args.select.choice()?;
    let hub = context.connect().await?;
    match choice {
        Selection::Tasks(_) if args.failed => Err(Failure::Usage(
            "--failed selects from all tasks or from a group (--label, --queue, --parent, 12-40); omit it for single tasks"
                .into(),
        )),
        Selection::Tasks(task_ids) => each_task(task_ids, with_dependencies, &hub, context).await,
        Selection::Group(group) => {
            let params = RetryParams {
                target: Target::Group(group),
                failed: args.failed,
                with_dependencies,
            };
            let answer = hub.request_idempotent(&params).await?;
            let done = match answer.dependencies {
                Some(count) => format!("queued again, and {count} that they depend on"),
                None => "queued again".to_owned(),
            };
            counted(&answer, answer.retried.unwrap_or(0), &done, context)
        }
    }
}

/// Retries every failed task of the hub, or of one queue.
async fn every_failed(queue: Option<String>, context: &Context) -> Result<u8, Failure> {
    let hub = context.connect().await?;
    let answer = hub.request(&RetryFailedParams { queue }).await?;
    let (screen, tasks) = (&context.screen, text::count(answer.retried, "failed task"));
    screen.answer(&answer, || screen.print(&format!("queued {tasks} again")))?;
    if answer.retried == 0 {
        screen.note("a task that failed with a dependency is queued again by `kirosu retry ID --with-dependencies`")?;
    }
    Ok(0)
}

/// Retries the tasks one after the other. A task that fails again at once, because a dependency has no result, counts
/// as refused.
async fn each_task(
    task_ids: Vec<TaskId>,
    with_dependencies: bool,
    hub: &HubClient,
    context: &Context,
) -> Result<u8, Failure> {
    let requests = task_ids.into_iter().map(|task_id| {
        let params = RetryParams {
            with_dependencies,
            ..RetryParams::task(task_id)
        };
        (task_id.into(), params)
    });
    let check = |subject, answer: RetryAnswer| match (subject, answer.status) {
        (Subject::Task(id), Some(_)) => {
            let why = answer.error.unwrap_or_default();
            Err(Failure::Local(format!(
                "task {id} failed again at once: {why}; `kirosu retry {id} --with-dependencies` also retries its dependencies"
            )))
        }
        _ => Ok(()),
    };
    each_checked(requests, "queued again", check, hub, context).await
}
